using static Retouch.Data.Scenes.Pattern;

namespace Retouch.Data.Scenes;

internal sealed record BrickHouse(Tint Main, Tint Accent, ulong Seed) : SceneObject(Main, Accent, Seed)
{
    private static readonly (double X, double Y)[] RoofCorners = [(0, -0.98), (0.98, -0.14), (-0.98, -0.14)];

    public override double Distance(double x, double y) => Math.Min(Math.Min(Wall(x, y), Roof(x, y)), Chimney(x, y));

    public override Tint At(double x, double y)
    {
        if (Roof(x, y) < 0)
            return y > -0.2 ? Tint.Of(0xF2ECE0) * 0.85 : Textures.Shingles(x * 5.5, y * 7.5, Accent, Seed);
        if (Wall(x, y) >= 0)
            return Textures.Bricks(x * 9, y * 9, Main * 0.9, Tint.Of(0xE6DED0), Seed + 2);

        var door = Trait(1) < 0.5 ? -0.34 : 0.34;
        var window = Shapes.Box(x + door, y - 0.26, 0.23, 0.23);
        if (window < 0.06)
            return Window(x + door, y - 0.26, window);
        var entry = Shapes.Box(x - door, y - 0.56, 0.19, 0.37);
        if (entry < 0.05)
        {
            if (entry > 0)
                return Tint.Of(0xF4EFE4);
            var knob = Length(x - door - 0.12, y - 0.58) < 0.032;
            return knob ? Tint.Of(0xE9C75A) : Textures.Wood((y - 0.2) * 2, (x - door) * 2.6, Tint.Of(0x7A4E2F), Seed + 4);
        }

        return Textures.Bricks(x * 7, y * 9, Main, Tint.Of(0xE6DED0), Seed) * (0.8 + 0.2 * Step(-0.14, 0.1, y));
    }

    private static Tint Window(double x, double y, double distance)
    {
        if (distance > 0 || Math.Abs(x) < 0.025 || Math.Abs(y) < 0.025)
            return Tint.Of(0xF4EFE4);
        return Tint.Of(0xFFE08A).Toward(Tint.Of(0x86B7DB), Step(-0.2, 0.25, x + y));
    }

    private static double Wall(double x, double y) => Shapes.Box(x, y - 0.38, 0.78, 0.55);

    private static double Roof(double x, double y) => Shapes.Polygon(x, y, RoofCorners);

    private double Chimney(double x, double y) => Shapes.Box(x - (Trait(2) < 0.5 ? 0.5 : -0.5), y + 0.68, 0.11, 0.26);
}

internal sealed record CheckeredKite(Tint Main, Tint Accent, ulong Seed) : SceneObject(Main, Accent, Seed)
{
    private static readonly (double X, double Y)[] Sail = [(0, -1), (0.72, -0.28), (0, 0.62), (-0.72, -0.28)];
    private static readonly (double X, double Y)[] Tail = [(0, 0.6), (0.14, 0.76), (-0.08, 0.92), (0.12, 1.06), (-0.04, 1.18)];

    public override double Distance(double x, double y)
    {
        var nearest = Shapes.Polygon(x, y, Sail);
        for (var i = 0; i + 1 < Tail.Length; i++)
            nearest = Math.Min(nearest, Shapes.Line(x, y, Tail[i], Tail[i + 1], 0.03));
        for (var i = 1; i < Tail.Length; i++)
            nearest = Math.Min(nearest, Bow(x, y, i));
        return nearest;
    }

    public override Tint At(double x, double y)
    {
        if (Shapes.Polygon(x, y, Sail) < 0)
        {
            var spar = Math.Abs(x) < 0.02 || Math.Abs(y + 0.28) < 0.02;
            var cloth = Textures.Checks((x + y) * 3.2, (x - y) * 3.2, Main, Accent);
            var fold = x < 0 ? 1.08 : 0.86;
            return spar ? Tint.Of(0x5A4030) : cloth * fold;
        }

        for (var i = 1; i < Tail.Length; i++)
        {
            if (Bow(x, y, i) < 0)
                return i % 2 == 0 ? Accent * 0.9 : Main;
        }

        return Tint.Of(0x5A4030);
    }

    // Two triangles that meet in the knot.
    private static double Bow(double x, double y, int at)
    {
        double dx = Math.Abs(x - Tail[at].X),
            dy = Math.Abs(y - Tail[at].Y);
        return Math.Max(dx - 0.15, dy - 0.025 - 0.55 * dx);
    }
}

internal sealed record LetterBlock(Tint Main, Tint Accent, ulong Seed) : SceneObject(Main, Accent, Seed)
{
    /// <summary>The letter on the block, 0 to 25.</summary>
    public int Letter => (int)(Trait(1) * Glyphs.Count);

    public override double Distance(double x, double y) => Shapes.Box(x, y, 0.88, 0.88, 0.14);

    public override Tint At(double x, double y)
    {
        var panel = Shapes.Box(x, y, 0.66, 0.66, 0.08);
        if (panel > 0)
            return Textures.Wood(x, y * 1.4, Tint.Of(0xD9B07A), Seed) * (panel < 0.04 ? 0.65 : 1.02 - 0.12 * (x + y));
        if (Glyphs.Covers(Letter, (x + 0.36) / 0.72, (y + 0.5) / 1.0))
            return Contrast(Main) * (1 - 0.12 * Wave((x + y) * 11));
        var hatch = Wave((x - y) * 9);
        return Main * (0.86 + 0.16 * hatch);
    }
}

internal sealed record QuiltedStar(Tint Main, Tint Accent, ulong Seed) : SceneObject(Main, Accent, Seed)
{
    // Multiples of 36° with the star pointing up: outer radius 1, inner radius 0.46.
    private static readonly (double X, double Y)[] Corners =
    [
        (0, -1),
        (0.27038, -0.37215),
        (0.95106, -0.30902),
        (0.43749, 0.14215),
        (0.58779, 0.80902),
        (0, 0.46),
        (-0.58779, 0.80902),
        (-0.43749, 0.14215),
        (-0.95106, -0.30902),
        (-0.27038, -0.37215),
    ];

    public override double Distance(double x, double y) => Shapes.Polygon(x, y, Corners) - 0.06;

    public override Tint At(double x, double y)
    {
        var edge = Shapes.Polygon(x, y, Corners);
        if (edge > -0.015)
            return Accent * (0.85 + 0.15 * Wave((x + y) * 14));
        var puff = 0.8 + 0.3 * Step(0, -0.3, edge);
        var stitch = edge > -0.11 && edge < -0.075 && Wave(Turn(x, y) * 17) > 0.4;
        return stitch ? Contrast(Main) : Textures.Quilt(x * 3.6, y * 3.6, Main, Main * 0.45) * puff;
    }
}
