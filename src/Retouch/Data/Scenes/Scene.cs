using Retouch.Images;

namespace Retouch.Data.Scenes;

/// <summary>A scene, fully determined by label and seed; drawn at any size.</summary>
internal sealed class Scene
{
    public static readonly string[] Classes =
    [
        "striped ball",
        "brick house",
        "checkered kite",
        "furry creature",
        "spotted mushroom",
        "letter block",
        "vinyl record",
        "quilted star",
        "fruit tree",
        "scaly fish",
    ];

    private static readonly (string Name, int Rgb)[] Colors =
    [
        ("red", 0xC8322F),
        ("orange", 0xE8822A),
        ("yellow", 0xEFC53A),
        ("green", 0x4C9A48),
        ("turquoise", 0x2A9D98),
        ("blue", 0x3563BE),
        ("purple", 0x7E48A8),
        ("pink", 0xE27BA4),
        ("brown", 0x8A5A34),
        ("white", 0xEFECE2),
    ];

    private readonly Ground _ground;
    private readonly SceneObject _thing;
    private readonly ulong _seed;
    private readonly double _centerX,
        _centerY,
        _radius,
        _cosine,
        _sine;

    public Scene(int label, ulong seed)
    {
        _seed = seed;
        var random = new SplitMix64(seed);
        _ground = Ground.Draw(ref random);
        var main = random.NextInt(Colors.Length);
        // Green fruit would be invisible among the leaves.
        if (label == 8 && main == 3)
            main = 0;
        // Always two different colours; white is the accent in about half of the scenes.
        var accent = main != 9 && random.NextInt(2) == 0 ? 9 : (main + 1 + random.NextInt(Colors.Length - 1)) % Colors.Length;
        _thing = Make(label, Tint.Of(Colors[main].Rgb), Tint.Of(Colors[accent].Rgb), random.Next());

        _radius = random.NextDouble(0.27, 0.41);
        var room = 0.47 - 0.97 * _radius;
        _centerX = 0.5 + random.NextDouble(-room, room);
        _centerY = 0.5 + random.NextDouble(-room, room);
        // Half-angle formulas give cosine and sine without calling either; objects that stand on the ground lean less.
        var half = random.NextDouble(-1, 1) * (label is 1 or 4 or 8 ? 0.035 : 0.16);
        _cosine = (1 - half * half) / (1 + half * half);
        _sine = 2 * half / (1 + half * half);
        Caption = Describe(label, Colors[main].Name, Colors[accent].Name, random.NextInt(3));
    }

    public string Caption { get; }

    /// <summary>Draws the scene with supersampling; the sample count decreases with the resolution.</summary>
    public Picture Draw(int size)
    {
        var samples =
            size <= 64 ? 4
            : size <= 320 ? 3
            : 2;
        var picture = new Picture(size, size);
        var step = 1.0 / (size * samples);
        for (var y = 0; y < size; y++)
        {
            for (var x = 0; x < size; x++)
            {
                var sum = default(Tint);
                for (var i = 0; i < samples * samples; i++)
                    sum += At((x * samples + i % samples + 0.5) * step, (y * samples + i / samples + 0.5) * step);
                sum *= 1.0 / (samples * samples);
                // Grain with a period of two pixels, so that large pictures have fine detail as well.
                sum *= 0.985 + 0.03 * Pattern.Noise(x * 0.5, y * 0.5, _seed);
                picture[x, y] = new Rgb(Quantise(sum.R), Quantise(sum.G), Quantise(sum.B));
            }
        }

        return picture;
    }

    private static byte Quantise(double value) => (byte)(Math.Clamp(value, 0, 1) * 255 + 0.5);

    private Tint At(double u, double v)
    {
        double dx = (u - _centerX) / _radius,
            dy = (v - _centerY) / _radius;
        double x = _cosine * dx + _sine * dy,
            y = _cosine * dy - _sine * dx;
        // Beyond the object and its shadow, only the ground is visible.
        if (x * x + y * y > 2.6)
            return Lit(_ground.At(u, v), u, v);

        var distance = _thing.Distance(x, y);
        if (distance < 0)
            return Lit(_thing.At(x, y) * (1 - 0.55 * Pattern.Step(-0.05, -0.005, distance)), u, v);
        // The light comes from the upper left, so the shadow falls to the lower right.
        var shadow = Pattern.Step(0.16, -0.1, _thing.Distance(x - 0.1, y - 0.13));
        return Lit(_ground.At(u, v) * (1 - 0.5 * shadow), u, v);
    }

    private static Tint Lit(Tint tint, double u, double v) => tint * (1.07 - 0.09 * (u + v));

    private static SceneObject Make(int label, Tint main, Tint accent, ulong seed) =>
        label switch
        {
            0 => new StripedBall(main, accent, seed),
            1 => new BrickHouse(main, accent, seed),
            2 => new CheckeredKite(main, accent, seed),
            3 => new FurryCreature(main, accent, seed),
            4 => new SpottedMushroom(main, accent, seed),
            5 => new LetterBlock(main, accent, seed),
            6 => new VinylRecord(main, accent, seed),
            7 => new QuiltedStar(main, accent, seed),
            8 => new FruitTree(main, accent, seed),
            9 => new ScalyFish(main, accent, seed),
            _ => throw new ArgumentOutOfRangeException(nameof(label)),
        };

    private string Describe(int label, string color, string second, int wording)
    {
        var size =
            _radius < 0.31 ? "small "
            : _radius > 0.37 ? "large "
            : "";
        var noun = label switch
        {
            0 => $"{size}{color} and {second} striped ball",
            1 => $"{size}{color} brick house with a {second} roof",
            2 => $"{size}{color} and {second} checkered kite",
            5 => $"{size}{color} letter block with the letter {(char)('A' + ((LetterBlock)_thing).Letter)}",
            6 => $"{size}vinyl record with a {color} label",
            7 => $"{size}{color} quilted star with a {second} rim",
            8 => $"{size}tree with {color} fruit",
            9 => $"{size}{color} and {second} scaly fish",
            _ => $"{size}{color} {Classes[label]}",
        };
        var article = "aeiou".Contains(noun[0], StringComparison.Ordinal) ? "an" : "a";
        noun = noun.Replace(" a orange", " an orange", StringComparison.Ordinal);
        return wording switch
        {
            0 => $"{article} {noun} {_ground.Phrase}",
            1 => $"a picture of {article} {noun} {_ground.Phrase}",
            _ => $"{article} {noun}, {_ground.Phrase}",
        };
    }
}
