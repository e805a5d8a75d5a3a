using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers.Solvers;

/// <summary>
/// Heun's second-order method: an Euler step, a second network evaluation at its end, and the mean of both directions; in σ for DDPM
/// networks (Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", NeurIPS 2022, algorithm 1 without churn),
/// in t for flows. Two network evaluations per step, except for the last, which is an Euler step.
/// </summary>
public sealed record Heun : Solver
{
    /// <summary>Clamp ẑ0 to ± this value, or null. For pixel-space networks; latents are unbounded.</summary>
    public double? ClipRange { get; init; }

    /// <inheritdoc/>
    public override string Name => "heun";

    /// <inheritdoc/>
    public override string Title => "Heun";

    /// <inheritdoc/>
    public override SolverLevels Levels => SolverLevels.Sigma;

    /// <inheritdoc/>
    public override int? Order => 2;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Schedulers => ["HeunDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"];

    /// <inheritdoc/>
    public override IEnumerable<(string Member, string Problem)> Validate(SamplerOptions options, Formulation formulation) =>
        ClipProblems(ClipRange);

    /// <inheritdoc/>
    public override Solver Read(SchedulerMembers scheduler, bool own)
    {
        ArgumentNullException.ThrowIfNull(scheduler);
        return scheduler.IsFlow ? this : this with { ClipRange = ClipOf(scheduler) };
    }

    /// <inheritdoc/>
    // As in diffusers, the direction is from z to the clamped ẑ0.
    public override Denoised Limit(Denoised denoised, Tensor noisy, NoisePoint at)
    {
        if (ClipRange is not { } range)
            return denoised;
        var clamped = Clamp(denoised, range);
        return clamped with { Noise = (noisy - (clamped.Z0.Value * at.A)) / at.B };
    }

    /// <inheritdoc/>
    public override ISolverRun Start(Formulation formulation)
    {
        var inTime = formulation is FlowFormulation;
        return new SingleStepRun(step =>
        {
            var transition = step.Transition;
            var reached = Ddim.Rule(transition, step.Denoised);
            return transition.To.B > 0
                ? Rule(transition, step.Noisy, step.Denoised, step.Evaluate(reached, transition.To), inTime)
                : reached;
        });
    }

    /// <summary>
    /// Mean of two directions over the step. For variance-preserving schedules in σ, where the derivative of z/a is ε̂; for flows in t,
    /// where the derivative of z is v̂ = ε̂ − ẑ0.
    /// </summary>
    /// <param name="transition">From t to s.</param>
    /// <param name="noisy">z_t.</param>
    /// <param name="here">Network prediction at z_t.</param>
    /// <param name="there">Network prediction after the Euler step, at the smaller level.</param>
    /// <param name="inTime">Whether the step is in t instead of σ.</param>
    public static Tensor Rule(Transition transition, Tensor noisy, Denoised here, Denoised there, bool inTime)
    {
        ArgumentNullException.ThrowIfNull(noisy);
        ArgumentNullException.ThrowIfNull(here);
        ArgumentNullException.ThrowIfNull(there);
        using var scope = TensorScope.Enter();
        var noises = here.Noise + there.Noise;
        return scope.Keep(
            inTime
                ? noisy + ((noises - here.Z0.Value - there.Z0.Value) * ((transition.To.B - transition.From.B) / 2))
                : transition.Along(noisy, noises * 0.5)
        );
    }
}
