using static Retouch.Data.Scenes.Pattern;

namespace Retouch.Data.Scenes;

/// <summary>Background of a scene: texture, colours and caption text.</summary>
/// <param name="Kind">Index into <see cref="Phrases"/>.</param>
/// <param name="Light">The lighter of two muted colours.</param>
/// <param name="Dark">The darker of two muted colours.</param>
/// <param name="Seed">Seed of the details.</param>
internal sealed record Ground(int Kind, Tint Light, Tint Dark, ulong Seed)
{
    /// <summary>Caption text by kind.</summary>
    public static readonly string[] Phrases =
    [
        "on sand",
        "on wooden planks",
        "on checked tiles",
        "on grass",
        "on woven cloth",
        "on pebbles",
        "in front of a brick wall",
        "in front of striped wallpaper",
        "over rippled water",
        "on a printed page",
    ];

    // Two colour pairs per kind, muted so that the object stands out.
    private static readonly (int Light, int Dark)[][] Colors =
    [
        [(0xE8D2A6, 0xC2A26C), (0xE3D8C4, 0xB5A58A)],
        [(0xC39A6B, 0x8A6440), (0xB8B0A4, 0x857B70)],
        [(0xE6E2D6, 0x8FA3AD), (0xE9DCC9, 0xA88B78)],
        [(0xA6BE62, 0x3E6633), (0xB9B56A, 0x5B6B32)],
        [(0xC9C3D6, 0x8A86A8), (0xD9C6B4, 0xA4876F)],
        [(0xC9C7C1, 0x6E7076), (0xCDBFAE, 0x7A6A5C)],
        [(0xBC8570, 0xD8CFC4), (0xA9A297, 0xDAD6CE)],
        [(0xDDE3DA, 0xA9BBAE), (0xEBDDD8, 0xC7A9A6)],
        [(0xA9CFD8, 0x4C8296), (0x9FBFB4, 0x4A7A70)],
        [(0xF0EBDD, 0x5A5650), (0xE4E0DA, 0x46505C)],
    ];

    public string Phrase => Phrases[Kind];

    public static Ground Draw(ref SplitMix64 random)
    {
        var kind = random.NextInt(Phrases.Length);
        var (light, dark) = Colors[kind][random.NextInt(2)];
        return new Ground(kind, Tint.Of(light), Tint.Of(dark), random.Next());
    }

    /// <summary>Colour at a point of the unit square.</summary>
    public Tint At(double x, double y) =>
        Kind switch
        {
            0 => Sand(x, y),
            1 => Planks(x, y),
            2 => Textures.Checks(x * 5.5 + Offset, y * 5.5, Light, Dark) * (0.93 + 0.12 * Noise(x * 26, y * 26, Seed)),
            3 => Grass(x, y),
            4 => Textures.Weave(x * 15 + Offset, y * 15, Light, Dark),
            5 => Textures.Pebbles(x * 9 + Offset, y * 9, Light, Dark, Seed),
            6 => Textures.Bricks(x * 8.5 + Offset, y * 8.5, Light, Dark, Seed),
            7 => Wallpaper(x, y),
            8 => Water(x, y),
            _ => Page(x, y),
        };

    private double Offset => Hash(1, 2, Seed) * 2;

    private Tint Sand(double x, double y)
    {
        var ripple = RoundWave(y * 9 + 2.4 * Cloud(x * 2.2, y * 2.2, Seed, 2));
        var grain = 0.6 * Noise(x * 60, y * 60, Seed + 5) + 0.4 * Noise(x * 190, y * 190, Seed + 6);
        return Dark.Toward(Light, Math.Clamp(0.3 + 0.45 * ripple + 0.75 * (grain - 0.42), 0, 1.1));
    }

    private Tint Planks(double x, double y)
    {
        var board = Math.Floor(y * 5 + Offset);
        var v = Fraction(y * 5 + Offset);
        var own = Hash((long)board, 3, Seed);
        var joint = Fraction(x + own) is var u && u < 0.012;
        if (v < 0.05 || joint)
            return Dark * 0.5;
        return Textures.Wood(x * 1.5 + own * 9, v + board * 3.7, Dark.Toward(Light, 0.35 + 0.65 * own), Seed) * (0.96 + 0.1 * (1 - v));
    }

    private Tint Grass(double x, double y)
    {
        var lean = 0.25 * (Noise(x * 3, y * 3, Seed) - 0.5);
        var back = Noise((x + lean * y) * 38, y * 7, Seed + 1);
        var front = Noise((x - 0.3 * y) * 30, y * 6, Seed + 2);
        var fine = Noise((x + 0.15 * y) * 110, y * 16, Seed + 4);
        var blades = Math.Max(back * 0.8, front) + 0.3 * (fine - 0.5);
        return (Dark * 0.75).Toward(Light, Step(0.25, 0.95, blades)) * (0.9 + 0.2 * Cloud(x * 3, y * 3, Seed + 3, 2));
    }

    private Tint Wallpaper(double x, double y)
    {
        var band = x * 7 + Offset;
        var u = Fraction(band);
        var stripe = u < 0.5 ? Light : Dark;
        if (Math.Abs(u - 0.5) < 0.035 || u < 0.035)
            stripe = Dark * 0.75;
        // A column of small lozenges in the middle of every light stripe.
        var lozenge = Math.Abs(u - 0.25) * 2.2 + Math.Abs(Fraction(y * 9) - 0.5) * 0.9;
        return lozenge < 0.22 ? Dark * 0.85 : stripe * (0.96 + 0.08 * Noise(x * 40, y * 40, Seed));
    }

    private Tint Water(double x, double y)
    {
        var bend = Cloud(x * 3, y * 4, Seed, 2);
        var wave = RoundWave(y * 11 + 3.2 * bend + 0.8 * x);
        var glint = Step(0.86, 0.98, wave) * Step(0.45, 0.7, Noise(x * 9, y * 24, Seed + 4));
        return Dark.Toward(Light, 0.15 + 0.7 * wave).Toward(Tint.White, 0.7 * glint);
    }

    private Tint Page(double x, double y)
    {
        double column = x * 13 + Offset,
            line = y * 9.5;
        long i = (long)Math.Floor(column),
            j = (long)Math.Floor(line);
        var blank = Hash(i, j, Seed) < 0.16;
        var letter = (int)(Hash(i, j, Seed + 1) * Glyphs.Count);
        var printed = !blank && Glyphs.Covers(letter, (Fraction(column) - 0.14) / 0.72, (Fraction(line) - 0.14) / 0.66);
        var paper = Light * (0.95 + 0.07 * Noise(x * 34, y * 34, Seed + 2));
        return printed ? paper.Toward(Dark, 0.8) : paper;
    }
}
