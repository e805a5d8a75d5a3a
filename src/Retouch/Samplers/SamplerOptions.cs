using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Samplers.Solvers;

namespace Retouch.Samplers;

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

/// <summary>How pictures are drawn from a denoiser: a method with its own options, and the noise levels it goes through.</summary>
public sealed record SamplerOptions
{
    /// <summary>The method.</summary>
    public Solver Solver { get; init; } = new Ddim();

    /// <summary>Which steps of a DDPM schedule are visited.</summary>
    public TimestepSpacing Spacing { get; init; }

    /// <summary>Added to every step of leading spacing; published Stable Diffusion models use 1.</summary>
    public int StepsOffset { get; init; }

    /// <summary>Methods in σ or λ on DDPM networks: which levels they go through.</summary>
    public SigmaSpacing Sigmas { get; init; }

    /// <summary>What is wrong with the options, one sentence each; nothing where all is well.</summary>
    /// <param name="formulation">What they are to sample from.</param>
    /// <param name="path">Where the options stand, as <c>sampler</c>.</param>
    public IReadOnlyList<string> Validate(Formulation formulation, string path = "sampler")
    {
        List<string> problems = [];
        var isFlow = formulation is FlowFormulation;
        When(!Enum.IsDefined(Spacing), "spacing", "is no spacing");
        When(isFlow && Spacing != TimestepSpacing.Trailing, "spacing", "is for DDPM schedules; a flow is sampled on its shifted times");
        When(StepsOffset < 0, "stepsOffset", "must be at least 0");
        When(
            StepsOffset > 0 && (isFlow || Spacing != TimestepSpacing.Leading),
            "stepsOffset",
            "does nothing without leading spacing of a DDPM schedule"
        );
        When(!Enum.IsDefined(Sigmas), "sigmas", "is no spacing of σ");
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

    /// <summary>How a model's own configuration samples it: <see cref="SchedulerConfig.Read"/> without its notes.</summary>
    /// <param name="json">scheduler_config.json.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">A member is of another kind, or asks for what is not supported.</exception>
    public static SamplerOptions FromSchedulerConfig(JsonObject json, string origin = "scheduler_config.json") =>
        SchedulerConfig.Read(json, origin).Options;
}
