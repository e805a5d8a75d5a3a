using Retouch.Diffusion;

namespace Retouch.Samplers.Solvers;

/// <summary>
/// Euler's method: in σ for DDPM networks (Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", NeurIPS
/// 2022, algorithm 1 without churn and correction), in t for flows. Its step equals DDIM without noise, on different levels.
/// </summary>
public sealed record Euler : Solver
{
    /// <summary>End at the schedule's minimum noise level instead of zero.</summary>
    public bool EndAtLeastNoise { get; init; }

    /// <inheritdoc/>
    public override string Name => "euler";

    /// <inheritdoc/>
    public override string Title => "Euler";

    /// <inheritdoc/>
    public override SolverLevels Levels => SolverLevels.Sigma;

    /// <inheritdoc/>
    public override int? Order => 1;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Schedulers => ["EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"];

    /// <inheritdoc/>
    public override bool EndsAtLeastNoise => EndAtLeastNoise;

    /// <inheritdoc/>
    public override IEnumerable<(string Member, string Problem)> Validate(SamplerOptions options, Formulation formulation)
    {
        if (EndAtLeastNoise && formulation is FlowFormulation)
            yield return ("endAtLeastNoise", "is for DDPM schedules");
    }

    /// <inheritdoc/>
    public override Solver Read(SchedulerMembers scheduler, bool own)
    {
        ArgumentNullException.ThrowIfNull(scheduler);
        return this with { EndAtLeastNoise = scheduler.EndsAtLeastNoise };
    }

    /// <inheritdoc/>
    public override void Check(SchedulerMembers scheduler)
    {
        ArgumentNullException.ThrowIfNull(scheduler);
        if (scheduler.IsFlow)
            return;
        scheduler.Members.OneOf("interpolation_type", "linear", "linear");
        scheduler.Members.OneOf("timestep_type", "discrete", "discrete");
    }

    /// <inheritdoc/>
    public override ISolverRun Start(Formulation formulation) =>
        new SingleStepRun(static step => Ddim.Rule(step.Transition, step.Denoised));
}
