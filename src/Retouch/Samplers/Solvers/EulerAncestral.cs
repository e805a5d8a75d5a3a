using Retouch.Diffusion;

namespace Retouch.Samplers.Solvers;

/// <summary>
/// Euler's noise levels with noise of the posterior's variance added in each step (k-diffusion's <c>sample_euler_ancestral</c> with η = 1).
/// </summary>
public sealed record EulerAncestral : Solver
{
    /// <inheritdoc/>
    public override string Name => "euler-a";

    /// <inheritdoc/>
    public override string Title => "ancestral Euler";

    /// <inheritdoc/>
    public override SolverLevels Levels => SolverLevels.Sigma;

    /// <inheritdoc/>
    public override int? Order => null;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Schedulers => ["EulerAncestralDiscreteScheduler"];

    /// <inheritdoc/>
    // σ_up² = σ_s²·(σ_t² − σ_s²)/σ_t² of z/a is the posterior's variance: DDIM with η = 1 on Euler's levels.
    public override ISolverRun Start(Formulation formulation) =>
        new SingleStepRun(static step => Ddim.Rule(step.Transition, step.Denoised, 1, step.DrawNoise()));
}
