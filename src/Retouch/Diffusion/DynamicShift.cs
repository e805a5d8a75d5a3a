using Retouch.Core.Errors;

namespace Retouch.Diffusion;

/// <summary>
/// Resolution-dependent timestep shift as configured by Stable Diffusion 3 and Flux: μ is linear in the number of tokens, the shift is
/// e^μ (or μ). Such a flow is trained without a shift and sampled with the shift of the image size.
/// </summary>
public sealed record DynamicShift
{
    /// <summary>Lower reference size in tokens; a token is 2×2 latent pixels.</summary>
    public int BaseTokens { get; init; } = 256;

    /// <summary>Upper reference size in tokens.</summary>
    public int MaxTokens { get; init; } = 4096;

    /// <summary>μ at the lower reference size.</summary>
    public double BaseShift { get; init; } = 0.5;

    /// <summary>μ at the upper reference size.</summary>
    public double MaxShift { get; init; } = 1.15;

    /// <summary>True for a shift of e^μ (published models), false for μ.</summary>
    public bool Exponential { get; init; } = true;

    /// <summary>Number of tokens of a latent.</summary>
    /// <param name="height">Latent height.</param>
    /// <param name="width">Latent width.</param>
    public static int Tokens(int height, int width) => height / 2 * (width / 2);

    /// <summary>Shift at a given size.</summary>
    /// <param name="tokens">Number of tokens, at least 1; μ is extrapolated outside the reference sizes.</param>
    public double For(int tokens)
    {
        var mu = BaseShift + ((MaxShift - BaseShift) * (tokens - BaseTokens) / (MaxTokens - BaseTokens));
        return Exponential ? Math.Exp(mu) : mu;
    }

    /// <summary>Validates the values.</summary>
    /// <exception cref="UsageException">The reference sizes are out of order, or a shift is not finite or not positive.</exception>
    public void Validate()
    {
        if (BaseTokens < 1 || MaxTokens <= BaseTokens)
            throw new UsageException(
                $"A dynamic shift between {BaseTokens} and {MaxTokens} tokens: the base must be at least 1 and below the maximum."
            );
        if (!double.IsFinite(BaseShift) || !double.IsFinite(MaxShift) || (!Exponential && !(BaseShift > 0 && MaxShift > 0)))
            throw new UsageException(
                $"A dynamic shift from {BaseShift} to {MaxShift}: both must be finite, and above 0 with a linear time_shift_type."
            );
    }
}
