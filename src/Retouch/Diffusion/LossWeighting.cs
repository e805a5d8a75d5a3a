using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>How the diffusion loss weights noise levels against each other.</summary>
public enum LossWeightingKind
{
    /// <summary>1 everywhere.</summary>
    Uniform,

    /// <summary>min(SNR, γ) on the error of ẑ0 (Hang et al. 2023).</summary>
    MinSnr,

    /// <summary>t⁻², for rectified flow, by the name that diffusers gives it.</summary>
    SigmaSqrt,

    /// <summary>2/(π·(1 − 2t + 2t²)), for rectified flow: the cosine schedule's density (Esser et al. 2024, CosMap).</summary>
    CosMap,
}

/// <summary>How the diffusion loss weights noise levels against each other.</summary>
/// <param name="Kind">The formula.</param>
/// <param name="Gamma">γ of min-SNR, above 0; the paper's is 5. The others do not look at it.</param>
public sealed record LossWeighting(LossWeightingKind Kind, double Gamma = 5)
{
    /// <summary>1 everywhere.</summary>
    public static LossWeighting Uniform { get; } = new(LossWeightingKind.Uniform);

    /// <summary>min(SNR, γ) on the error of ẑ0.</summary>
    /// <exception cref="UsageException">γ is not above 0.</exception>
    public static LossWeighting MinSnr(double gamma = 5) =>
        gamma > 0 && double.IsFinite(gamma)
            ? new(LossWeightingKind.MinSnr, gamma)
            : throw new UsageException($"min-SNR's γ is {gamma}; it must be a number above 0 (the paper's is 5).");

    /// <summary>The weightings that depend on a flow's t alone.</summary>
    /// <param name="t">In (0, 1].</param>
    internal Tensor OfFlowTime(Tensor t) =>
        Kind switch
        {
            LossWeightingKind.SigmaSqrt => t.Square().Reciprocal(),
            LossWeightingKind.CosMap => (2 / Math.PI) * (1 - (2 * t) + (2 * t.Square())).Reciprocal(),
            _ => throw new InvalidOperationException($"{Kind} is no function of t alone."),
        };
}
