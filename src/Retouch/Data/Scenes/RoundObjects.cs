using static Retouch.Data.Scenes.Pattern;

namespace Retouch.Data.Scenes;

internal sealed record StripedBall(Tint Main, Tint Accent, ulong Seed) : SceneObject(Main, Accent, Seed)
{
    public override double Distance(double x, double y) => Shapes.Circle(x, y, 0.95);

    public override Tint At(double x, double y)
    {
        // Meridians: stripes of equal width around the ball.
        var across = x / Math.Sqrt(Math.Max(0.03, 1 - 0.98 * y * y));
        var stripe = Fraction(across * (2 + Math.Floor(Trait(1) * 2)) + 0.25) < 0.5;
        var seam = Math.Abs(y) < 0.022 ? 0.8 : 1;
        return (stripe ? Main : Accent) * (BallLight(x / 0.97, y / 0.97) * seam);
    }
}

internal sealed record FurryCreature(Tint Main, Tint Accent, ulong Seed) : SceneObject(Main, Accent, Seed)
{
    private static readonly (double X, double Y)[] Ear = [(0.24, -0.6), (0.78, -0.52), (0.74, -1.08)];

    public override double Distance(double x, double y)
    {
        var side = Math.Abs(x);
        var turn = Turn(-y, side);
        var tufts = 0.1 * Noise(turn * 13, 2, Seed) + 0.07 * Noise(turn * 31, 5, Seed);
        var body = Length(x, y * 1.04) - 0.76 - tufts;
        return Math.Min(body, Shapes.Polygon(side, y, Ear) - 0.03);
    }

    public override Tint At(double x, double y)
    {
        var side = Math.Abs(x);
        var eye = Length(side - 0.29, y + 0.16);
        var gaze = Length(side - 0.29 - (x < 0 ? -1 : 1) * 0.05 * (Trait(1) - 0.5), y + 0.14);
        if (eye < 0.2)
        {
            if (Length(side - 0.24, y + 0.21) < 0.035)
                return Tint.White;
            return gaze < 0.105 ? Tint.Of(0x1E1A1A) : Tint.Of(0xFBF9F2) * (1 - 0.25 * Step(0.15, 0.2, eye));
        }

        var mouth = Math.Abs(y - 0.3 + 0.45 * x * x);
        if (side < 0.3 && mouth < 0.035)
            return Tint.Of(0x3A1E22);
        if (Shapes.Ellipse(x, y - 0.1, 0.1, 0.065) < 0)
            return Tint.Of(0x4A2A2C);
        var inEar = Shapes.Polygon(side, y, Ear) < -0.07;
        var strands = Textures.Strands(Turn(-y, side) * 24, Length(x, y) * 5.5, Main * 1.22, Main * 0.5, Seed);
        var belly = Step(0.5, 0.25, Shapes.Ellipse(x, y - 0.5, 0.5, 0.4) + 0.35);
        var fur = strands.Toward(strands.Toward(Tint.White, 0.5), 0.6 * belly);
        return inEar ? fur.Toward(Tint.Of(0xE7A9A2), 0.65) : fur * (1.08 - 0.3 * Step(0.3, 0.95, y));
    }
}

internal sealed record SpottedMushroom(Tint Main, Tint Accent, ulong Seed) : SceneObject(Main, Accent, Seed)
{
    public override double Distance(double x, double y) => Math.Min(Cap(x, y), Stem(x, y));

    public override Tint At(double x, double y)
    {
        var cap = Cap(x, y);
        if (cap < 0)
        {
            if (y > 0.02 - 0.1 * x * x)
            {
                var gill = Wave(x * 13);
                return Tint.Of(0xEFE3CF) * (0.6 + 0.35 * gill);
            }

            var spot = Tint.Of(0xFAF6EC);
            // Spots shrink towards the rim, as on a dome.
            double u = x / Math.Sqrt(Math.Max(0.1, 1 - 0.7 * x * x)),
                v = (y + 0.35) * 1.35;
            var (distance, _, id) = Cells(u * 2.3 + 4, v * 2.3 + 4, Seed);
            var dome = BallLight(x / 1.05, (y + 0.05) / 1.05);
            return (distance < 0.23 + 0.14 * id ? spot : Main) * dome;
        }

        var ring = Math.Abs(y - 0.38 + 0.12 * x * x) < 0.05;
        var fibre = Noise(x * 22, y * 2.5, Seed + 7);
        return Tint.Of(0xF1E7D3) * ((ring ? 0.8 : 1) * (0.78 + 0.28 * fibre) * (1.02 - 0.55 * Math.Abs(x + 0.08)));
    }

    private static double Cap(double x, double y) => Math.Max(Shapes.Ellipse(x, y - 0.12, 0.98, 1.02), y - 0.16 + 0.1 * x * x);

    private static double Stem(double x, double y) => Math.Max(Math.Abs(x) - 0.24 - 0.1 * y * y, Math.Max(-y, y - 0.92 + 0.2 * x * x));
}

internal sealed record VinylRecord(Tint Main, Tint Accent, ulong Seed) : SceneObject(Main, Accent, Seed)
{
    public override double Distance(double x, double y) => Shapes.Circle(x, y, 0.97);

    public override Tint At(double x, double y)
    {
        var radius = Length(x, y);
        if (radius < 0.045)
            return Tint.Of(0xE8E4DA);
        if (radius < 0.36)
        {
            var text = Math.Abs(y) is > 0.11 and < 0.2 && Math.Abs(x) < 0.2 && Wave(x * 14 + 0.3) > 0.35;
            var ring = Math.Abs(radius - 0.31) < 0.014;
            return text || ring ? Contrast(Main) : Main;
        }

        // The light's reflection forms two opposite fans across the grooves.
        var turn = Turn(x + 0.6 * y, y - 0.6 * x);
        var fan = Step(0.62, 1, RoundWave(turn / 2 + 0.1 + 0.2 * Trait(1)));
        var groove = Wave(radius * 21);
        var track = Math.Abs(Fraction((radius - 0.36) * 4.6) - 0.5) < 0.055;
        var dark = Tint.Of(0x1D1C20).Toward(Main, 0.1);
        return track ? dark * 0.5 : dark * (0.7 + 0.9 * groove) + Tint.White * (0.34 * fan * (0.35 + 0.65 * groove));
    }
}
