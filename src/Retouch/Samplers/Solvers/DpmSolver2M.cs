using Retouch.Autoencoders;
using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers.Solvers;

/// <summary>
/// DPM-Solver++(2M), a multistep method in λ (Lu et al., "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models",
/// 2022, algorithm 2).
/// </summary>
public sealed record DpmSolver2M : Solver
{
    // diffusers lowers the order of the last step for short trajectories only.
    private const int FewSteps = 15;

    /// <summary>Order: 1 or 2.</summary>
    public int SolverOrder { get; init; } = 2;

    /// <summary>
    /// Use first order in the last step for fewer than 15 steps, for stability. If sampling ends at zero noise, the last step is always of
    /// first order.
    /// </summary>
    public bool LowerOrderFinal { get; init; } = true;

    /// <summary>End at the schedule's minimum noise level instead of zero.</summary>
    public bool EndAtLeastNoise { get; init; }

    /// <inheritdoc/>
    public override string Name => "dpmpp-2m";

    /// <inheritdoc/>
    public override string Title => "DPM-Solver++(2M)";

    /// <inheritdoc/>
    public override SolverLevels Levels => SolverLevels.Lambda;

    /// <inheritdoc/>
    public override int? Order => SolverOrder;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Schedulers => ["DPMSolverMultistepScheduler"];

    /// <inheritdoc/>
    public override IReadOnlyList<string> Relatives => ["DPMSolverSinglestepScheduler", "DEISMultistepScheduler"];

    /// <inheritdoc/>
    public override bool EndsAtLeastNoise => EndAtLeastNoise;

    /// <inheritdoc/>
    public override IEnumerable<(string Member, string Problem)> Validate(SamplerOptions options, Formulation formulation)
    {
        if (SolverOrder is not (1 or 2))
            yield return ("solverOrder", "must be 1 or 2");
        if (EndAtLeastNoise && formulation is FlowFormulation)
            yield return ("endAtLeastNoise", "is for DDPM schedules");
    }

    /// <inheritdoc/>
    public override Solver Read(SchedulerMembers scheduler, bool own)
    {
        ArgumentNullException.ThrowIfNull(scheduler);
        var read = this with { EndAtLeastNoise = scheduler.EndsAtLeastNoise };
        return own
            ? read with
            {
                SolverOrder = scheduler.Members.Integer("solver_order", 2),
                LowerOrderFinal = scheduler.Members.Boolean("lower_order_final", true),
            }
            : read;
    }

    /// <inheritdoc/>
    public override void Check(SchedulerMembers scheduler)
    {
        ArgumentNullException.ThrowIfNull(scheduler);
        var members = scheduler.Members;
        // diffusers itself replaces these names of other solvers.
        members.OneOf("algorithm_type", "dpmsolver++", "dpmsolver++", "deis");
        members.OneOf("solver_type", "midpoint", "midpoint", "logrho", "bh1", "bh2");
        if (members.Integer("solver_order", 2) > 2)
            throw members.Wrong("solver_order", "1 or 2");
        members.Only("euler_at_final", false, "it is not supported");
        if (!double.IsNegativeInfinity(members.NumberOrInfinity("lambda_min_clipped", double.NegativeInfinity)))
            throw members.Wrong("lambda_min_clipped", "-Infinity: clipping is not supported");
        members.Only("variance_type", null, also: "");
    }

    /// <inheritdoc/>
    public override ISolverRun Start(Formulation formulation) => new Trajectory(this);

    /// <summary>
    /// (b_s/b_t)·z_t − a_s·(e^−h − 1)·D with h the increase of λ = ln(a/b), D = ẑ0 + h/(2·h')·(ẑ0 − ẑ0'), where primes denote the previous
    /// step. First order in the first step, and at zero noise, where λ is infinite.
    /// </summary>
    /// <param name="transition">From t to s.</param>
    /// <param name="noisy">z_t.</param>
    /// <param name="z0">ẑ0.</param>
    /// <param name="before">Previous step and its ẑ0; null for the first step.</param>
    public static Tensor Rule(Transition transition, Tensor noisy, Latent z0, (Transition Step, Latent Z0)? before)
    {
        ArgumentNullException.ThrowIfNull(noisy);
        ArgumentNullException.ThrowIfNull(z0);
        var (from, to) = (transition.From, transition.To);
        var growth = to.Lambda - from.Lambda;
        using var scope = TensorScope.Enter();
        var data = z0.Value;
        if (before is { } last && to.B > 0)
        {
            var ratio = (from.Lambda - last.Step.From.Lambda) / growth;
            data += (z0.Value - last.Z0.Value) * (0.5 / ratio);
        }

        // e^−h − 1 in a form without differences of infinities.
        var decay = to.B * from.A / (from.B * to.A);
        return scope.Keep((noisy * (to.B / from.B)) + (data * (to.A * (1 - decay))));
    }

    private sealed class Trajectory(DpmSolver2M options) : ISolverRun
    {
        private (Transition Step, Latent Z0)? _before;

        public Tensor Step(SolverStep step)
        {
            var lower = options.SolverOrder == 1 || (step.IsLast && options.LowerOrderFinal && step.Plan.Steps.Count < FewSteps);
            var next = Rule(step.Transition, step.Noisy, step.Denoised.Z0, lower ? null : _before);
            Dispose();
            _before = (step.Transition, new Latent(step.Denoised.Z0.Value.Alias().Escape()));
            return next;
        }

        public void Dispose() => _before?.Z0.Value.Dispose();
    }
}
