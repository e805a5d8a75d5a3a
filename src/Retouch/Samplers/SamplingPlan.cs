using Retouch.Formulations;
using Retouch.Torch.Errors;

namespace Retouch.Samplers;

/// <summary>The noise levels that a sampler goes through. They are diffusers' own for each of its schedulers.</summary>
/// <param name="Steps">In order. A step need not end where the next begins: DDIM counts back by a whole number of steps, whatever the grid rounds to.</param>
/// <param name="InitialScale">What normal noise is multiplied by to start.</param>
public sealed record SamplingPlan(IReadOnlyList<Transition> Steps, double InitialScale)
{
    // No noise at all.
    private static readonly NoisePoint Clean = new(0, 1, 0);

    /// <summary>Plans a number of steps.</summary>
    /// <param name="formulation">What is sampled from.</param>
    /// <param name="options">How.</param>
    /// <param name="steps">Calls of the network, at least 1, for a DDPM schedule at most as many as it has.</param>
    /// <exception cref="UsageException">The options do not go with the formulation, or the steps do not fit the schedule.</exception>
    public static SamplingPlan Create(Formulation formulation, SamplerOptions options, int steps)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Validate(formulation) is { Count: > 0 } problems)
            throw new UsageException(string.Join('\n', problems));
        if (steps < 1)
            throw new UsageException($"{steps} sampling steps; at least 1 is needed.");
        return formulation switch
        {
            FlowFormulation flow => new(Chain([.. FlowTimes(flow, steps).Select(flow.PointAt)]), 1),
            DdpmFormulation ddpm => OfSchedule(ddpm, options, steps),
            _ => throw new UsageException($"{formulation.GetType().Name} has no samplers."),
        };
    }

    /// <summary>Even times from 1 to the schedule's least, then shifted: the least is shifted already, and is shifted again, in diffusers too.</summary>
    private static double[] FlowTimes(FlowFormulation flow, int steps)
    {
        var last = FlowFormulation.ShiftTime(1.0 / flow.TrainSteps, flow.Shift);
        return [.. Enumerable.Range(0, steps).Select(k =>
            flow.TrainSteps * FlowFormulation.ShiftTime(steps == 1 ? 1 : 1 + ((last - 1) * k / (steps - 1)), flow.Shift))];
    }

    private static SamplingPlan OfSchedule(DdpmFormulation ddpm, SamplerOptions options, int steps)
    {
        var times = Times(ddpm.TrainSteps, options, steps);
        switch (options.Kind)
        {
            case SamplerKind.Euler:
                var points = Array.ConvertAll(times, ddpm.PointAt);
                points = options.KarrasSigmas ? Array.ConvertAll(Karras(points[^1].Sigma, points[0].Sigma, steps), ddpm.PointOfSigma) : points;
                // A start at the noisiest step has b of noise there and nothing of a signal; a start below it counts as one of unit variance.
                return new(Chain(points), options.Spacing == TimestepSpacing.Leading ? 1 : points[0].B);
            case SamplerKind.DpmSolverPlusPlus when options.KarrasSigmas:
                var whole = Karras(ddpm.Sigmas[0], ddpm.Sigmas[^1], steps);
                return new(Chain(Array.ConvertAll(whole, s => Rounded(ddpm.PointOfSigma(s)))), 1);
            case SamplerKind.DpmSolverPlusPlus:
                return new(Chain(Array.ConvertAll(times, ddpm.PointAt)), 1);
            default:
                var stride = ddpm.TrainSteps / steps;
                var end = options.Kind == SamplerKind.Ddpm || options.SetAlphaToOne ? Clean : ddpm.PointAt(0);
                return new([.. times.Select(t => new Transition(ddpm.PointAt(t), t - stride >= 0 ? ddpm.PointAt(t - stride) : end))], 1);
        }
    }

    private static NoisePoint Rounded(NoisePoint point) => point with { Model = Math.Round(point.Model) };

    private static Transition[] Chain(NoisePoint[] points) =>
        [.. points.Select((p, k) => new Transition(p, k + 1 < points.Length ? points[k + 1] : Clean))];

    /// <summary>Steps of the schedule from the noisiest down.</summary>
    private static double[] Times(int trainSteps, SamplerOptions options, int steps)
    {
        // DPM-Solver++ lays one more point than it visits, so that its last step is as long as the others.
        var extra = options.Kind == SamplerKind.DpmSolverPlusPlus && options.Spacing != TimestepSpacing.Trailing ? 1 : 0;
        var points = steps + extra;
        if (points > trainSteps)
            throw new UsageException($"{steps} sampling steps from a schedule of {trainSteps}: ask for at most {trainSteps - extra}.");
        var backwards = Enumerable.Range(0, steps);
        // Euler's method takes fractions of steps; the others were defined on whole ones.
        var fractions = options.Kind == SamplerKind.Euler;
        double[] times = options.Spacing switch
        {
            TimestepSpacing.Leading => [.. backwards.Select(k => (double)((points - 1 - k) * (trainSteps / points)) + options.StepsOffset)],
            TimestepSpacing.Trailing => [.. backwards.Select(k => Math.Round(trainSteps - (k * ((double)trainSteps / steps))) - 1)],
            _ => [.. backwards.Select(k => points == 1 ? 0 : (points - 1 - k) * (trainSteps - 1.0) / (points - 1)).Select(t => fractions ? t : Math.Round(t))],
        };
        if (times[0] > trainSteps - 1)
            throw new UsageException($"With a steps offset of {options.StepsOffset}, {steps} leading steps reach beyond a schedule of {trainSteps}; ask for fewer, or use trailing spacing.");
        return times;
    }

    /// <summary>Levels even in σ^(1/ρ), ρ = 7, from the largest (Karras et al. 2022, eq. 5).</summary>
    private static double[] Karras(double least, double most, int steps)
    {
        const double Rho = 7;
        var (low, high) = (Math.Pow(least, 1 / Rho), Math.Pow(most, 1 / Rho));
        return [.. Enumerable.Range(0, steps).Select(k => Math.Pow(high + (steps == 1 ? 0 : (low - high) * k / (steps - 1)), Rho))];
    }
}
