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
    public double? Beta { get; init; }

    /// <summary>With space both: β of the pixel loss, above 0. Default: β of the latent loss.</summary>
    public double? PixelBeta { get; init; }

    /// <summary>Factor on β: half or plain. Default half for dpo (diffusers' script), plain for simpo.</summary>
    public BetaScaling? Scaling { get; init; }

    /// <summary>With simpo: target margin γ, at least 0. Default 0.</summary>
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

    /// <summary>Validation problems, one sentence each; empty for valid options.</summary>
    /// <param name="path">Path of the options in messages, such as <c>objective.preference</c>.</param>
    public IReadOnlyList<string> Validate(string path)
    {
        static bool Positive(double x) => x > 0 && double.IsFinite(x);
        var problems = new Problems(path);
        problems.When(Beta is { } b && !Positive(b), "beta", "must be a number above 0");
        problems.When(
            Beta is null && Method == PreferenceMethod.Simpo,
            "beta",
            "simpo has no default β; choose it so that β times the difference of two samples' errors is of the order of 1"
        );
        problems.When(PixelBeta is { } p && !Positive(p), "pixelBeta", "must be a number above 0");
        problems.When(PixelBeta is not null && Space != PreferenceSpace.Both, "pixelBeta", "has no effect unless space is both");
        problems.When(Gamma is not (null or >= 0) || Gamma == double.PositiveInfinity, "gamma", "must be a number, at least 0");
        problems.When(Gamma is not null && Method != PreferenceMethod.Simpo, "gamma", "has no effect unless method is simpo");
        problems.When(Reference is not null && !NeedsReference, "reference", "has no effect unless method is dpo");
        problems.When(
            Reduction is not null && Space == PreferenceSpace.Features,
            "reduction",
            "has no effect with space features, which has its own reduction"
        );
        Weight.Check(problems, "weight");
        PixelWeight?.Check(problems, "pixelWeight");
        problems.When(
            Weight.Fixed is null && Space is PreferenceSpace.Latent or PreferenceSpace.Both,
            "weight",
            "must be a number with space latent or both: measured weights are relative to it"
        );
        problems.When(PixelWeight is not null && Space != PreferenceSpace.Both, "pixelWeight", "has no effect unless space is both");
        problems.When(Estimate is not null && !InPixels, "estimate", "has no effect unless space is pixel or both");
        problems.When(Target is not null && !InPixels, "target", "has no effect unless space is pixel or both");
        problems.When(Features is not null && Space != PreferenceSpace.Features, "features", "has no effect unless space is features");
        var usual = new LatentPerceptualOptions();
        problems.When(Features is { } f && f.Weight != usual.Weight, "features.weight", "has no effect here; set preference.weight");
        problems.When(
            Features is { } g && (g.NoiseWeighting != NoiseWeighting.None || g.StartStep != 0 || g.RampSteps != 0),
            "features",
            "noiseWeighting, startStep and rampSteps have no effect in a preference"
        );
        Divergence.Check(problems);
        return [.. problems.List, .. Features is null ? [] : (Features with { Weight = usual.Weight }).Validate(path + ".features")];
    }
}

/// <summary>Divergence check of preference training.</summary>
public sealed record DivergenceOptions
{
    /// <summary>
    /// Fraction by which the smoothed errors of winner and loser may both exceed the reference model's (dpo) or their early average over
    /// divergence.steps steps (simpo), at least 0; 0 disables the check.
    /// </summary>
    public double Bound { get; init; } = 0.5;

    /// <summary>Consecutive steps beyond the bound before the run stops, at least 1.</summary>
    public int Steps { get; init; } = 50;

    /// <summary>Threshold of a loss spike in standard deviations above the running mean, at least 0; 0 disables the report.</summary>
    public double Spike { get; init; } = 6;

    internal void Check(Problems problems)
    {
        problems.When(!(Bound >= 0) || double.IsInfinity(Bound), "divergence.bound", "must be a number, at least 0 (0 disables the check)");
        problems.When(Steps < 1, "divergence.steps", "must be at least 1");
        problems.When(Bound == 0 && Steps != new DivergenceOptions().Steps, "divergence.steps", "has no effect while the bound is 0");
        problems.When(
            !(Spike >= 0) || double.IsInfinity(Spike),
            "divergence.spike",
            "must be a number, at least 0 (0 disables the report)"
        );
    }
}
