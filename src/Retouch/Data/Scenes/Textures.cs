using static Retouch.Data.Scenes.Pattern;

namespace Retouch.Data.Scenes;

/// <summary>Procedural surface textures of objects and grounds.</summary>
internal static class Textures
{
    public static Tint Bricks(double x, double y, Tint stone, Tint mortar, ulong seed)
    {
        var row = Math.Floor(y);
        var across = x / 2 + (row % 2 == 0 ? 0 : 0.5);
        double u = Fraction(across),
            v = y - row;
        var edge = Math.Min(Math.Min(u, 1 - u) * 2, Math.Min(v, 1 - v));
        var own = Hash((long)Math.Floor(across), (long)row, seed);
        var grain = Noise(x * 9, y * 9, seed + 1);
        var face = stone * (0.8 + 0.3 * own + 0.14 * (grain - 0.5)) * (1.08 - 0.2 * v);
        return mortar.Toward(face, Step(0.07, 0.12, edge));
    }

    public static Tint Checks(double x, double y, Tint even, Tint odd)
    {
        var parity = ((long)Math.Floor(x) + (long)Math.Floor(y) & 1) == 0;
        double u = Fraction(x),
            v = Fraction(y);
        var edge = Math.Min(Math.Min(u, 1 - u), Math.Min(v, 1 - v));
        return (parity ? even : odd) * (0.86 + 0.14 * Step(0.02, 0.12, edge) + 0.06 * (0.5 - v));
    }

    public static Tint Shingles(double x, double y, Tint tiles, ulong seed)
    {
        var row = Math.Floor(y);
        var across = x + (((long)row & 1) == 0 ? 0 : 0.5);
        double u = Fraction(across),
            v = y - row;
        var own = Hash((long)Math.Floor(across), (long)row, seed);
        // Rows overlap: light at the lower edge, dark below the edge of the row above.
        var shade = 0.55 + 0.45 * v + 0.2 * (own - 0.5);
        return tiles * (shade * (u < 0.09 ? 0.65 : 1));
    }

    public static Tint Scales(double x, double y, Tint light, Tint dark)
    {
        // Of the scales that cover a point, the one of the upper row is on top.
        var row = (long)Math.Floor(y * 2);
        for (var k = row - 1; k <= row + 1; k++)
        {
            var shift = (k & 1) == 0 ? 0 : 0.5;
            var u = Fraction(x + shift) - 0.5;
            var v = y - k * 0.5 + 0.12;
            var distance = Length(u, v);
            if (distance < 0.58 && v > -0.05)
                return dark.Toward(light, Step(0.57, 0.36, distance) * (0.75 + 0.25 * Step(0.3, 0, distance)));
        }

        return dark;
    }

    public static Tint Wood(double x, double y, Tint wood, ulong seed)
    {
        var warp = Noise(x * 1.3, y * 3, seed) * 1.6;
        var rings = RoundWave(y * 5 + warp);
        var fibre = 0.65 * Noise(x * 5, y * 42, seed + 1) + 0.35 * Noise(x * 11, y * 110, seed + 2);
        return wood * (0.78 + 0.2 * rings + 0.26 * (fibre - 0.4));
    }

    public static Tint Weave(double x, double y, Tint warp, Tint weft)
    {
        long i = (long)Math.Floor(x),
            j = (long)Math.Floor(y);
        double u = 2 * Fraction(x) - 1,
            v = 2 * Fraction(y) - 1;
        var over = (i + j & 1) == 0;
        // The thread on top bends down at its ends and has a round cross-section.
        double along = over ? u : v,
            across = over ? v : u;
        var height = (1 - 0.55 * across * across) * (1 - 0.35 * along * along);
        return (over ? warp : weft) * (0.45 + 0.6 * height);
    }

    public static Tint Strands(double across, double along, Tint light, Tint dark, ulong seed)
    {
        var coarse = Noise(across, along, seed);
        var fine = Noise(across * 2.7 + 3 * coarse, along * 1.6, seed + 1);
        var finest = Noise(across * 6.1, along * 2.1, seed + 2);
        return dark.Toward(light, Step(0.15, 0.85, 0.4 * coarse + 0.4 * fine + 0.2 * finest));
    }

    public static Tint Leaves(double x, double y, Tint leaf, ulong seed)
    {
        var (distance, gap, id) = Cells(x, y, seed);
        var vein = Math.Abs(Fraction(x + y) - 0.5) < 0.06 ? 0.9 : 1;
        return leaf * ((0.45 + 0.62 * Step(0.02, 0.3, gap)) * (0.78 + 0.45 * id) * (1.1 - 0.4 * distance) * vein);
    }

    public static Tint Pebbles(double x, double y, Tint light, Tint dark, ulong seed)
    {
        var (distance, gap, id) = Cells(x, y, seed);
        var stone = dark.Toward(light, id) * (1.1 - 0.35 * distance * distance + 0.12 * (Noise(x * 8, y * 8, seed + 3) - 0.5));
        return (dark * 0.35).Toward(stone, Step(0.03, 0.16, gap));
    }

    public static Tint Quilt(double x, double y, Tint cloth, Tint thread)
    {
        double u = Fraction(x + y),
            v = Fraction(x - y);
        var edge = Math.Min(Math.Min(u, 1 - u), Math.Min(v, 1 - v));
        var puff = 0.72 + 0.36 * Step(0, 0.45, edge);
        return edge < 0.055 ? thread : cloth * puff;
    }
}
