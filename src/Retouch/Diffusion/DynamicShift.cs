using Retouch.Core.Errors;

namespace Retouch.Diffusion;

/// <summary>
/// A shift that grows with the picture, as Stable Diffusion 3 and Flux configure it: μ lies on a line through two sizes, the shift is e^μ
/// (or μ). A flow with it is trained without any shift and sampled with the one of the size.
/// </summary>
public sealed record DynamicShift
{
    /// <summary>The smaller size, in tokens: a token is 2×2 of the latents.</summary>
    public int BaseTokens { get; init; } = 256;

    /// <summary>The larger size, in tokens.</summary>
    public int MaxTokens { get; init; } = 4096;

    /// <summary>μ of the smaller size.</summary>
    public double BaseShift { get; init; } = 0.5;

    /// <summary>μ of the larger size.</summary>
    public double MaxShift { get; init; } = 1.15;

    /// <summary>Whether the shift is e^μ, as published models have it, or μ itself.</summary>
    public bool Exponential { get; init; } = true;

    /// <summary>The tokens of a latent.</summary>
    /// <param name="height">Of the latent.</param>
    /// <param name="width">Of the latent.</param>
    public static int Tokens(int height, int width) => height / 2 * (width / 2);

    /// <summary>The shift for a size.</summary>
    /// <param name="tokens">At least 1; sizes beyond the two are on the same line.</param>
    public double For(int tokens)
    {
        var mu = BaseShift + ((MaxShift - BaseShift) * (tokens - BaseTokens) / (MaxTokens - BaseTokens));
        return Exponential ? Math.Exp(mu) : mu;
    }

    /// <summary>Checks the numbers.</summary>
    /// <exception cref="UsageException">There is no line, or a shift that is not above 0.</exception>
    public void Validate()
    {
        if (BaseTokens < 1 || MaxTokens <= BaseTokens)
            throw new UsageException(
                $"A shift between {BaseTokens} and {MaxTokens} tokens: both must be at least 1 and differ, the base being the smaller."
            );
        if (!double.IsFinite(BaseShift) || !double.IsFinite(MaxShift) || (!Exponential && !(BaseShift > 0 && MaxShift > 0)))
            throw new UsageException(
                $"A shift from {BaseShift} to {MaxShift}: both must be numbers, and above 0 where time_shift_type is linear."
            );
    }
}
