using System.ComponentModel;

namespace Retouch.Objectives.LatentPerceptual;

/// <summary>How features are made comparable before they are subtracted.</summary>
public enum Normalisation
{
    /// <summary>
    /// Zero mean and unit variance per sample and channel, both maps with the estimate's statistics: FID 3.79 in [LPL] table 4.
    /// </summary>
    Shared,

    /// <summary>Each map with its own statistics: FID 4.79 there.</summary>
    Separate,

    /// <summary>Features as they are.</summary>
    None,

    /// <summary>
    /// Each pixel's channel vector divided by its own L2 norm (LPIPS, Zhang et al. 2018; the reference of [LPL] in diffusers).
    /// </summary>
    ChannelNorm,

    /// <summary>Both maps divided by the L2 norm of the target's channel vector: what that reference calls shared.</summary>
    ChannelNormShared,
}

/// <summary>Whose features decide what an outlier is.</summary>
public enum MaskSource
{
    /// <summary>The estimate's, as [LPL] prints it.</summary>
    Estimate,

    /// <summary>The target's, as the reference of [LPL] in diffusers has it.</summary>
    Target,
}

/// <summary>How layers are weighted against each other; r_l is the layer's upscaling relative to the latent.</summary>
public enum DepthWeighting
{
    /// <summary>r_1/r_l, the inverse of the upscaling factor ([LPL], text).</summary>
    Inverse,

    /// <summary>2^(−r_l/r_1) ([LPL], as printed).</summary>
    Exponential,

    /// <summary>All 1.</summary>
    Uniform,

    /// <summary>As listed.</summary>
    Custom,
}

/// <summary>By which quantity samples are let in.</summary>
public enum GateKind
{
    /// <summary>σ_t ≤ threshold, noise-to-signal ([LPL] eq. 2).</summary>
    Sigma,

    /// <summary>SNR = 1/σ² ≥ threshold.</summary>
    Snr,

    /// <summary>The network's time (step of the schedule, or 1000·t for a flow) ≤ threshold.</summary>
    Timestep,

    /// <summary>t in [0, 1] ≤ threshold.</summary>
    T,

    /// <summary>All samples.</summary>
    None,
}

/// <summary>By what the sum over a map's pixels is divided.</summary>
public enum PixelReduction
{
    /// <summary>All pixels of the map.</summary>
    All,

    /// <summary>Those that the mask keeps.</summary>
    Kept,
}

/// <summary>By what the sum over samples is divided.</summary>
public enum SampleReduction
{
    /// <summary>The whole batch: the gate is an indicator inside the expectation.</summary>
    Batch,

    /// <summary>The samples under the gate.</summary>
    Active,
}

/// <summary>
/// Options of the latent perceptual loss. A member that is null takes the default named in its comment; it must be null where it would do
/// nothing.
/// </summary>
public sealed record LatentPerceptualOptions
{
    /// <summary>w_LPL: 3, or <c>auto</c>.</summary>
    [Description("w_LPL: 3, or auto.")]
    public TermWeight Weight { get; init; } = 3;

    /// <summary>With weight <c>auto</c>: the wanted share of the total, in (0, 1). Default 0.2.</summary>
    [Description("With weight auto: the wanted share of the total, in (0, 1). Default 0.2.")]
    public double? AutoShare { get; init; }

    /// <summary>With weight <c>auto</c>: evaluations until the weight is frozen. Default 200.</summary>
    [Description("With weight auto: evaluations until the weight is frozen. Default 200.")]
    public int? AutoWarmUp { get; init; }

    /// <summary>
    /// Which taps of the decoder, ascending from 0 (the mid block). Default: all but the last, which is the dearest and gives little.
    /// </summary>
    [Description(
        "Which taps of the decoder, ascending from 0 (the mid block). Default: all but the last, which is the dearest and gives little."
    )]
    public IReadOnlyList<int>? Taps { get; init; }

    /// <summary>Whether the decoded image is one more layer: the bad example of [LPL]'s depth ablation.</summary>
    [Description("Whether the decoded image is one more layer: the bad example of [LPL]'s depth ablation.")]
    public bool Rgb { get; init; }

    /// <summary>How features are made comparable.</summary>
    [Description("How features are made comparable.")]
    public Normalisation Normalisation { get; init; } = Normalisation.Shared;

    /// <summary>Whether the statistics count as constants when gradients are taken; for <c>shared</c> and <c>separate</c>.</summary>
    [Description("Whether the statistics count as constants when gradients are taken; for shared and separate.")]
    public bool DetachStatistics { get; init; }

    /// <summary>Whether outliers are left out, of the statistics and of the loss.</summary>
    [Description("Whether outliers are left out, of the statistics and of the loss.")]
    public bool Mask { get; init; } = true;

    /// <summary>With mask: whose features decide. Default estimate.</summary>
    [Description("With mask: whose features decide. Default estimate.")]
    public MaskSource? MaskSource { get; init; }

    /// <summary>With mask: the part of a map's pixels outside either quantile, in (0, 0.5). Default 0.02.</summary>
    [Description("With mask: the part of a map's pixels outside either quantile, in (0, 0.5). Default 0.02.")]
    public double? Quantile { get; init; }

    /// <summary>With mask: how many standard deviations beyond its quantiles a pixel may lie, at least 0. Default 2.</summary>
    [Description("With mask: how many standard deviations beyond its quantiles a pixel may lie, at least 0. Default 2.")]
    public double? Margin { get; init; }

    /// <summary>With mask: side of the window that shrinks what is kept, in pixels of the deepest tap. Default 5.</summary>
    [Description("With mask: side of the window that shrinks what is kept, in pixels of the deepest tap. Default 5.")]
    public int? Opening { get; init; }

    /// <summary>With mask: side of the window that fills what is kept, in pixels of the deepest tap. Default 3.</summary>
    [Description("With mask: side of the window that fills what is kept, in pixels of the deepest tap. Default 3.")]
    public int? Closing { get; init; }

    /// <summary>How layers are weighted against each other.</summary>
    [Description("How layers are weighted against each other.")]
    public DepthWeighting DepthWeighting { get; init; } = DepthWeighting.Inverse;

    /// <summary>With depth weighting <c>custom</c>: one weight a tap, then one for the image where it is a layer.</summary>
    [Description("With depth weighting custom: one weight a tap, then one for the image where it is a layer.")]
    public IReadOnlyList<double>? DepthWeights { get; init; }

    /// <summary>By which quantity samples are let in.</summary>
    [Description("By which quantity samples are let in.")]
    public GateKind Gate { get; init; } = GateKind.Sigma;

    /// <summary>The gate's threshold. Default 3 for <c>sigma</c>; needed for the other kinds.</summary>
    [Description("The gate's threshold. Default 3 for sigma; needed for the other kinds.")]
    public double? Threshold { get; init; }

    /// <summary>
    /// Side of the images over the side for which threshold and windows were chosen. A σ threshold is multiplied by it (averaging over more
    /// pixels takes away noise in this proportion: Esser et al. 2024, eq. 23), an SNR threshold divided by its square, and windows are
    /// multiplied by it.
    /// </summary>
    [Description(
        "Side of the images over the side for which threshold and windows were chosen. A σ threshold is multiplied by it "
            + "(averaging over more pixels takes away noise in this proportion: Esser et al. 2024, eq. 23), an SNR threshold divided by "
            + "its square, and windows are multiplied by it."
    )]
    public double ResolutionScale { get; init; } = 1;

    /// <summary>By what the sum over pixels is divided.</summary>
    [Description("By what the sum over pixels is divided.")]
    public PixelReduction PixelReduction { get; init; } = PixelReduction.All;

    /// <summary>By what the sum over samples is divided.</summary>
    [Description("By what the sum over samples is divided.")]
    public SampleReduction SampleReduction { get; init; } = SampleReduction.Batch;

    /// <summary>What is wrong with the options, one sentence each; nothing where all is well.</summary>
    /// <param name="path">Where the options stand, as <c>objectives.perceptual</c>.</param>
    public IReadOnlyList<string> Validate(string path) => LatentPerceptualRules.Check(this, path);
}
