using System.Text.Json.Nodes;
using Retouch.Formulations;
using Retouch.Torch.Errors;
using Retouch.Torch.Io;

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
}

/// <summary>Which steps of a DDPM schedule are visited, by diffusers' names (Lin et al. 2024, table 2). Flows have their own grid.</summary>
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

    /// <summary>DDIM: end without any noise instead of at the schedule's first step.</summary>
    public bool SetAlphaToOne { get; init; }

    /// <summary>DDIM and DDPM: ẑ0 is clamped to plus and minus this. For networks on pixels; latents are not bounded.</summary>
    public double? ClipRange { get; init; }

    /// <summary>DDIM: share of the posterior's deviation that is put back as noise, from 0 to 1.</summary>
    public double Eta { get; init; }

    /// <summary>DDPM: the larger of the two variances of Ho et al. 2020, section 3.2.</summary>
    public bool LargeVariance { get; init; }

    /// <summary>Euler and DPM-Solver++ on DDPM networks: levels even in σ^(1/7) (Karras et al. 2022, eq. 5).</summary>
    public bool KarrasSigmas { get; init; }

    /// <summary>What is wrong with the options, one sentence each; nothing where all is well.</summary>
    /// <param name="formulation">What they are to sample from.</param>
    /// <param name="path">Where the options stand, as <c>sampler</c>.</param>
    public IReadOnlyList<string> Validate(Formulation formulation, string path = "sampler")
    {
        List<string> problems = [];
        var isFlow = formulation is FlowFormulation;
        When(!Enum.IsDefined(Kind), "kind", "is no sampler");
        When(!Enum.IsDefined(Spacing), "spacing", "is no spacing");
        When(isFlow && Spacing != TimestepSpacing.Trailing, "spacing", "is for DDPM schedules; a flow is sampled on its shifted times");
        When(StepsOffset < 0, "stepsOffset", "must be at least 0");
        When(StepsOffset > 0 && (isFlow || Spacing != TimestepSpacing.Leading), "stepsOffset", "does nothing without leading spacing of a DDPM schedule");
        When(SetAlphaToOne && (isFlow || Kind != SamplerKind.Ddim), "setAlphaToOne", "does nothing but in DDIM on a DDPM schedule");
        When(ClipRange is not null && Kind is not (SamplerKind.Ddim or SamplerKind.Ddpm), "clipRange", "is for DDIM and DDPM");
        When(ClipRange is { } range && !(range > 0 && double.IsFinite(range)), "clipRange", "must be above 0");
        When(!(Eta is >= 0 and <= 1), "eta", "must lie between 0 and 1");
        When(Eta > 0 && Kind != SamplerKind.Ddim, "eta", "does nothing but in DDIM");
        When(LargeVariance && Kind != SamplerKind.Ddpm, "largeVariance", "does nothing but in DDPM");
        When(KarrasSigmas && (isFlow || Kind is not (SamplerKind.Euler or SamplerKind.DpmSolverPlusPlus)), "karrasSigmas", "is for Euler and DPM-Solver++ on a DDPM schedule");
        When(KarrasSigmas && formulation is DdpmFormulation { Schedule.ZeroTerminalSnr: true }, "karrasSigmas", "has no largest σ to start from with a zero terminal SNR");
        return problems;

        void When(bool wrong, string member, string what)
        {
            if (wrong)
                problems.Add($"{path}.{member}: {what}.");
        }
    }

    /// <summary>
    /// How a model's own configuration samples it. Classes that have no counterpart here (PNDM, Heun, UniPC, …) become DDIM on their steps; they solve the
    /// same equation. Clipping is only taken over where it is written down: diffusers' default for it is wrong for latents.
    /// </summary>
    /// <param name="json">scheduler_config.json.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">A member is of another kind, or asks for what is not supported.</exception>
    public static SamplerOptions FromSchedulerConfig(JsonObject json, string origin = "scheduler_config.json")
    {
        var members = new JsonMembers(json, origin);
        var name = members.Text("_class_name");
        if (name.StartsWith("FlowMatch", StringComparison.Ordinal) || members.Text("prediction_type", "epsilon") == "flow_prediction")
            return new() { Kind = SamplerKind.Euler };
        if (members.Boolean("thresholding", false))
            throw members.Wrong("thresholding", "false: dynamic thresholding is for pixels and is not supported");
        var kind = name switch
        {
            "DDPMScheduler" => SamplerKind.Ddpm,
            "EulerDiscreteScheduler" => SamplerKind.Euler,
            "DPMSolverMultistepScheduler" when members.Text("algorithm_type", "dpmsolver++") == "dpmsolver++" && members.Integer("solver_order", 2) == 2 =>
                SamplerKind.DpmSolverPlusPlus,
            _ => SamplerKind.Ddim,
        };
        var byDefault = kind is SamplerKind.Euler or SamplerKind.DpmSolverPlusPlus ? "linspace" : "leading";
        var spacing = members.Text("timestep_spacing", byDefault) switch
        {
            "leading" => TimestepSpacing.Leading,
            "trailing" => TimestepSpacing.Trailing,
            "linspace" => TimestepSpacing.Linspace,
            _ => throw members.Wrong("timestep_spacing", "one of leading, trailing, linspace"),
        };
        var clips = kind is SamplerKind.Ddim or SamplerKind.Ddpm && members.Boolean("clip_sample", false);
        return new()
        {
            Kind = kind,
            Spacing = spacing,
            StepsOffset = spacing == TimestepSpacing.Leading ? members.Integer("steps_offset", 0, atLeast: 0) : 0,
            SetAlphaToOne = kind == SamplerKind.Ddim && members.Boolean("set_alpha_to_one", name == "DDIMScheduler"),
            ClipRange = clips ? members.Number("clip_sample_range", 1) : null,
            LargeVariance = kind == SamplerKind.Ddpm && members.Text("variance_type", "fixed_small") == "fixed_large",
            KarrasSigmas = kind is SamplerKind.Euler or SamplerKind.DpmSolverPlusPlus && members.Boolean("use_karras_sigmas", false),
        };
    }
}
