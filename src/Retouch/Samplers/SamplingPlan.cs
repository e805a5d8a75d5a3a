using Retouch.Core.Errors;
using Retouch.Diffusion;

namespace Retouch.Samplers;

/// <summary>Noise levels of a sampler, identical to those of the corresponding diffusers scheduler.</summary>
/// <param name="Steps">Steps in order. Each ends where the next begins, except with <see cref="Solver.KeepsStride"/>.</param>
/// <param name="InitialScale">Factor on the initial standard normal noise.</param>
public sealed record SamplingPlan(IReadOnlyList<Transition> Steps, double InitialScale)
{
    // Noise level zero.
    private static readonly NoisePoint Clean = new(0, 1, 0);

    /// <summary>Creates a plan.</summary>
    /// <param name="formulation">Formulation of the model.</param>
    /// <param name="options">Sampler options.</param>
    /// <param name="steps">Number of steps: at least 1 and, on a DDPM schedule, at most its length.</param>
    /// <param name="tokens">Number of transformer tokens per latent, for flows with a resolution-dependent shift; see
    /// <see cref="DynamicShift"/>.</param>
    /// <exception cref="UsageException">The options do not fit the formulation, or the number of steps does not fit the
    /// schedule.</exception>
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
    /// Uniform times from 1 to the minimum of the schedule, then shifted: the minimum is already shifted and is shifted again, as in
    /// diffusers.
    /// </summary>
    private static double[] FlowTimes(FlowFormulation flow, int steps, double shift)
    {
        // A resolution-dependent shift is not part of the schedule's times.
        var last = flow.Dynamic is null ? FlowFormulation.ShiftTime(1.0 / flow.TrainSteps, shift) : 1.0 / flow.TrainSteps;
        return
        [
            .. Enumerable
                .Range(0, steps)
                .Select(k => flow.TrainSteps * FlowFormulation.ShiftTime(steps == 1 ? 1 : 1 + ((last - 1) * k / (steps - 1)), shift)),
        ];
    }

    /// <summary>
    /// Times of λ solvers on a flow: uniform from one step below pure noise, where λ is finite, to zero, then shifted. The network receives
    /// whole timesteps, rounded down, as in diffusers.
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
            var end = options.Solver.EndsWithoutNoise ? Clean : ddpm.PointAt(0);
            if (!options.Solver.KeepsStride)
                return new(Chain(Array.ConvertAll(times, ddpm.PointAt), end), 1);
            var stride = ddpm.TrainSteps / steps;
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
        // At the noisiest timestep the start is pure noise with deviation b; a later start is scaled to unit variance.
        return new(
            Chain(points, options.Solver.EndsAtLeastNoise ? ddpm.FinitePointAt(0) : Clean),
            options.Spacing == TimestepSpacing.Leading ? 1 : points[0].B
        );
    }

    /// <summary>
    /// λ solvers pass whole timesteps to the network: the nearest for Karras' levels, rounded down for others, as in diffusers.
    /// </summary>
    private static NoisePoint Whole(NoisePoint point, SigmaSpacing spacing) =>
        point with
        {
            Timestep = spacing == SigmaSpacing.Karras ? Math.Round(point.Timestep) : Math.Floor(point.Timestep),
        };

    private static Transition[] Chain(NoisePoint[] points, NoisePoint end) =>
        [.. points.Select((p, k) => new Transition(p, k + 1 < points.Length ? points[k + 1] : end))];

    /// <summary>Timesteps of the schedule, descending.</summary>
    private static double[] Times(int trainSteps, SamplerOptions options, int steps)
    {
        // λ solvers place one more point than they visit, so that the last step is as long as the others.
        var extra = options.Solver.Levels == SolverLevels.Lambda && options.Spacing != TimestepSpacing.Trailing ? 1 : 0;
        var points = steps + extra;
        if (points > trainSteps)
            throw new UsageException($"{steps} sampling steps from a schedule of {trainSteps}: use at most {trainSteps - extra}.");
        var backwards = Enumerable.Range(0, steps);
        // σ solvers use fractional timesteps; the others are defined on whole ones.
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
                $"With a steps offset of {options.StepsOffset}, {steps} leading steps exceed a schedule of {trainSteps}; "
                    + $"use fewer steps, or trailing spacing."
            );
        return times;
    }
}
