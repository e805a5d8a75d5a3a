using Retouch.Core.Errors;

namespace Retouch.Torch.Optim;

/// <summary>Learning-rate schedules, by diffusers' names.</summary>
public enum LearningRateShape
{
    /// <summary>Constant rate after warm-up.</summary>
    Constant,

    /// <summary>Linear decay to zero.</summary>
    Linear,

    /// <summary>Half-cosine decay to zero (Loshchilov and Hutter 2017).</summary>
    Cosine,

    /// <summary>Polynomial decay to an absolute rate of <c>1e-7</c>.</summary>
    Polynomial,
}

/// <summary>Learning-rate schedule: multiplier of the base rate per step.</summary>
public sealed record LearningRateSchedule
{
    /// <summary>
    /// Schedule after warm-up: constant, linear, cosine or polynomial. Default: cosine, which decays to zero over the run (evidence in
    /// docs/results/lpl.md); constant with a schedule-free optimiser.
    /// </summary>
    public LearningRateShape? Shape { get; init; }

    /// <summary>The schedule; cosine by default.</summary>
    public LearningRateShape ShapeOrDefault => Shape ?? LearningRateShape.Cosine;

    /// <summary>Number of steps of linear warm-up from zero.</summary>
    [Bounds(AtLeast = 0)]
    public long WarmupSteps { get; init; }

    /// <summary>Exponent of <see cref="LearningRateShape.Polynomial"/>.</summary>
    [Bounds(Above = 0)]
    public double Power { get; init; } = 1;

    /// <summary>Multiplier at <paramref name="step"/> (0-based) of <paramref name="totalSteps"/>.</summary>
    /// <param name="step">Number of completed updates.</param>
    /// <param name="totalSteps">Total number of updates.</param>
    /// <param name="baseRate">Base rate; scales the end of the polynomial decay.</param>
    public double Multiplier(long step, long totalSteps, double baseRate)
    {
        if (step < WarmupSteps)
            return (double)step / Math.Max(1, WarmupSteps);
        var progress = (double)(step - WarmupSteps) / Math.Max(1, totalSteps - WarmupSteps);
        const double End = 1e-7;
        return ShapeOrDefault switch
        {
            LearningRateShape.Linear => Math.Max(0, 1 - progress),
            LearningRateShape.Cosine => Math.Max(0, 0.5 * (1 + Math.Cos(Math.PI * progress))),
            LearningRateShape.Polynomial => progress >= 1
                ? End / baseRate
                : (((baseRate - End) * Math.Pow(1 - progress, Power)) + End) / baseRate,
            _ => 1,
        };
    }
}
