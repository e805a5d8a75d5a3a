namespace Retouch.Objectives.LatentPerceptual;

/// <summary>Options of the latent perceptual loss under one name: in JSON <c>"perceptual": "paper"</c>, or <c>"preset"</c> beside members
/// that differ.</summary>
public static class LatentPerceptualPresets
{
    /// <summary>The default: what docs/results/lpl.md found best for short post-training.</summary>
    public static LatentPerceptualOptions Default { get; } = new();

    /// <summary>[LPL] as printed: statistics of the estimate with their gradient, no relative floor, ω_l = 2^(−r_l/r_1), σ ≤ 3, w =
    /// 3.</summary>
    public static LatentPerceptualOptions Paper { get; } =
        new()
        {
            Weight = 3,
            Statistics = StatisticsSource.Estimate,
            StatisticsGradient = 1,
            VarianceFloor = 0,
            DepthWeighting = DepthWeighting.Exponential,
            Threshold = 3,
        };

    /// <summary>
    /// The public script of [LPL]'s authors in diffusers, with the switches its page recommends: channel vectors over the target's norm,
    /// all taps, weights
    /// 1, 1/2, 1/4, … by upscaling, mean over layers, kept pixels and active samples, outliers of the target masked from the third tap on,
    /// t &lt; 200, weight 1.
    /// </summary>
    public static LatentPerceptualOptions Reference { get; } =
        new()
        {
            Weight = 1,
            LastTap = true,
            Normalisation = Normalisation.ChannelNorm,
            Statistics = StatisticsSource.Target,
            MaskFromTap = 2,
            MaskSource = LatentPerceptual.MaskSource.Target,
            DepthWeighting = DepthWeighting.Inverse,
            Gate = GateKind.Timestep,
            Threshold = 199,
            LayerReduction = LayerReduction.Mean,
            PixelReduction = PixelReduction.Kept,
            SampleReduction = SampleReduction.Active,
        };

    /// <summary>All presets by the names that options files use.</summary>
    public static IReadOnlyDictionary<string, LatentPerceptualOptions> ByName { get; } =
        new SortedDictionary<string, LatentPerceptualOptions>(StringComparer.Ordinal)
        {
            ["default"] = Default,
            ["paper"] = Paper,
            ["reference"] = Reference,
        };
}
