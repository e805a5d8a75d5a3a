using Retouch.Core.Errors;
using Retouch.Diffusion;

namespace Retouch.Samplers;

/// <summary>The noise levels that a sampler goes through. They are diffusers' own for each of its schedulers.</summary>
/// <param name="Steps">In order. A step need not end where the next begins: DDIM counts back by a whole number of steps, whatever the grid
/// rounds to.</param>
/// <param name="InitialScale">What normal noise is multiplied by to start.</param>
public sealed record SamplingPlan(IReadOnlyList<Transition> Steps, double InitialScale)
{
    // No noise at all.
    private static readonly NoisePoint Clean = new(0, 1, 0);

    /// <summary>Plans a number of steps.</summary>
    /// <param name="formulation">What is sampled from.</param>
    /// <param name="options">How.</param>
    /// <param name="steps">At least 1, for a DDPM schedule at most as many as it has.</param>
    /// <param name="tokens">What a transformer makes of the latents, for flows whose shift depends on the size; see
    /// <see cref="DynamicShift"/>.</param>
    /// <exception cref="UsageException">The options do not go with the formulation, or the steps do not fit the schedule.</exception>
    public static SamplingPlan Create(Formulation formulation, SamplerOptions options, int steps, int? tokens = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Validate(formulation) is { Count: > 0 } problems)
            throw new UsageException(string.Join('\n', problems));
        if (steps < 1)
            throw new UsageException($"{steps} sampling steps; at least 1 is needed.");
        return formulation switch
        {
            FlowFormulation flow => OfFlow(flow, options, steps, flow.ShiftFor(tokens)),
            DdpmFormulation ddpm => OfSchedule(ddpm, options, steps),
            _ => throw new UsageException($"{formulation.GetType().Name} has no samplers."),
        };
    }

    /// <summary>
    /// Even times from 1 to the schedule's least, then shifted: the least is shifted already, and is shifted again, in diffusers too.
    /// </summary>
    private static double[] FlowTimes(FlowFormulation flow, int steps, double shift)
    {
        // A shift that depends on the size is not in the schedule's own times.
        var last = flow.Dynamic is null ? FlowFormulation.ShiftTime(1.0 / flow.TrainSteps, shift) : 1.0 / flow.TrainSteps;
        return
        [
            .. Enumerable
                .Range(0, steps)
                .Select(k => flow.TrainSteps * FlowFormulation.ShiftTime(steps == 1 ? 1 : 1 + ((last - 1) * k / (steps - 1)), shift)),
        ];
    }

    /// <summary>
    /// What solvers in λ go through on a flow: from one step below pure noise, where λ is finite, evenly to none, then shifted. The network
    /// is told whole steps, rounded down, as in diffusers.
    /// </summary>
    private static NoisePoint[] FlowSigmas(FlowFormulation flow, int steps, double shift)
    {
        var most = 1 - (1.0 / flow.TrainSteps);
        return
        [
            .. Enumerable
                .Range(0, steps)
                .Select(k =>
                {
                    var t = FlowFormulation.ShiftTime(most - (most * k / steps), shift);
                    return new NoisePoint(Math.Floor(t * flow.TrainSteps), 1 - t, t);
                }),
        ];
    }

    private static SamplingPlan OfFlow(FlowFormulation flow, SamplerOptions options, int steps, double shift) =>
        new(
            Chain(
                options.Solver.Levels == SolverLevels.Lambda
                    ? FlowSigmas(flow, steps, shift)
                    : [.. FlowTimes(flow, steps, shift).Select(flow.PointAt)],
                Clean
            ),
            1
        );

    private static SamplingPlan OfSchedule(DdpmFormulation ddpm, SamplerOptions options, int steps)
    {
        var times = Times(ddpm.TrainSteps, options, steps);
        if (options.Solver.Levels == SolverLevels.Timesteps)
        {
            var stride = ddpm.TrainSteps / steps;
            var end = options.Solver.EndsWithoutNoise ? Clean : ddpm.PointAt(0);
            return new([.. times.Select(t => new Transition(ddpm.PointAt(t), t - stride >= 0 ? ddpm.PointAt(t - stride) : end))], 1);
        }

        var points = Array.ConvertAll(times, ddpm.FinitePointAt);
        if (options.Solver.Levels == SolverLevels.Lambda)
        {
            if (options.Sigmas != SigmaSpacing.Schedule)
                points = Array.ConvertAll(
                    SigmaLevels.Create(options.Sigmas, ddpm.Sigmas[0], ddpm.Sigmas[^1], steps),
                    s => Whole(ddpm.PointOfSigma(s), options.Sigmas)
                );
            var least = options.Solver.EndsAtLastLevel && options.Sigmas != SigmaSpacing.Schedule ? points[^1] : ddpm.FinitePointAt(0);
            return new(Chain(points, options.Solver.EndsAtLeastNoise ? least : Clean), 1);
        }

        if (options.Sigmas != SigmaSpacing.Schedule)
            points = Array.ConvertAll(SigmaLevels.Create(options.Sigmas, points[^1].Sigma, points[0].Sigma, steps), ddpm.PointOfSigma);
        // A start at the noisiest step has b of noise there and nothing of a signal; a start below it counts as one of unit variance.
        return new(
            Chain(points, options.Solver.EndsAtLeastNoise ? ddpm.FinitePointAt(0) : Clean),
            options.Spacing == TimestepSpacing.Leading ? 1 : points[0].B
        );
    }

    /// <summary>
    /// Solvers in λ tell the network whole steps: the nearest for Karras' levels, the one below for the others, as in diffusers.
    /// </summary>
    private static NoisePoint Whole(NoisePoint point, SigmaSpacing spacing) =>
        point with
        {
            Timestep = spacing == SigmaSpacing.Karras ? Math.Round(point.Timestep) : Math.Floor(point.Timestep),
        };

    private static Transition[] Chain(NoisePoint[] points, NoisePoint end) =>
        [.. points.Select((p, k) => new Transition(p, k + 1 < points.Length ? points[k + 1] : end))];

    /// <summary>Steps of the schedule from the noisiest down.</summary>
    private static double[] Times(int trainSteps, SamplerOptions options, int steps)
    {
        // Solvers in λ lay one more point than they visit, so that the last step is as long as the others.
        var extra = options.Solver.Levels == SolverLevels.Lambda && options.Spacing != TimestepSpacing.Trailing ? 1 : 0;
        var points = steps + extra;
        if (points > trainSteps)
            throw new UsageException($"{steps} sampling steps from a schedule of {trainSteps}: ask for at most {trainSteps - extra}.");
        var backwards = Enumerable.Range(0, steps);
        // Methods in σ take fractions of steps; the others were defined on whole ones.
        var fractions = options.Solver.Levels == SolverLevels.Sigma;
        double[] times = options.Spacing switch
        {
            TimestepSpacing.Leading => [.. backwards.Select(k => (double)((points - 1 - k) * (trainSteps / points)) + options.StepsOffset)],
            TimestepSpacing.Trailing => [.. backwards.Select(k => Math.Round(trainSteps - (k * ((double)trainSteps / steps))) - 1)],
            _ =>
            [
                .. backwards
                    .Select(k => points == 1 ? 0 : (points - 1 - k) * (trainSteps - 1.0) / (points - 1))
                    .Select(t => fractions ? t : Math.Round(t)),
            ],
        };
        if (times[0] > trainSteps - 1)
            throw new UsageException(
                $"With a steps offset of {options.StepsOffset}, {steps} leading steps reach beyond a schedule of {trainSteps}; "
                    + $"ask for fewer, or use trailing spacing."
            );
        return times;
    }
}
