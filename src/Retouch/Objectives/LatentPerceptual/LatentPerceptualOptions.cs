using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Objectives.LatentPerceptual;

/// <summary>Normalisation of features before the difference.</summary>
public enum Normalisation
{
    /// <summary>Zero mean and unit variance over the pixels, per sample and channel ([LPL] eq. 2).</summary>
    Standardise,

    /// <summary>
    /// Each pixel's channel vector divided by an L2 norm (LPIPS, Zhang et al. 2018; the diffusers implementation of [LPL]).
    /// </summary>
    ChannelNorm,

    /// <summary>No normalisation.</summary>
    None,
}

/// <summary>Source of the statistics (or channel norms) that normalise both maps.</summary>
public enum StatisticsSource
{
    /// <summary>Statistics of the estimate: FID 3.79 in [LPL] table 4, called shared there.</summary>
    Estimate,

    /// <summary>Statistics of the target, without gradient: called shared in the diffusers implementation.</summary>
    Target,

    /// <summary>Each map by its own statistics: FID 4.79 in [LPL] table 4.</summary>
    Own,
}

/// <summary>Difference of normalised features.</summary>
public enum FeatureDifference
{
    /// <summary>Squared difference.</summary>
    Squared,

    /// <summary>Absolute difference.</summary>
    Absolute,
}

/// <summary>Reduction over layers.</summary>
public enum LayerReduction
{
    /// <summary>Sum over layers ([LPL] eq. 2).</summary>
    Sum,

    /// <summary>Mean over layers (the diffusers implementation).</summary>
    Mean,
}

/// <summary>Weight of the loss as a function of the noise level.</summary>
public enum NoiseWeighting
{
    /// <summary>1 for all samples that pass the gate ([LPL] eq. 2).</summary>
    None,

    /// <summary>The min-SNR weight of the diffusion loss (Hang et al. 2023; an option of the diffusers implementation).</summary>
    MinSnr,

    /// <summary>1/σ² = SNR: the error of ẑ0 in units of the noise.</summary>
    InverseVariance,
}

/// <summary>Features that the outlier mask is computed from.</summary>
public enum MaskSource
{
    /// <summary>Features of the estimate, as printed in [LPL].</summary>
    Estimate,

    /// <summary>Features of the target, as in the diffusers implementation of [LPL].</summary>
    Target,
}

/// <summary>Layer weights ω_l; r_l is the layer's upscaling relative to the latent.</summary>
public enum DepthWeighting
{
    /// <summary>r_1/r_l, the inverse upscaling factor ([LPL], text).</summary>
    Inverse,

    /// <summary>2^(−r_l/r_1) ([LPL], as printed).</summary>
    Exponential,

    /// <summary>1 for all layers.</summary>
    Uniform,

    /// <summary>Explicit list.</summary>
    Custom,
}

/// <summary>Quantity that the gate compares with its threshold.</summary>
public enum GateKind
{
    /// <summary>Noise-to-signal ratio σ_t ≤ threshold ([LPL] eq. 2).</summary>
    Sigma,

    /// <summary>SNR = 1/σ² ≥ threshold.</summary>
    Snr,

    /// <summary>The network's timestep (step of the schedule, or 1000·t for a flow) ≤ threshold.</summary>
    Timestep,

    /// <summary>t in [0, 1] ≤ threshold.</summary>
    T,

    /// <summary>No gate: all samples pass.</summary>
    None,
}

/// <summary>Divisor of the sum over pixels.</summary>
public enum PixelReduction
{
    /// <summary>All pixels of the map.</summary>
    All,

    /// <summary>Unmasked pixels.</summary>
    Kept,
}

/// <summary>Divisor of the sum over samples.</summary>
public enum SampleReduction
{
    /// <summary>Whole batch: the gate is an indicator inside the expectation.</summary>
    Batch,

    /// <summary>Samples that pass the gate.</summary>
    Active,
}

/// <summary>
/// Options of the latent perceptual loss. A null member takes the default named in its comment; it must be null if it has no effect.
/// </summary>
[JsonForm("an object { … }, or the name of a preset, \"default\", \"paper\" or \"reference\",")]
public sealed partial record LatentPerceptualOptions
{
    /// <summary>Default gradient ratio of the weight; evidence in docs/results/lpl.md.</summary>
    public const double DefaultGradientRatio = 2;

    /// <summary>Default mix of estimate and target in training; evidence in docs/results/lpl.md.</summary>
    private static readonly TargetMix DefaultMix = new(1, 0.2);

    /// <summary>Default source of the statistics; evidence in docs/results/lpl.md.</summary>
    internal const StatisticsSource DefaultStatistics = StatisticsSource.Target;

    /// <summary>w_LPL: a number (3 in [LPL]), a gradient ratio, or a share of the loss. Default: gradient ratio 2.</summary>
    public TermWeight Weight { get; init; } = TermWeight.OfGradientRatio(DefaultGradientRatio);

    /// <summary>
    /// Decoder taps to compare, ascending from 0 (the mid block). Default: all but the last, which is the most expensive and adds little.
    /// </summary>
    [Bounds(AtLeast = 0)]
    public IReadOnlyList<int>? Taps { get; init; }

    /// <summary>Without taps: include the last tap, at image resolution.</summary>
    public bool LastTap { get; init; }

    /// <summary>Include the decoded image as one more layer: the negative example of [LPL]'s depth ablation.</summary>
    public bool Rgb { get; init; }

    /// <summary>
    /// Low spatial frequencies per side that ẑ0 takes from z0 before decoding, from 0 (none); 1 is the mean of each channel only. The loss
    /// then has no gradient at these frequencies, and the colours of a picture are left to the diffusion loss. 0 in [LPL];
    /// at most 1 with data.masks, whose weights then apply to the mean. Default 1 in training, 0 for preferences
    /// and for a loss between given latents.
    /// </summary>
    [Bounds(AtLeast = 0)]
    public int? TargetFrequencies { get; init; }

    /// <summary>
    /// Scale s of the estimate's error before decoding, in (0, 1]: features of z0 + s·(ẑ0 − z0) are compared with those of z0. 1 is the
    /// whole estimate, as in [LPL]; smaller scales approach a squared error in the decoder's local metric, whose minimum is a mean of
    /// latents. A loss with a fixed weight decreases with about s². Default 0.2 in training, 1 for preferences and for a loss between
    /// given latents.
    /// </summary>
    [Bounds(Above = 0, AtMost = 1)]
    public double? ErrorScale { get; init; }

    /// <summary>Feature normalisation: standardise, channel-norm or none.</summary>
    public Normalisation Normalisation { get; init; } = Normalisation.Standardise;

    /// <summary>Source of the statistics (or channel norms) that normalise both maps: estimate, target or own. Default target.</summary>
    public StatisticsSource Statistics { get; init; } = DefaultStatistics;

    /// <summary>
    /// With statistics of the estimate or own: factor on their gradient, in [0, 1]. With 1 the loss favours an estimate of higher variance
    /// than the target, with 0 it does not (docs/results/lpl.md). Default 0.
    /// </summary>
    [Bounds(AtLeast = 0, AtMost = 1)]
    public double? StatisticsGradient { get; init; }

    /// <summary>
    /// With standardise: fraction of a variance of the target added to the variance that normalises, at least 0, so that almost constant
    /// maps do not dominate the loss. With statistics of the target, the variance is the mean over the layer's maps, otherwise that of the
    /// same map. Default 0.05.
    /// </summary>
    [Bounds(AtLeast = 0)]
    public double? VarianceFloor { get; init; }

    /// <summary>Difference of normalised features: squared or absolute.</summary>
    public FeatureDifference Difference { get; init; }

    /// <summary>Exclude outliers from statistics and loss.</summary>
    public bool Mask { get; init; } = true;

    /// <summary>With mask: index of the first masked tap; 0 masks all. The diffusers implementation uses 2. Default 0.</summary>
    [Bounds(AtLeast = 0)]
    public int? MaskFromTap { get; init; }

    /// <summary>With mask: features that the mask is computed from, estimate or target. Default estimate.</summary>
    public MaskSource? MaskSource { get; init; }

    /// <summary>With mask: fraction of a map's pixels outside either quantile, in (0, 0.5). Default 0.02.</summary>
    [Bounds(Above = 0, Below = 0.5)]
    public double? Quantile { get; init; }

    /// <summary>With mask: margin beyond the quantiles in standard deviations, at least 0. Default 2.</summary>
    [Bounds(AtLeast = 0)]
    public double? Margin { get; init; }

    /// <summary>With mask: side of the min-pool window (opening), in pixels of the deepest tap, at least 1. Default 5.</summary>
    [Bounds(AtLeast = 1)]
    public int? Opening { get; init; }

    /// <summary>With mask: side of the max-pool window (closing), in pixels of the deepest tap, at least 1. Default 3.</summary>
    [Bounds(AtLeast = 1)]
    public int? Closing { get; init; }

    /// <summary>Layer weights: inverse, exponential, uniform or custom.</summary>
    public DepthWeighting DepthWeighting { get; init; } = DepthWeighting.Inverse;

    /// <summary>With depthWeighting custom: one weight per tap, then one for the image if rgb is set.</summary>
    [Bounds(AtLeast = 0)]
    public IReadOnlyList<double>? DepthWeights { get; init; }

    /// <summary>Quantity that the noise gate compares with its threshold: sigma, snr, timestep, t or none.</summary>
    public GateKind Gate { get; init; } = GateKind.Sigma;

    /// <summary>Threshold of the gate, above 0. Default 3 for sigma; required for other gates.</summary>
    [Bounds(Above = 0, Infinite = true)]
    public double? Threshold { get; init; }

    /// <summary>
    /// Scale of threshold and windows: image side over the side that they were chosen for. A σ threshold is multiplied by it, an SNR
    /// threshold divided by its square, and windows are multiplied by it. Default: training size over the model's native size.
    /// </summary>
    /// <remarks>Averaging over more pixels reduces the noise in this proportion: Esser et al. 2024, eq. 23.</remarks>
    [Bounds(Above = 0)]
    public double? ResolutionScale { get; init; }

    /// <summary>Weight of the loss as a function of the noise level: none, min-snr or inverse-variance.</summary>
    public NoiseWeighting NoiseWeighting { get; init; }

    /// <summary>With noiseWeighting min-snr: γ, above 0. Default 5.</summary>
    [Bounds(Above = 0)]
    public double? MinSnrGamma { get; init; }

    /// <summary>Optimiser steps before the loss is enabled, at least 0.</summary>
    [Bounds(AtLeast = 0)]
    public long StartStep { get; init; }

    /// <summary>Optimiser steps of the linear weight warm-up after startStep, at least 0.</summary>
    [Bounds(AtLeast = 0)]
    public long RampSteps { get; init; }

    /// <summary>Reduction over layers: sum or mean.</summary>
    public LayerReduction LayerReduction { get; init; }

    /// <summary>Divisor of the sum over pixels: all or kept (unmasked).</summary>
    public PixelReduction PixelReduction { get; init; } = PixelReduction.All;

    /// <summary>Divisor of the sum over samples: batch or active (samples that pass the gate).</summary>
    public SampleReduction SampleReduction { get; init; } = SampleReduction.Batch;

    /// <summary>These options with whole estimates as the default: nothing is taken from the target.</summary>
    public LatentPerceptualOptions OfWholeEstimate() =>
        this with
        {
            TargetFrequencies = TargetFrequencies ?? TargetMix.None.Frequencies,
            ErrorScale = ErrorScale ?? TargetMix.None.ErrorScale,
        };

    /// <summary>These options with the defaults of training.</summary>
    public LatentPerceptualOptions OfTraining() => this with { TargetFrequencies = Mix.Frequencies, ErrorScale = Mix.ErrorScale };

    /// <summary>What the estimate takes from the target, with the defaults of training.</summary>
    internal TargetMix Mix => new(TargetFrequencies ?? DefaultMix.Frequencies, ErrorScale ?? DefaultMix.ErrorScale);

    /// <summary>Warm-up factor of the weight at a step, in [0, 1].</summary>
    /// <param name="step">Optimiser steps completed before this one.</param>
    internal double Ramp(long step) =>
        step < StartStep ? 0
        : RampSteps == 0 ? 1
        : Math.Min(1, (step - StartStep + 1) / (double)RampSteps);
}
