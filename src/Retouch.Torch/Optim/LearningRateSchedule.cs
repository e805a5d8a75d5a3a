using System.ComponentModel;

namespace Retouch.Torch.Optim;

/// <summary>Shapes of learning-rate schedules, by diffusers' names.</summary>
public enum LearningRateShape
{
    /// <summary>The rate as it is, after warm-up.</summary>
    Constant,

    /// <summary>Falls in a line to zero.</summary>
    Linear,

    /// <summary>Falls along half a cosine to zero (Loshchilov and Hutter 2017).</summary>
    Cosine,

    /// <summary>Falls as a power to <c>1e-7</c> of an absolute rate.</summary>
    Polynomial,
}

/// <summary>A learning-rate schedule: what the base rate is multiplied by at each step.</summary>
public sealed record LearningRateSchedule
{
    /// <summary>The shape after warm-up.</summary>
    [Description("The shape after warm-up.")]
    public LearningRateShape Shape { get; init; } = LearningRateShape.Constant;

    /// <summary>Steps over which the rate rises in a line from zero.</summary>
    [Description("Steps over which the rate rises in a line from zero.")]
    public long WarmupSteps { get; init; }

    /// <summary>Exponent of <see cref="LearningRateShape.Polynomial"/>.</summary>
    [Description("Exponent of polynomial.")]
    public double Power { get; init; } = 1;

    /// <summary>The multiplier in force at <paramref name="step"/> (0 for the first) of <paramref name="totalSteps"/>.</summary>
    /// <param name="step">Updates already made.</param>
    /// <param name="totalSteps">Updates in all.</param>
    /// <param name="baseRate">The base rate, which the polynomial's end is relative to.</param>
    public double Multiplier(long step, long totalSteps, double baseRate)
    {
        if (step < WarmupSteps)
            return (double)step / Math.Max(1, WarmupSteps);
        var progress = (double)(step - WarmupSteps) / Math.Max(1, totalSteps - WarmupSteps);
        const double End = 1e-7;
        return Shape switch
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
