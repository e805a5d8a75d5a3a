using Retouch.Torch.Optim;

namespace Retouch.Training.Options;

/// <summary>Optimiser and learning rate.</summary>
public sealed record OptimiserOptions
{
    /// <summary>Base learning rate, in (0, 10).</summary>
    public double LearningRate { get; init; } = 1e-4;

    /// <summary>AdamW settings.</summary>
    public AdamWOptions AdamW { get; init; } = new();

    /// <summary>Gradient clipping: maximum global L2 norm, above 0; null disables it.</summary>
    public double? ClipNorm { get; init; } = 1;

    /// <summary>Learning rate schedule.</summary>
    public LearningRateSchedule Schedule { get; init; } = new();

    internal void Validate(Action<bool, string> require)
    {
        require(LearningRate is > 0 and < 10, $"optimiser.learningRate is {LearningRate}; it must lie in (0, 10)");
        require(AdamW.Beta1 is >= 0 and < 1 && AdamW.Beta2 is >= 0 and < 1, "optimiser.adamW: beta1 and beta2 must lie in [0, 1)");
        require(AdamW.Epsilon is > 0 and < double.PositiveInfinity, $"optimiser.adamW.epsilon is {AdamW.Epsilon}; it must be above 0");
        require(
            AdamW.WeightDecay is >= 0 and < double.PositiveInfinity,
            $"optimiser.adamW.weightDecay is {AdamW.WeightDecay}; it must be at least 0"
        );
        require(ClipNorm is null or > 0, $"optimiser.clipNorm is {ClipNorm}; it must be above 0, or null to disable clipping");
        require(Schedule.WarmupSteps >= 0, $"optimiser.schedule.warmupSteps is {Schedule.WarmupSteps}; it must be at least 0");
        require(Schedule.Power is > 0 and < double.PositiveInfinity, $"optimiser.schedule.power is {Schedule.Power}; it must be above 0");
        require(
            Schedule.Shape == LearningRateShape.Polynomial || Schedule.Power == 1,
            "optimiser.schedule.power has no effect unless shape is polynomial; leave it out"
        );
    }
}
