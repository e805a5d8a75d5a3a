using Retouch.Diffusion;
using Retouch.Torch;

namespace Retouch.Samplers.Solvers;

/// <summary>
/// PNDM without its Runge-Kutta steps ("PLMS"), the original sampler of Stable Diffusion 1: DDIM's transfer with a linear combination of
/// the last four ε̂ (Liu et al., "Pseudo Numerical Methods for Diffusion Models on Manifolds", ICLR 2022, eq. 9 and 12). The first step
/// evaluates the network twice and averages ε̂ at both ends. DDPM networks only.
/// </summary>
public sealed record Pndm : Solver
{
    /// <summary>End at zero noise instead of at the schedule's first timestep.</summary>
    public bool SetAlphaToOne { get; init; }

    /// <inheritdoc/>
    public override string Name => "pndm";

    /// <inheritdoc/>
    public override string Title => "PNDM";

    /// <inheritdoc/>
    public override SolverLevels Levels => SolverLevels.Timesteps;

    /// <inheritdoc/>
    // Its weights assume steps that are uniform in the schedule's timestep.
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
            yield return ("spacing", "PNDM is defined on leading spacing only");
        if (formulation is DdpmFormulation { Schedule.ZeroTerminalSnr: true })
            yield return ("solver", "PNDM does not support a zero terminal SNR; use ddim or euler");
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
        // diffusers' default is false, which no published latent model uses.
        if (!scheduler.Members.Boolean("skip_prk_steps", false))
            throw scheduler.Members.Wrong("skip_prk_steps", "true: PNDM's Runge-Kutta steps are not supported; choose another sampler");
        scheduler.Members.OneOf("timestep_spacing", "leading", "leading");
    }

    /// <inheritdoc/>
    public override ISolverRun Start(Formulation formulation) =>
        new Trajectory((formulation as DdpmFormulation)?.Prediction == PredictionType.VPrediction);

    /// <param name="asVelocity">Whether v̂ is combined instead of ε̂; ẑ0 and ε̂ then follow from it at the start of the step.</param>
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
