using System.ComponentModel;

namespace Retouch.Objectives.LatentPerceptual;

/// <summary>How features are made comparable before they are subtracted.</summary>
public enum Normalisation
{
    /// <summary>Zero mean and unit variance over the pixels, per sample and channel ([LPL] eq. 2).</summary>
    Standardise,

    /// <summary>Each pixel's channel vector divided by an L2 norm (LPIPS, Zhang et al. 2018; the reference of [LPL] in
    /// diffusers).</summary>
    ChannelNorm,

    /// <summary>Features as they are.</summary>
    None,
}

/// <summary>Whose statistics (or channel norms) both maps are divided by.</summary>
public enum StatisticsSource
{
    /// <summary>The estimate's: FID 3.79 in [LPL] table 4, where it is called shared.</summary>
    Estimate,

    /// <summary>The target's, which carry no gradient: what the reference in diffusers calls shared.</summary>
    Target,

    /// <summary>Each map by its own: FID 4.79 in [LPL] table 4.</summary>
    Own,
}

/// <summary>How the difference of two normalised features enters the loss.</summary>
public enum FeatureDifference
{
    /// <summary>Its square.</summary>
    Squared,

    /// <summary>Its absolute value.</summary>
    Absolute,
}

/// <summary>How the losses of layers become one.</summary>
public enum LayerReduction
{
    /// <summary>Their sum ([LPL] eq. 2).</summary>
    Sum,

    /// <summary>Their mean (the reference in diffusers).</summary>
    Mean,
}

/// <summary>How the loss weights noise levels against each other.</summary>
public enum NoiseWeighting
{
    /// <summary>1 under the gate ([LPL] eq. 2).</summary>
    None,

    /// <summary>The min-SNR weight that the diffusion loss would have (Hang et al. 2023; an option of the reference in
    /// diffusers).</summary>
    MinSnr,

    /// <summary>1/σ² = SNR: the error of ẑ0 in units of the noise.</summary>
    InverseVariance,
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
    /// <summary>Gradient ratio where no weight is given; evidence in docs/results/lpl.md.</summary>
    public const double DefaultGradientRatio = 0.3;

    /// <summary>w_LPL: a number (3 in [LPL]), a gradient ratio, or a share of the loss. Default: gradient ratio 0.3.</summary>
    [Description("w_LPL: a number (3 in [LPL]), a gradient ratio, or a share of the loss. Default: gradient ratio 0.3.")]
    public TermWeight Weight { get; init; } = TermWeight.OfGradientRatio(DefaultGradientRatio);

    /// <summary>Which taps of the decoder, ascending from 0 (the mid block). Default: all but the last, which is the dearest and gives
    /// little.</summary>
    [Description(
        "Which taps of the decoder, ascending from 0 (the mid block). Default: all but the last, which is the dearest and gives little."
    )]
    public IReadOnlyList<int>? Taps { get; init; }

    /// <summary>Without taps: whether the last tap, at the image's resolution, is used too.</summary>
    [Description("Without taps: whether the last tap, at the image's resolution, is used too.")]
    public bool LastTap { get; init; }

    /// <summary>Whether the decoded image is one more layer: the bad example of [LPL]'s depth ablation.</summary>
    [Description("Whether the decoded image is one more layer: the bad example of [LPL]'s depth ablation.")]
    public bool Rgb { get; init; }

    /// <summary>How features are made comparable.</summary>
    [Description("How features are made comparable: standardise, channel-norm or none.")]
    public Normalisation Normalisation { get; init; } = Normalisation.Standardise;

    /// <summary>Whose statistics, or channel norms, both maps are divided by.</summary>
    [Description("Whose statistics, or channel norms, both maps are divided by: estimate, target or own.")]
    public StatisticsSource Statistics { get; init; } = StatisticsSource.Estimate;

    /// <summary>
    /// With statistics of the estimate or own: the part of their gradient that is let through, in [0, 1]. With 1 the loss favours an
    /// estimate of more
    /// variance than the truth, with 0 it does not (docs/results/lpl.md). Default 0.
    /// </summary>
    [Description("With statistics of the estimate or own: the part of their gradient that is let through, in [0, 1]. Default 0.")]
    public double? StatisticsGradient { get; init; }

    /// <summary>
    /// With standardise: added to a variance as a part of the target map's own, at least 0, so that a map in which the estimate hardly
    /// varies does not
    /// outweigh all others. Default 0.05.
    /// </summary>
    [Description("With standardise: added to a variance as a part of the target map's own, at least 0. Default 0.05.")]
    public double? VarianceFloor { get; init; }

    /// <summary>How the difference of two normalised features enters the loss.</summary>
    [Description("How the difference of two normalised features enters the loss: squared or absolute.")]
    public FeatureDifference Difference { get; init; }

    /// <summary>Whether outliers are left out, of the statistics and of the loss.</summary>
    [Description("Whether outliers are left out, of the statistics and of the loss.")]
    public bool Mask { get; init; } = true;

    /// <summary>With mask: the first tap that is masked; 0 masks all. The reference in diffusers masks from the third on, 2. Default
    /// 0.</summary>
    [Description("With mask: the first tap that is masked; 0 masks all. Default 0.")]
    public int? MaskFromTap { get; init; }

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
    /// Default: the training size over the model's own.
    /// </summary>
    [Description(
        "Scales threshold and windows: side of the images over the side for which they were chosen. "
            + "Default: training size over the model's own."
    )]
    public double? ResolutionScale { get; init; }

    /// <summary>How the loss weights noise levels against each other.</summary>
    [Description("How the loss weights noise levels against each other: none, min-snr or inverse-variance.")]
    public NoiseWeighting NoiseWeighting { get; init; }

    /// <summary>With min-SNR: γ, above 0. Default 5.</summary>
    [Description("With noiseWeighting min-snr: γ, above 0. Default 5.")]
    public double? MinSnrGamma { get; init; }

    /// <summary>Optimiser steps before the loss acts, at least 0.</summary>
    [Description("Optimiser steps before the loss acts, at least 0.")]
    public long StartStep { get; init; }

    /// <summary>Optimiser steps over which the weight rises linearly from there, at least 0.</summary>
    [Description("Optimiser steps over which the weight rises linearly from there, at least 0.")]
    public long RampSteps { get; init; }

    /// <summary>How the losses of layers become one.</summary>
    [Description("How the losses of layers become one: sum or mean.")]
    public LayerReduction LayerReduction { get; init; }

    /// <summary>By what the sum over pixels is divided.</summary>
    [Description("By what the sum over pixels is divided.")]
    public PixelReduction PixelReduction { get; init; } = PixelReduction.All;

    /// <summary>By what the sum over samples is divided.</summary>
    [Description("By what the sum over samples is divided.")]
    public SampleReduction SampleReduction { get; init; } = SampleReduction.Batch;

    /// <summary>What is wrong with the options, one sentence each; nothing where all is well.</summary>
    /// <param name="path">Where the options stand, as <c>objectives.perceptual</c>.</param>
    public IReadOnlyList<string> Validate(string path) => LatentPerceptualRules.Check(this, path);

    /// <summary>The part of the full weight at a step, in [0, 1].</summary>
    /// <param name="step">Optimiser steps done before it.</param>
    internal double Ramp(long step) =>
        step < StartStep ? 0
        : RampSteps == 0 ? 1
        : Math.Min(1, (step - StartStep + 1) / (double)RampSteps);
}
