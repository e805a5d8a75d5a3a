using Retouch.Core.Errors;
using Retouch.Objectives.LatentPerceptual;

namespace Retouch.Objectives.Preference;

/// <summary>Baseline of a pair's two errors.</summary>
public enum PreferenceMethod
{
    /// <summary>
    /// Relative to a reference model's errors on the same pair (Rafailov et al. 2023; Wallace et al. 2023 for diffusion; [PIX] eq. 4 and
    /// 5).
    /// </summary>
    Dpo,

    /// <summary>Relative to each other, without a reference model (Meng et al. 2024; [PIX] eq. 6 and 7).</summary>
    Simpo,
}

/// <summary>Link function from a pair's scaled margin z to a loss.</summary>
public enum PreferenceLink
{
    /// <summary>−log σ(z).</summary>
    LogSigmoid,

    /// <summary>(z − ½)²: Azar et al. 2023, eq. 17, times β² for the same order of magnitude as the others.</summary>
    Ipo,

    /// <summary>max(0, 1 − z) (Zhao et al. 2023, SLiC).</summary>
    Hinge,
}

/// <summary>Space of a sample's error.</summary>
public enum PreferenceSpace
{
    /// <summary>Network output.</summary>
    Latent,

    /// <summary>Decoded image, as in the pixel-space loss.</summary>
    Pixel,

    /// <summary>Both, as two losses: L_latent + μ·L_pixel ([PIX]).</summary>
    Both,

    /// <summary>Decoder features, as in the latent perceptual loss.</summary>
    Features,
}

/// <summary>Reduction of squared differences to a sample's error.</summary>
public enum ErrorReduction
{
    /// <summary>Mean over all elements.</summary>
    Mean,

    /// <summary>Sum over all elements, the squared norm of the formulas.</summary>
    Sum,
}

/// <summary>Noise of winner and loser.</summary>
public enum PairNoise
{
    /// <summary>Same noise: only the images differ.</summary>
    Shared,

    /// <summary>Independent noise; the timestep is always shared.</summary>
    Separate,
}

/// <summary>Source of the reference model's errors for DPO.</summary>
public enum ReferenceKind
{
    /// <summary>A reference model predicts in every step: a frozen copy of the network, or the network with adapters disabled.</summary>
    Live,

    /// <summary>
    /// The network's errors for the pairs, timesteps and noise of all steps are computed before the first step and stored on disk: no copy,
    /// and no second prediction per step.
    /// </summary>
    Precomputed,
}

/// <summary>Factor on β.</summary>
public enum BetaScaling
{
    /// <summary>½, as in diffusers' Diffusion-DPO script, where β = 5000 corresponds to Wallace et al.'s β·T·ω.</summary>
    Half,

    /// <summary>1, as printed in [PIX].</summary>
    Plain,
}

/// <summary>
/// Preference post-training on pairs of a winner and a loser (Zhang et al. 2024, <em>Pixel-Space Post-Training of Latent Diffusion
/// Models</em>, eq. 4–7). The margin of a pair is z = −β·((e_w − r_w) − (e_l − r_l)) − γ, with errors e of the network and r of the
/// reference model (0 for SimPO). A null member takes the default named in its comment; it must be null if it has no effect.
/// </summary>
public sealed record PreferenceOptions
{
    /// <summary>Baseline of a pair's errors: dpo (a reference model) or simpo (each other).</summary>
    public PreferenceMethod Method { get; init; } = PreferenceMethod.Dpo;

    /// <summary>
    /// With dpo: live (the reference model predicts in every step: a frozen copy, or with lora the network without its adapters) or
    /// precomputed (errors for all steps, computed before the first one). Default live.
    /// </summary>
    public ReferenceKind? Reference { get; init; }

    /// <summary>Link function from a pair's margin to a loss: log-sigmoid, ipo or hinge.</summary>
    public PreferenceLink Link { get; init; } = PreferenceLink.LogSigmoid;

    /// <summary>Space of the errors: latent, pixel, both (two losses) or features.</summary>
    public PreferenceSpace Space { get; init; } = PreferenceSpace.Latent;

    /// <summary>β, above 0. Default 5000 for dpo; required for simpo.</summary>
    [Bounds(Above = 0)]
    public double? Beta { get; init; }

    /// <summary>With space both: β of the pixel loss, above 0. Default: β of the latent loss.</summary>
    [Bounds(Above = 0)]
    public double? PixelBeta { get; init; }

    /// <summary>Factor on β: half or plain. Default half for dpo (diffusers' script), plain for simpo.</summary>
    public BetaScaling? Scaling { get; init; }

    /// <summary>With simpo: target margin γ, at least 0. Default 0.</summary>
    [Bounds(AtLeast = 0)]
    public double? Gamma { get; init; }

    /// <summary>Reduction of squared differences: mean or sum. Default mean; no effect with space features.</summary>
    public ErrorReduction? Reduction { get; init; }

    /// <summary>Noise of winner and loser: shared or separate.</summary>
    public PairNoise Noise { get; init; } = PairNoise.Shared;

    /// <summary>
    /// Weight of the preference loss: a number or, beside a diffusion loss and with space pixel or features, a gradient ratio or a share.
    /// </summary>
    public TermWeight Weight { get; init; } = 1;

    /// <summary>With space both: μ, the weight of the pixel loss: a number, a gradient ratio or a share. Default 1.</summary>
    public TermWeight? PixelWeight { get; init; }

    /// <summary>With space pixel or both: latents to decode, remix or x0. Default remix.</summary>
    public PixelEstimate? Estimate { get; init; }

    /// <summary>With space pixel or both: target, decoding or image. Default decoding for remix, image for x0.</summary>
    public PixelTarget? Target { get; init; }

    /// <summary>With space features: comparison of decoder features; its weight must stay at the default.</summary>
    public LatentPerceptualOptions? Features { get; init; }

    /// <summary>Divergence check: when training stops because winner and loser both get worse, and when a loss spike is reported.</summary>
    public DivergenceOptions Divergence { get; init; } = new();

    /// <summary>Whether the decoder is needed.</summary>
    public bool NeedsDecoder => Space != PreferenceSpace.Latent;

    /// <summary>Whether a reference model is needed.</summary>
    public bool NeedsReference => Method == PreferenceMethod.Dpo;

    /// <summary>Whether the reference's errors are computed before training.</summary>
    public bool PrecomputesReference => NeedsReference && Reference == ReferenceKind.Precomputed;

    /// <summary>Whether images are needed.</summary>
    public bool NeedsImages =>
        InPixels && (Target ?? (Estimate == PixelEstimate.X0 ? PixelTarget.Image : PixelTarget.Decoding)) == PixelTarget.Image;

    /// <summary>β of the network output's errors (or of the only space), including its scaling.</summary>
    internal double FullBeta => (Beta ?? 5000) * ScalingFactor;

    /// <summary>With space both: β of the pixel errors, including its scaling.</summary>
    internal double FullPixelBeta => (PixelBeta ?? Beta ?? 5000) * ScalingFactor;

    private bool InPixels => Space is PreferenceSpace.Pixel or PreferenceSpace.Both;

    private double ScalingFactor =>
        (Scaling ?? (Method == PreferenceMethod.Dpo ? BetaScaling.Half : BetaScaling.Plain)) == BetaScaling.Half ? 0.5 : 1;

    internal void Validate(Requirements check)
    {
        check.Members(this);
        check.That(
            Beta is not null || Method != PreferenceMethod.Simpo,
            nameof(Beta),
            "is required: simpo has no default β; choose it so that β times the difference of two samples' errors is of the order of 1"
        );
        check.That(PixelBeta is null || Space == PreferenceSpace.Both, nameof(PixelBeta), "has no effect unless space is both");
        check.That(Gamma is null || Method == PreferenceMethod.Simpo, nameof(Gamma), "has no effect unless method is simpo");
        check.That(Reference is null || NeedsReference, nameof(Reference), "has no effect unless method is dpo");
        check.That(
            Reduction is null || Space != PreferenceSpace.Features,
            nameof(Reduction),
            "has no effect with space features, which has its own reduction"
        );
        Weight.Validate(check, nameof(Weight));
        PixelWeight?.Validate(check, nameof(PixelWeight));
        check.That(
            Weight.Fixed is not null || Space is not (PreferenceSpace.Latent or PreferenceSpace.Both),
            nameof(Weight),
            "must be a number with space latent or both: measured weights are relative to it"
        );
        check.That(PixelWeight is null || Space == PreferenceSpace.Both, nameof(PixelWeight), "has no effect unless space is both");
        check.That(Estimate is null || InPixels, nameof(Estimate), "has no effect unless space is pixel or both");
        check.That(Target is null || InPixels, nameof(Target), "has no effect unless space is pixel or both");
        check.That(Features is null || Space == PreferenceSpace.Features, nameof(Features), "has no effect unless space is features");
        Divergence.Validate(check.Under(nameof(Divergence)));
        if (Features is { } features)
            ValidateFeatures(features, check.Under(nameof(Features)));
    }

    private static void ValidateFeatures(LatentPerceptualOptions features, Requirements check)
    {
        var usual = new LatentPerceptualOptions();
        check.That(features.Weight == usual.Weight, nameof(features.Weight), "has no effect here; set preference.weight");
        check.That(
            features is { NoiseWeighting: NoiseWeighting.None, StartStep: 0, RampSteps: 0 },
            nameof(features.NoiseWeighting),
            "as well as startStep and rampSteps have no effect in a preference"
        );
        (features with { Weight = usual.Weight }).Validate(check);
    }
}

/// <summary>Divergence check of preference training.</summary>
public sealed record DivergenceOptions
{
    /// <summary>
    /// Fraction by which the smoothed errors of winner and loser may both exceed the reference model's (dpo) or their early average over
    /// divergence.steps steps (simpo), at least 0; 0 disables the check.
    /// </summary>
    [Bounds(AtLeast = 0)]
    public double Bound { get; init; } = 0.5;

    /// <summary>Consecutive steps beyond the bound before the run stops, at least 1.</summary>
    [Bounds(AtLeast = 1)]
    public int Steps { get; init; } = 50;

    /// <summary>Threshold of a loss spike in standard deviations above the running mean, at least 0; 0 disables the report.</summary>
    [Bounds(AtLeast = 0)]
    public double Spike { get; init; } = 6;

    internal void Validate(Requirements check)
    {
        check.Members(this);
        check.That(Bound != 0 || Steps == new DivergenceOptions().Steps, nameof(Steps), "has no effect while the bound is 0");
    }
}
