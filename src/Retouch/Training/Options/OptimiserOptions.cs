using System.ComponentModel;
using Retouch.Torch.Optim;

namespace Retouch.Training.Options;

/// <summary>The optimiser and its rate.</summary>
public sealed record OptimiserOptions
{
    /// <summary>The base learning rate.</summary>
    [Description("Base learning rate.")]
    public double LearningRate { get; init; } = 1e-4;

    /// <summary>AdamW's settings.</summary>
    [Description("AdamW's settings.")]
    public AdamWOptions AdamW { get; init; } = new();

    /// <summary>Bound of the gradient's global L2 norm; null for none.</summary>
    [Description("Bound of the gradient's global L2 norm; null for none.")]
    public double? ClipNorm { get; init; } = 1;

    /// <summary>How the rate changes.</summary>
    [Description("How the rate changes.")]
    public LearningRateSchedule Schedule { get; init; } = new();

    internal void Validate(Action<bool, string> require)
    {
        require(LearningRate is > 0 and < 10, $"optimiser.learningRate is {LearningRate}; it lies between 0 and 10");
        require(AdamW.Beta1 is >= 0 and < 1 && AdamW.Beta2 is >= 0 and < 1, "optimiser.adamW: beta1 and beta2 lie in [0, 1)");
        require(AdamW.Epsilon is > 0 and < double.PositiveInfinity, $"optimiser.adamW.epsilon is {AdamW.Epsilon}; it is above 0");
        require(
            AdamW.WeightDecay is >= 0 and < double.PositiveInfinity,
            $"optimiser.adamW.weightDecay is {AdamW.WeightDecay}; it is at least 0"
        );
        require(ClipNorm is null or > 0, $"optimiser.clipNorm is {ClipNorm}; it is above 0, or null for none");
        require(Schedule.WarmupSteps >= 0, $"optimiser.schedule.warmupSteps is {Schedule.WarmupSteps}; it is at least 0");
        require(Schedule.Power is > 0 and < double.PositiveInfinity, $"optimiser.schedule.power is {Schedule.Power}; it is above 0");
        require(
            Schedule.Shape == LearningRateShape.Polynomial || Schedule.Power == 1,
            "optimiser.schedule.power is for the polynomial shape; it would do nothing"
        );
    }
}
