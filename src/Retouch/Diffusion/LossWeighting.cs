using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>Formula of the loss weight as a function of the noise level.</summary>
public enum LossWeightingKind
{
    /// <summary>1 at every noise level.</summary>
    Uniform,

    /// <summary>min(SNR, γ) on the ẑ0 error (Hang et al. 2023).</summary>
    MinSnr,

    /// <summary>t⁻², for rectified flow; diffusers' <c>sigma_sqrt</c>.</summary>
    SigmaSqrt,

    /// <summary>2/(π·(1 − 2t + 2t²)), for rectified flow: the cosine schedule's density (Esser et al. 2024, CosMap).</summary>
    CosMap,
}

/// <summary>Loss weight as a function of the noise level.</summary>
/// <param name="Kind">Formula.</param>
/// <param name="Gamma">γ of min-SNR, above 0; 5 in the paper. Ignored by the other formulas.</param>
public sealed record LossWeighting(LossWeightingKind Kind, double Gamma = 5)
{
    /// <summary>1 at every noise level.</summary>
    public static LossWeighting Uniform { get; } = new(LossWeightingKind.Uniform);

    /// <summary>min(SNR, γ) on the ẑ0 error.</summary>
    /// <exception cref="UsageException">γ is not a finite number above 0.</exception>
    public static LossWeighting MinSnr(double gamma = 5) =>
        gamma > 0 && double.IsFinite(gamma)
            ? new(LossWeightingKind.MinSnr, gamma)
            : throw new UsageException($"min-SNR's γ is {gamma}; it must be a number above 0 (the paper's is 5).");

    /// <summary>Weights that depend on the flow time only, [batch].</summary>
    /// <param name="t">Flow times in (0, 1], [batch].</param>
    internal Tensor OfFlowTime(Tensor t) =>
        Kind switch
        {
            LossWeightingKind.SigmaSqrt => t.Square().Reciprocal(),
            LossWeightingKind.CosMap => (2 / Math.PI) * (1 - (2 * t) + (2 * t.Square())).Reciprocal(),
            _ => throw new InvalidOperationException($"{Kind} does not depend on t alone."),
        };
}
