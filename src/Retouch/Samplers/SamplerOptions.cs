using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Diffusion;

namespace Retouch.Samplers;

/// <summary>How pictures are drawn from a denoiser.</summary>
public enum SamplerKind
{
    /// <summary>Song et al. 2021; with η above 0 some noise is put back.</summary>
    Ddim,

    /// <summary>Ancestral sampling of Ho et al. 2020: a draw from the posterior at each step.</summary>
    Ddpm,

    /// <summary>Euler's method: in σ for DDPM networks (Karras et al. 2022), in t for flows.</summary>
    Euler,

    /// <summary>DPM-Solver++(2M), of second order (Lu et al. 2022).</summary>
    DpmSolverPlusPlus,

    /// <summary>Euler's levels with as much noise put back at each step as the posterior has.</summary>
    EulerAncestral,

    /// <summary>
    /// Heun's method of second order: in σ for DDPM networks (Karras et al. 2022), in t for flows. Two calls of the network a step, but the
    /// last.
    /// </summary>
    Heun,

    /// <summary>UniPC, a multistep predictor with a corrector that costs no call of the network (Zhao et al. 2023).</summary>
    UniPc,

    /// <summary>
    /// PNDM without its Runge-Kutta steps, "PLMS" (Liu et al. 2022): the method that Stable Diffusion 1 was published with. DDPM networks
    /// only.
    /// </summary>
    Pndm,

    /// <summary>Linear multistep of fourth order in σ. DDPM networks only.</summary>
    Lms,
}

/// <summary>Which noise levels solvers in σ or ln σ go through on a DDPM schedule.</summary>
public enum SigmaSpacing
{
    /// <summary>Those of the steps that <see cref="TimestepSpacing"/> chooses.</summary>
    Schedule,

    /// <summary>Even in σ^(1/7) (Karras et al. 2022, eq. 5).</summary>
    Karras,

    /// <summary>Even in ln σ.</summary>
    Exponential,

    /// <summary>
    /// At quantiles of the beta distribution with α = β = 0.6: dense at both ends (Lee et al., "Beta Sampling is All You Need", 2024).
    /// </summary>
    Beta,
}

/// <summary>
/// Which steps of a DDPM schedule are visited, by diffusers' names (Lin et al. 2024, table 2). Flows have their own grid.
/// </summary>
public enum TimestepSpacing
{
    /// <summary>Even, the last one included: sampling starts at the noisiest step.</summary>
    Trailing,

    /// <summary>Even, from the first one on: the noisiest steps are left out, as Stable Diffusion 1 and 2 and SDXL are sampled.</summary>
    Leading,

    /// <summary>Even, both ends included.</summary>
    Linspace,
}

/// <summary>How pictures are drawn from a denoiser.</summary>
public sealed record SamplerOptions
{
    /// <summary>The method.</summary>
    public SamplerKind Kind { get; init; }

    /// <summary>Which steps of a DDPM schedule are visited.</summary>
    public TimestepSpacing Spacing { get; init; }

    /// <summary>Added to every step of leading spacing; published Stable Diffusion models use 1.</summary>
    public int StepsOffset { get; init; }

    /// <summary>DDIM and PNDM: end without any noise instead of at the schedule's first step.</summary>
    public bool SetAlphaToOne { get; init; }

    /// <summary>
    /// DDIM: a step ends a whole stride below its beginning, as in diffusers' DDIMScheduler, instead of where the next one begins. Where
    /// the
    /// steps do not divide the schedule, each then ends above or below what the next one takes for its level, and a little noise too much
    /// or too little is left.
    /// </summary>
    public bool CompatibleSteps { get; init; }

    /// <summary>DDIM, DDPM and Heun: ẑ0 is clamped to plus and minus this. For networks on pixels; latents are not bounded.</summary>
    public double? ClipRange { get; init; }

    /// <summary>DDIM: share of the posterior's deviation that is put back as noise, from 0 to 1.</summary>
    public double Eta { get; init; }

    /// <summary>DDPM: the larger of the two variances of Ho et al. 2020, section 3.2.</summary>
    public bool LargeVariance { get; init; }

    /// <summary>Solvers in σ or ln σ on DDPM networks: which levels they go through.</summary>
    public SigmaSpacing Sigmas { get; init; }

    /// <summary>Euler, DPM-Solver++ and UniPC: end at the schedule's least noise instead of at none.</summary>
    public bool EndAtLeastNoise { get; init; }

    /// <summary>DPM-Solver++: 1 or 2; UniPC: 1 to 3, without its corrector's one. The others have an order of their own.</summary>
    public int SolverOrder { get; init; } = DefaultOrder;

    /// <summary>
    /// DPM-Solver++ (below 15 steps) and UniPC: the last steps are taken at lower orders, which is steadier. Without noise at the end the
    /// last step has order 1 anyway.
    /// </summary>
    public bool LowerOrderFinal { get; init; } = true;

    /// <summary>UniPC: its B(h).</summary>
    public UniPcVariant UniPcVariant { get; init; }

    private const int DefaultOrder = 2;

    /// <summary>Whether a method goes through levels that are named by σ, as <see cref="Sigmas"/> can choose.</summary>
    internal static bool StepsInSigma(SamplerKind kind) =>
        kind is SamplerKind.Euler or SamplerKind.EulerAncestral or SamplerKind.Heun or SamplerKind.Lms || StepsInLambda(kind);

    /// <summary>Whether a method is one in λ = ln(a/b).</summary>
    internal static bool StepsInLambda(SamplerKind kind) => kind is SamplerKind.DpmSolverPlusPlus or SamplerKind.UniPc;

    /// <summary>What is wrong with the options, one sentence each; nothing where all is well.</summary>
    /// <param name="formulation">What they are to sample from.</param>
    /// <param name="path">Where the options stand, as <c>sampler</c>.</param>
    public IReadOnlyList<string> Validate(Formulation formulation, string path = "sampler")
    {
        List<string> problems = [];
        var isFlow = formulation is FlowFormulation;
        When(!Enum.IsDefined(Kind), "kind", "is no sampler");
        When(
            isFlow && Kind is SamplerKind.Pndm or SamplerKind.Lms,
            "kind",
            $"{Kind} is for DDPM networks; sample a flow with euler, heun, dpmpp or unipc"
        );
        When(
            Kind == SamplerKind.Pndm && formulation is DdpmFormulation { Schedule.ZeroTerminalSnr: true },
            "kind",
            "PNDM cannot start where nothing is left of the signal; with a zero terminal SNR use ddim or euler"
        );
        When(!Enum.IsDefined(Spacing), "spacing", "is no spacing");
        When(isFlow && Spacing != TimestepSpacing.Trailing, "spacing", "is for DDPM schedules; a flow is sampled on its shifted times");
        When(!isFlow && Kind == SamplerKind.Pndm && Spacing != TimestepSpacing.Leading, "spacing", "PNDM is defined on leading steps only");
        When(StepsOffset < 0, "stepsOffset", "must be at least 0");
        When(
            StepsOffset > 0 && (isFlow || Spacing != TimestepSpacing.Leading),
            "stepsOffset",
            "does nothing without leading spacing of a DDPM schedule"
        );
        When(CompatibleSteps && (isFlow || Kind != SamplerKind.Ddim), "compatibleSteps", "does nothing but in DDIM on a DDPM schedule");
        When(
            SetAlphaToOne && (isFlow || Kind is not (SamplerKind.Ddim or SamplerKind.Pndm)),
            "setAlphaToOne",
            "does nothing but in DDIM and PNDM on a DDPM schedule"
        );
        When(
            ClipRange is not null && Kind is not (SamplerKind.Ddim or SamplerKind.Ddpm or SamplerKind.Heun),
            "clipRange",
            "is for DDIM, DDPM and Heun"
        );
        When(ClipRange is { } range && !(range > 0 && double.IsFinite(range)), "clipRange", "must be above 0");
        When(!(Eta is >= 0 and <= 1), "eta", "must lie between 0 and 1");
        When(Eta > 0 && Kind != SamplerKind.Ddim, "eta", "does nothing but in DDIM");
        When(LargeVariance && Kind != SamplerKind.Ddpm, "largeVariance", "does nothing but in DDPM");
        When(!Enum.IsDefined(Sigmas), "sigmas", "is no spacing of σ");
        When(
            Sigmas != SigmaSpacing.Schedule && (isFlow || !StepsInSigma(Kind)),
            "sigmas",
            "is for Euler, Heun, LMS, DPM-Solver++ and UniPC on a DDPM schedule"
        );
        When(
            EndAtLeastNoise && (isFlow || !(Kind == SamplerKind.Euler || StepsInLambda(Kind))),
            "endAtLeastNoise",
            "is for Euler, DPM-Solver++ and UniPC on a DDPM schedule"
        );
        When(SolverOrder != DefaultOrder && !StepsInLambda(Kind), "solverOrder", "does nothing but in DPM-Solver++ and UniPC");
        When(
            StepsInLambda(Kind) && !(SolverOrder >= 1 && SolverOrder <= (Kind == SamplerKind.UniPc ? 3 : 2)),
            "solverOrder",
            "must be 1 or 2 for DPM-Solver++, 1 to 3 for UniPC"
        );
        When(!LowerOrderFinal && !StepsInLambda(Kind), "lowerOrderFinal", "does nothing but in DPM-Solver++ and UniPC");
        When(!Enum.IsDefined(UniPcVariant), "uniPcVariant", "is no B(h)");
        When(UniPcVariant != UniPcVariant.Bh2 && Kind != SamplerKind.UniPc, "uniPcVariant", "does nothing but in UniPC");
        return problems;

        void When(bool wrong, string member, string what)
        {
            if (wrong)
                problems.Add($"{path}.{member}: {what}.");
        }
    }

    /// <summary>How a model's own configuration samples it: <see cref="SchedulerConfig.Read"/> without its notes.</summary>
    /// <param name="json">scheduler_config.json.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">A member is of another kind, or asks for what is not supported.</exception>
    public static SamplerOptions FromSchedulerConfig(JsonObject json, string origin = "scheduler_config.json") =>
        SchedulerConfig.Read(json, origin).Options;
}
