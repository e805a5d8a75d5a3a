using Retouch.Core.Errors;
using Retouch.Torch.Optim;

namespace Retouch.Training.Options;

/// <summary>Optimiser and learning rate.</summary>
public sealed record OptimiserOptions
{
    /// <summary>
    /// Base learning rate, in (0, 10). Default: 1e-4 for adapters, class-conditional and unconditional denoisers, and training from
    /// scratch; 1e-5 for all weights of a text-conditional denoiser and for an existing autoencoder; a tenth of that with a preference
    /// term.
    /// </summary>
    [Bounds(Above = 0, Below = 10)]
    public double? LearningRate { get; init; }

    /// <summary>Base learning rate of resolved options.</summary>
    internal double BaseRate =>
        LearningRate ?? throw new InvalidOperationException("The learning rate is filled in by TrainingOptions.Resolve.");

    /// <summary>AdamW settings.</summary>
    public AdamWOptions AdamW { get; init; } = new();

    /// <summary>Gradient clipping: maximum global L2 norm, above 0; null disables it.</summary>
    [Bounds(Above = 0, Infinite = true)]
    public double? ClipNorm { get; init; } = 1;

    /// <summary>Learning rate schedule.</summary>
    public LearningRateSchedule Schedule { get; init; } = new();

    internal void Validate(Requirements check)
    {
        check.Members(this);
        check.Under(nameof(AdamW)).Members(AdamW);
        check.Under(nameof(Schedule)).Members(Schedule);
        check.That(
            Schedule.Shape == LearningRateShape.Polynomial || Schedule.Power == 1,
            "optimiser.schedule.power has no effect unless shape is polynomial; leave it out"
        );
    }
}
