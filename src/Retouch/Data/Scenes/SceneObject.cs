namespace Retouch.Data.Scenes;

/// <summary>
/// The object of a scene. In object coordinates it covers about [−1, 1]×[−1, 1], with y downwards.
/// </summary>
/// <param name="Main">Colour named in the caption.</param>
/// <param name="Accent">Second colour.</param>
/// <param name="Seed">Seed of the details.</param>
internal abstract record SceneObject(Tint Main, Tint Accent, ulong Seed)
{
    /// <summary>Signed distance, negative inside.</summary>
    public abstract double Distance(double x, double y);

    /// <summary>Colour inside.</summary>
    public abstract Tint At(double x, double y);

    /// <summary>Random number in [0, 1) for each <paramref name="trait"/>.</summary>
    protected double Trait(int trait) => Pattern.Hash(trait, 77, Seed);

    /// <summary>Shading of a ball of radius 1, lit from the upper left; highlights exceed 1.</summary>
    protected static double BallLight(double x, double y)
    {
        var z = Math.Sqrt(Math.Max(0.02, 1 - x * x - y * y));
        var light = Math.Max(0, -0.42 * x - 0.5 * y + 0.76 * z);
        return 0.42 + 0.68 * light + 0.5 * Pattern.Step(0.93, 1, light);
    }

    /// <summary>White or near-black for marks on <paramref name="under"/>, whichever has more contrast.</summary>
    protected static Tint Contrast(Tint under) =>
        0.3 * under.R + 0.59 * under.G + 0.11 * under.B > 0.62 ? Tint.Of(0x2B2624) : Tint.Of(0xF7F4EC);
}
