using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Samplers.Solvers;

namespace Retouch.Samplers;

/// <summary>Noise levels of solvers in σ or ln σ on a DDPM schedule.</summary>
public enum SigmaSpacing
{
    /// <summary>Noise levels of the timesteps that <see cref="TimestepSpacing"/> selects.</summary>
    Schedule,

    /// <summary>Uniform in σ^(1/7) (Karras et al. 2022, eq. 5).</summary>
    Karras,

    /// <summary>Uniform in ln σ.</summary>
    Exponential,

    /// <summary>
    /// Quantiles of the beta distribution with α = β = 0.6: dense at both ends (Lee et al., "Beta Sampling is All You Need", 2024).
    /// </summary>
    Beta,
}

/// <summary>Timestep spacing on a DDPM schedule, with diffusers' names (Lin et al. 2024, table 2). Flows have their own grid.</summary>
public enum TimestepSpacing
{
    /// <summary>Uniform, including the last timestep: sampling starts at the noisiest one.</summary>
    Trailing,

    /// <summary>Uniform, from the first timestep: the noisiest ones are left out, as in Stable Diffusion 1 and 2 and SDXL.</summary>
    Leading,

    /// <summary>Uniform, including both ends.</summary>
    Linspace,
}

/// <summary>Sampler: a solver with its options, and its noise levels.</summary>
public sealed record SamplerOptions
{
    /// <summary>The solver.</summary>
    public Solver Solver { get; init; } = new Ddim();

    /// <summary>Timestep spacing on a DDPM schedule.</summary>
    public TimestepSpacing Spacing { get; init; }

    /// <summary>Offset added to each timestep of leading spacing, at least 0; published Stable Diffusion models use 1.</summary>
    public int StepsOffset { get; init; }

    /// <summary>Spacing of noise levels for methods in σ or λ on DDPM networks.</summary>
    public SigmaSpacing Sigmas { get; init; }

    /// <summary>Validation problems, one sentence each; empty for valid options.</summary>
    /// <param name="formulation">Formulation of the model.</param>
    /// <param name="path">Path of the options in messages, such as <c>sampler</c>.</param>
    public IReadOnlyList<string> Validate(Formulation formulation, string path = "sampler")
    {
        List<string> problems = [];
        var isFlow = formulation is FlowFormulation;
        When(!Enum.IsDefined(Spacing), "spacing", "is not a spacing");
        When(isFlow && Spacing != TimestepSpacing.Trailing, "spacing", "is for DDPM schedules; a flow is sampled on its shifted times");
        When(StepsOffset < 0, "stepsOffset", "must be at least 0");
        When(
            StepsOffset > 0 && (isFlow || Spacing != TimestepSpacing.Leading),
            "stepsOffset",
            "has no effect without leading spacing of a DDPM schedule"
        );
        When(!Enum.IsDefined(Sigmas), "sigmas", "is not a spacing of σ");
        When(
            Sigmas != SigmaSpacing.Schedule && (isFlow || Solver.Levels == SolverLevels.Timesteps),
            "sigmas",
            "is for methods in σ or λ on a DDPM schedule"
        );
        foreach (var (member, problem) in Solver.Validate(this, formulation))
            When(true, member, problem);
        return problems;

        void When(bool wrong, string member, string what)
        {
            if (wrong)
                problems.Add($"{path}.{member}: {what}.");
        }
    }

    /// <summary>Default sampler of a model's scheduler configuration: <see cref="SchedulerConfig.Read"/> without its note.</summary>
    /// <param name="json">scheduler_config.json.</param>
    /// <param name="origin">File name for messages.</param>
    /// <exception cref="InputException">A member has the wrong type or an unsupported value.</exception>
    public static SamplerOptions FromSchedulerConfig(JsonObject json, string origin = "scheduler_config.json") =>
        SchedulerConfig.Read(json, origin).Options;
}
