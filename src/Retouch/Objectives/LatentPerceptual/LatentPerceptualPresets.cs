namespace Retouch.Objectives.LatentPerceptual;

/// <summary>
/// Named presets of the latent perceptual loss: in JSON <c>"perceptual": "paper"</c>, or <c>"preset"</c> beside members that differ from
/// it.
/// </summary>
public static class LatentPerceptualPresets
{
    /// <summary>The default: best for short post-training according to docs/results/lpl.md.</summary>
    public static LatentPerceptualOptions Default { get; } = new();

    /// <summary>
    /// [LPL] as printed: statistics of the estimate with their gradient, whole estimates, no relative floor,
    /// ω_l = 2^(−r_l/r_1), σ ≤ 3, w = 3.
    /// </summary>
    public static LatentPerceptualOptions Paper { get; } =
        new()
        {
            Weight = 3,
            TargetFrequencies = 0,
            ErrorScale = 1,
            Statistics = StatisticsSource.Estimate,
            StatisticsGradient = 1,
            VarianceFloor = 0,
            DepthWeighting = DepthWeighting.Exponential,
            Threshold = 3,
        };

    /// <summary>
    /// The script of [LPL]'s authors in diffusers, with the switches recommended on its page: channel vectors over the target's norm, all
    /// taps, weights 1, 1/2, 1/4, … by upscaling, mean over layers, unmasked pixels and active samples, outliers of the target masked from
    /// the third tap on, t &lt; 200, weight 1.
    /// </summary>
    public static LatentPerceptualOptions Reference { get; } =
        new()
        {
            Weight = 1,
            LastTap = true,
            TargetFrequencies = 0,
            ErrorScale = 1,
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

    /// <summary>All presets, by option value.</summary>
    public static IReadOnlyDictionary<string, LatentPerceptualOptions> ByName { get; } =
        new SortedDictionary<string, LatentPerceptualOptions>(StringComparer.Ordinal)
        {
            ["default"] = Default,
            ["paper"] = Paper,
            ["reference"] = Reference,
        };
}
