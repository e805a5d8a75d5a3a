using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers.Solvers;

/// <summary>
/// PNDM without its Runge-Kutta steps, "PLMS", the method that Stable Diffusion 1 was published with: DDIM's transfer with a mean of the
/// last four ε̂ (Liu et al., "Pseudo Numerical Methods for Diffusion Models on Manifolds", ICLR 2022, eq. 9 and 12). The first step calls
/// the network twice, for a mean of ε̂ at both its ends. DDPM networks only.
/// </summary>
public sealed record Pndm : Solver
{
    /// <summary>Ends without any noise instead of at the schedule's first step.</summary>
    public bool SetAlphaToOne { get; init; }

    /// <inheritdoc/>
    public override string Name => "pndm";

    /// <inheritdoc/>
    public override string Title => "PNDM";

    /// <inheritdoc/>
    public override SolverLevels Levels => SolverLevels.Timesteps;

    /// <inheritdoc/>
    // Its weights are those of steps that are even in the schedule's time.
    public override int? Order => null;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Schedulers => ["PNDMScheduler"];

    /// <inheritdoc/>
    public override TimestepSpacing? OnlySpacing => TimestepSpacing.Leading;

    /// <inheritdoc/>
    public override bool EndsWithoutNoise => SetAlphaToOne;

    /// <inheritdoc/>
    public override IEnumerable<(string Member, string Problem)> Validate(SamplerOptions options, Formulation formulation)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (formulation is FlowFormulation)
            yield return ("solver", "PNDM is for DDPM networks; sample a flow with euler, heun, dpmpp-2m or unipc");
        else if (options.Spacing != TimestepSpacing.Leading)
            yield return ("spacing", "PNDM is defined on leading steps only");
        if (formulation is DdpmFormulation { Schedule.ZeroTerminalSnr: true })
            yield return ("solver", "PNDM cannot start where nothing is left of the signal; with a zero terminal SNR use ddim or euler");
    }

    /// <inheritdoc/>
    public override Solver Read(SchedulerMembers scheduler, bool own)
    {
        ArgumentNullException.ThrowIfNull(scheduler);
        return scheduler.IsFlow
            ? this
            : this with
            {
                SetAlphaToOne = scheduler.Members.Boolean("set_alpha_to_one", scheduler.ClassName == "DDIMScheduler"),
            };
    }

    /// <inheritdoc/>
    public override void Check(SchedulerMembers scheduler)
    {
        ArgumentNullException.ThrowIfNull(scheduler);
        // diffusers' default is false, which nobody publishes for latents.
        if (!scheduler.Members.Boolean("skip_prk_steps", false))
            throw scheduler.Members.Wrong("skip_prk_steps", "true: PNDM's Runge-Kutta steps are not supported; choose another sampler");
        scheduler.OneOf("timestep_spacing", "leading", "leading");
    }

    /// <inheritdoc/>
    public override ISolverRun Start(Formulation formulation) =>
        new Trajectory((formulation as DdpmFormulation)?.Prediction == PredictionType.VPrediction);

    /// <param name="asVelocity">The mean is one of v̂: then ẑ0 and ε̂ are read from it where the step starts.</param>
    private sealed class Trajectory(bool asVelocity) : ISolverRun
    {
        private static readonly double[][] Weights =
        [
            [1],
            [1.5, -0.5],
            [23.0 / 12, -16.0 / 12, 5.0 / 12],
            [55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24],
        ];

        private readonly PastValues _past = new(4);

        public Tensor Step(SolverStep step)
        {
            var transition = step.Transition;
            var from = transition.From;
            _past.Add(from, Output(step.Denoised, from));
            var mean = _past.Sum(Weights[_past.Values.Count - 1]);
            if (step.Index == 0 && !step.IsLast)
            {
                var there = step.Evaluate(transition.Along(step.Noisy, Noise(step.Noisy, mean, from)), transition.To);
                mean = (mean + Output(there, transition.To)) * 0.5;
            }

            return transition.Along(step.Noisy, Noise(step.Noisy, mean, from));
        }

        public void Dispose() => _past.Dispose();

        private Tensor Output(Denoised denoised, NoisePoint at) =>
            asVelocity ? (denoised.Noise * at.A) - (denoised.Z0.Value * at.B) : denoised.Noise;

        private Tensor Noise(Tensor noisy, Tensor output, NoisePoint at) => asVelocity ? (noisy * at.B) + (output * at.A) : output;
    }
}
