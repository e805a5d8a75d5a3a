using System.ComponentModel;
using Retouch.Objectives.LatentPerceptual;

namespace Retouch.Objectives.Preference;

/// <summary>What a pair's two errors are measured against.</summary>
public enum PreferenceMethod
{
    /// <summary>Against a reference's errors on the same pair (Rafailov et al. 2023; Wallace et al. 2023 for diffusion; [PIX] eq. 4 and
    /// 5).</summary>
    Dpo,

    /// <summary>Against each other, without a reference (Meng et al. 2024; [PIX] eq. 6 and 7).</summary>
    Simpo,
}

/// <summary>How a pair's scaled margin z becomes a loss.</summary>
public enum PreferenceLink
{
    /// <summary>−log σ(z).</summary>
    LogSigmoid,

    /// <summary>(z − ½)²: Azar et al. 2023, eq. 17, times β², so that it is of the order of the others.</summary>
    Ipo,

    /// <summary>max(0, 1 − z) (Zhao et al. 2023, SLiC).</summary>
    Hinge,
}

/// <summary>Where the error of a sample is measured.</summary>
public enum PreferenceSpace
{
    /// <summary>At the network's output.</summary>
    Latent,

    /// <summary>Behind the decoder, as the pixel-space loss measures it.</summary>
    Pixel,

    /// <summary>Both, as two losses of their own: L_latent + μ·L_pixel ([PIX]).</summary>
    Both,

    /// <summary>In the decoder's layers, as the latent perceptual loss measures it.</summary>
    Features,
}

/// <summary>How squared differences become the error of a sample.</summary>
public enum ErrorReduction
{
    /// <summary>Their mean over all elements.</summary>
    Mean,

    /// <summary>Their sum, the squared norm of the formulas.</summary>
    Sum,
}

/// <summary>Whether winner and loser of a pair are given the same noise.</summary>
public enum PairNoise
{
    /// <summary>The same: only the pictures differ.</summary>
    Shared,

    /// <summary>Noise of its own for each; the time is always the same.</summary>
    Separate,
}

/// <summary>Where the errors of DPO's reference come from.</summary>
public enum ReferenceKind
{
    /// <summary>The reference predicts in every step: a frozen copy of the network, or with adapters the network with them switched
    /// off.</summary>
    Live,

    /// <summary>The network's errors on the pairs, times and noises of all steps are computed before the first step and kept on the disk:
    /// no copy, and no second prediction in a step.</summary>
    Precomputed,
}

/// <summary>What β is multiplied by.</summary>
public enum BetaScaling
{
    /// <summary>½, as in diffusers' Diffusion-DPO script, where β = 5000 stands for Wallace et al.'s β·T·ω.</summary>
    Half,

    /// <summary>1, as [PIX] prints it.</summary>
    Plain,
}

/// <summary>
/// Preference post-training on pairs of a winner and a loser (Zhang et al. 2024, <em>Pixel-Space Post-Training of Latent Diffusion
/// Models</em>, eq. 4–7). A pair's
/// margin is z = −β·((e_w − r_w) − (e_l − r_l)) − γ, with the errors e of the network and r of the reference (0 for SimPO). A member that
/// is null
/// takes the default named in its comment; it must be null where it would do nothing.
/// </summary>
public sealed record PreferenceOptions
{
    /// <summary>What a pair's errors are measured against: dpo or simpo.</summary>
    [Description("What a pair's errors are measured against: dpo (a frozen reference) or simpo (each other).")]
    public PreferenceMethod Method { get; init; } = PreferenceMethod.Dpo;

    /// <summary>With dpo: where the reference's errors come from, live or precomputed. Default live.</summary>
    [Description(
        "With dpo: live (the reference predicts in every step: a frozen copy, or with lora the network without its adapters) or "
            + "precomputed (its errors for all steps, before the first one). Default live."
    )]
    public ReferenceKind? Reference { get; init; }

    /// <summary>How a pair's margin becomes a loss: log-sigmoid, ipo or hinge.</summary>
    [Description("How a pair's margin becomes a loss: log-sigmoid, ipo or hinge.")]
    public PreferenceLink Link { get; init; } = PreferenceLink.LogSigmoid;

    /// <summary>Where errors are measured: latent, pixel, both (two losses) or features.</summary>
    [Description("Where errors are measured: latent, pixel, both (two losses) or features.")]
    public PreferenceSpace Space { get; init; } = PreferenceSpace.Latent;

    /// <summary>β, above 0. Default 5000 for dpo; simpo needs one.</summary>
    [Description("β, above 0. Default 5000 for dpo; simpo needs one.")]
    public double? Beta { get; init; }

    /// <summary>With space both: β of the pixel loss. Default: that of the latent loss.</summary>
    [Description("With space both: β of the pixel loss. Default: that of the latent loss.")]
    public double? PixelBeta { get; init; }

    /// <summary>What β is multiplied by. Default half for dpo (diffusers' script), plain for simpo.</summary>
    [Description("What β is multiplied by: half or plain. Default half for dpo (diffusers' script), plain for simpo.")]
    public BetaScaling? Scaling { get; init; }

    /// <summary>With simpo: γ, the margin that is asked for, at least 0. Default 0.</summary>
    [Description("With simpo: γ, the margin that is asked for, at least 0. Default 0.")]
    public double? Gamma { get; init; }

    /// <summary>Whether squared differences are averaged or added up. Default mean; features have a reduction of their own.</summary>
    [Description(
        "Whether squared differences are averaged or added up: mean or sum. Default mean; features have a reduction of their own."
    )]
    public ErrorReduction? Reduction { get; init; }

    /// <summary>Whether winner and loser get the same noise.</summary>
    [Description("Whether winner and loser get the same noise: shared or separate.")]
    public PairNoise Noise { get; init; } = PairNoise.Shared;

    /// <summary>The weight of the preference loss: a number, or, beside a diffusion loss and in pixels or features, a gradient ratio or a
    /// share.</summary>
    [Description(
        "The weight of the preference loss: a number, or, beside a diffusion loss and in pixels or features, a gradient ratio or a share."
    )]
    public TermWeight Weight { get; init; } = 1;

    /// <summary>With space both: μ, the weight of the pixel loss: a number, a gradient ratio or a share. Default 1.</summary>
    [Description("With space both: μ, the weight of the pixel loss: a number, a gradient ratio or a share. Default 1.")]
    public TermWeight? PixelWeight { get; init; }

    /// <summary>With space pixel or both: which latents are decoded. Default remix.</summary>
    [Description("With space pixel or both: which latents are decoded. Default remix.")]
    public PixelEstimate? Estimate { get; init; }

    /// <summary>With space pixel or both: with what they are compared. Default decoding for remix, image for x0.</summary>
    [Description("With space pixel or both: with what they are compared. Default decoding for remix, image for x0.")]
    public PixelTarget? Target { get; init; }

    /// <summary>With space features: how the decoder's layers are compared; its weights stay as they are.</summary>
    [Description("With space features: how the decoder's layers are compared; its weights stay as they are.")]
    public LatentPerceptualOptions? Features { get; init; }

    /// <summary>When training is stopped because winner and loser both get worse, and when a spike is reported.</summary>
    [Description("When training is stopped because winner and loser both get worse, and when a spike is reported.")]
    public DivergenceOptions Divergence { get; init; } = new();

    /// <summary>Whether the decoder is run.</summary>
    public bool NeedsDecoder => Space != PreferenceSpace.Latent;

    /// <summary>Whether a reference predicts as well.</summary>
    public bool NeedsReference => Method == PreferenceMethod.Dpo;

    /// <summary>Whether the reference's errors are computed before training.</summary>
    public bool PrecomputesReference => NeedsReference && Reference == ReferenceKind.Precomputed;

    /// <summary>Whether the images of a batch are needed.</summary>
    public bool NeedsImages =>
        InPixels && (Target ?? (Estimate == PixelEstimate.X0 ? PixelTarget.Image : PixelTarget.Decoding)) == PixelTarget.Image;

    /// <summary>What the errors of the network's output (or of the only space) are multiplied by: β with its scaling.</summary>
    internal double FullBeta => (Beta ?? 5000) * ScalingFactor;

    /// <summary>What the pixel errors are multiplied by where there are both.</summary>
    internal double FullPixelBeta => (PixelBeta ?? Beta ?? 5000) * ScalingFactor;

    private bool InPixels => Space is PreferenceSpace.Pixel or PreferenceSpace.Both;

    private double ScalingFactor =>
        (Scaling ?? (Method == PreferenceMethod.Dpo ? BetaScaling.Half : BetaScaling.Plain)) == BetaScaling.Half ? 0.5 : 1;

    /// <summary>What is wrong with the options, one sentence each; nothing where all is well.</summary>
    /// <param name="path">Where the options stand, as <c>objective.preference</c>.</param>
    public IReadOnlyList<string> Validate(string path)
    {
        static bool Positive(double x) => x > 0 && double.IsFinite(x);
        var problems = new Problems(path);
        problems.When(Beta is { } b && !Positive(b), "beta", "must be a number above 0");
        problems.When(
            Beta is null && Method == PreferenceMethod.Simpo,
            "beta",
            "simpo has no customary β: give one, such that β times the difference of two samples' errors is of the order of 1"
        );
        problems.When(PixelBeta is { } p && !Positive(p), "pixelBeta", "must be a number above 0");
        problems.When(PixelBeta is not null && Space != PreferenceSpace.Both, "pixelBeta", "does nothing unless space is both");
        problems.When(Gamma is not (null or >= 0) || Gamma == double.PositiveInfinity, "gamma", "must be a number, at least 0");
        problems.When(Gamma is not null && Method != PreferenceMethod.Simpo, "gamma", "is simpo's margin; with dpo it does nothing");
        problems.When(Reference is not null && !NeedsReference, "reference", "is what dpo compares with; with simpo it does nothing");
        problems.When(
            Reduction is not null && Space == PreferenceSpace.Features,
            "reduction",
            "does nothing in features, which have a reduction of their own"
        );
        Weight.Check(problems, "weight");
        PixelWeight?.Check(problems, "pixelWeight");
        problems.When(
            Weight.Fixed is null && Space is PreferenceSpace.Latent or PreferenceSpace.Both,
            "weight",
            "must be a number where the network's output is compared: it is what other terms are measured by"
        );
        problems.When(PixelWeight is not null && Space != PreferenceSpace.Both, "pixelWeight", "does nothing unless space is both");
        problems.When(Estimate is not null && !InPixels, "estimate", "does nothing unless space is pixel or both");
        problems.When(Target is not null && !InPixels, "target", "does nothing unless space is pixel or both");
        problems.When(Features is not null && Space != PreferenceSpace.Features, "features", "does nothing unless space is features");
        var usual = new LatentPerceptualOptions();
        problems.When(
            Features is { } f && f.Weight != usual.Weight,
            "features.weight",
            "does nothing here; the term's weight is preference.weight"
        );
        problems.When(
            Features is { } g && (g.NoiseWeighting != NoiseWeighting.None || g.StartStep != 0 || g.RampSteps != 0),
            "features",
            "noiseWeighting, startStep and rampSteps do nothing in a preference"
        );
        Divergence.Check(problems);
        return [.. problems.List, .. Features is null ? [] : (Features with { Weight = usual.Weight }).Validate(path + ".features")];
    }
}

/// <summary>When a run on preferences is stopped, and when it says that something is odd.</summary>
public sealed record DivergenceOptions
{
    /// <summary>
    /// The share by which winner and loser may both be worse than the reference (dpo) or than their average over the first <see
    /// cref="Steps"/> steps (simpo), smoothed; 0 never stops.
    /// </summary>
    [Description(
        "The share by which winner and loser may both be worse than the reference (dpo) or than their early average (simpo), "
            + "smoothed; 0 never stops."
    )]
    public double Bound { get; init; } = 0.5;

    /// <summary>Steps in a row past the bound until the run stops.</summary>
    [Description("Steps in a row past the bound until the run stops.")]
    public int Steps { get; init; } = 50;

    /// <summary>Standard deviations above its running mean at which the loss is reported as a spike; 0 reports none.</summary>
    [Description("Standard deviations above its running mean at which the loss is reported as a spike; 0 reports none.")]
    public double Spike { get; init; } = 6;

    internal void Check(Problems problems)
    {
        problems.When(!(Bound >= 0) || double.IsInfinity(Bound), "divergence.bound", "must be a number, at least 0 (0 never stops)");
        problems.When(Steps < 1, "divergence.steps", "must be at least 1");
        problems.When(Bound == 0 && Steps != new DivergenceOptions().Steps, "divergence.steps", "does nothing while the bound is 0");
        problems.When(!(Spike >= 0) || double.IsInfinity(Spike), "divergence.spike", "must be a number, at least 0 (0 reports none)");
    }
}
