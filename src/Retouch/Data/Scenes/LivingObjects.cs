using static Retouch.Data.Scenes.Pattern;

namespace Retouch.Data.Scenes;

internal sealed record FruitTree(Tint Main, Tint Accent, ulong Seed) : SceneObject(Main, Accent, Seed)
{
    private static readonly (double X, double Y, double Radius)[] Crown =
    [
        (0, -0.55, 0.5),
        (-0.45, -0.2, 0.46),
        (0.45, -0.2, 0.46),
        (0, 0, 0.46),
    ];

    public override double Distance(double x, double y) => Math.Min(Foliage(x, y), Trunk(x, y));

    public override Tint At(double x, double y)
    {
        var foliage = Foliage(x, y);
        if (foliage >= 0)
            return Textures.Strands(x * 16, y * 4, Tint.Of(0x9A7048), Tint.Of(0x4A3020), Seed) * (1.05 - 0.9 * Math.Abs(x + 0.06));

        var (distance, _, id) = Cells(x * 2.5 + 7, y * 2.5 + 7, Seed + 11);
        if (distance < 0.3 && id < 0.85 && foliage < -0.1)
        {
            var glint = Step(0.02, 0, distance - 0.08);
            return (Main * (1.12 - 1.3 * distance)).Toward(Tint.White, 0.5 * glint);
        }

        var green = Tint.Of(0x5E9440).Toward(Tint.Of(0x3C7A3A), Trait(1));
        var shade = 1.15 - 0.3 * Step(-0.6, 0.4, y + 0.3 * x);
        return Textures.Leaves(x * 6.5, y * 6.5, green * 1.25, Seed) * (distance < 0.34 && id < 0.85 ? 0.6 * shade : shade);
    }

    private double Foliage(double x, double y)
    {
        var nearest = double.MaxValue;
        foreach (var (cx, cy, radius) in Crown)
            nearest = Math.Min(nearest, Shapes.Circle(x - cx, y - cy, radius));
        return nearest - 0.09 * (Noise(x * 9, y * 9, Seed + 5) - 0.4);
    }

    private static double Trunk(double x, double y) => Math.Max(Math.Abs(x) - 0.13 - 0.16 * Step(0.55, 1.0, y), Math.Max(-y, y - 0.97));
}

internal sealed record ScalyFish(Tint Main, Tint Accent, ulong Seed) : SceneObject(Main, Accent, Seed)
{
    private static readonly (double X, double Y)[] TailCorners = [(0.52, 0), (1.02, -0.5), (0.88, 0), (1.02, 0.5)];
    private static readonly (double X, double Y)[] BackFin = [(-0.32, -0.42), (0.2, -0.78), (0.4, -0.36)];
    private static readonly (double X, double Y)[] BellyFin = [(-0.12, 0.42), (0.22, 0.72), (0.24, 0.38)];

    public override double Distance(double x, double y)
    {
        x = Facing(x);
        return Math.Min(Body(x, y), Fins(x, y));
    }

    public override Tint At(double x, double y)
    {
        x = Facing(x);
        if (Body(x, y) >= 0)
        {
            // The rays of the tail start at its root; those of the fins lean backwards.
            var ray = x > 0.5 ? Wave(y / (x - 0.3) * 7) : Wave((x - 0.5 * y) * 9);
            return Accent * (0.62 + 0.42 * ray);
        }

        var eye = Length(x + 0.62, y + 0.1);
        if (eye < 0.14)
            return eye < 0.075 ? Tint.Of(0x17161A) : Tint.Of(0xFAF7EE);
        var gill = Length(x + 0.92, y) - 0.56;
        var light = 1.12 - 0.5 * Step(-0.4, 0.55, y);
        if (Math.Abs(gill) < 0.028)
            return Main * 0.45;
        if (gill < 0)
        {
            var mouth = Math.Abs(y - 0.14 - 0.25 * (x + 0.9)) < 0.022 && x < -0.72;
            return mouth ? Main * 0.35 : (Main * 1.1).Toward(Accent, 0.15) * light;
        }

        var band = Step(0.35, 0.65, RoundWave(x * 1.7 + 0.3 * Trait(2)));
        var scale = Main.Toward(Accent, 0.55 * band);
        return Textures.Scales(x * 5.2, y * 5.2, scale * 1.18, scale * 0.45) * light;
    }

    private double Facing(double x) => Trait(1) < 0.5 ? x : -x;

    private static double Body(double x, double y) => Shapes.Ellipse(x + 0.2, y, 0.82, 0.52);

    private static double Fins(double x, double y) =>
        Math.Min(Shapes.Polygon(x, y, TailCorners), Math.Min(Shapes.Polygon(x, y, BackFin), Shapes.Polygon(x, y, BellyFin)));
}
