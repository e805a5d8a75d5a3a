namespace Retouch.Data.Scenes;

/// <summary>
/// The one thing a scene shows. Coordinates are its own: it lies within [-1, 1] x [-1, 1] or little beyond, y runs down.
/// </summary>
/// <param name="Main">The colour that its caption names.</param>
/// <param name="Accent">A second colour.</param>
/// <param name="Seed">Decides its details.</param>
internal abstract record SceneObject(Tint Main, Tint Accent, ulong Seed)
{
    /// <summary>Negative within.</summary>
    public abstract double Distance(double x, double y);

    /// <summary>The colour within.</summary>
    public abstract Tint At(double x, double y);

    /// <summary>A number in [0, 1) of its own for each <paramref name="trait"/>.</summary>
    protected double Trait(int trait) => Pattern.Hash(trait, 77, Seed);

    /// <summary>How bright a ball of radius 1 is, lit from the upper left, with a highlight above 1.</summary>
    protected static double BallLight(double x, double y)
    {
        var z = Math.Sqrt(Math.Max(0.02, 1 - x * x - y * y));
        var light = Math.Max(0, -0.42 * x - 0.5 * y + 0.76 * z);
        return 0.42 + 0.68 * light + 0.5 * Pattern.Step(0.93, 1, light);
    }

    /// <summary>White text or marks on <paramref name="under"/>, whichever of white and near-black reads better.</summary>
    protected static Tint Contrast(Tint under) =>
        0.3 * under.R + 0.59 * under.G + 0.11 * under.B > 0.62 ? Tint.Of(0x2B2624) : Tint.Of(0xF7F4EC);
}
