using Retouch.Core.Errors;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch.Optim;
using Retouch.Training.Options;

namespace Retouch.Training;

/// <summary>Learning rate of a run without one in its options, by kind of training.</summary>
/// <remarks>
/// Adapters, and all weights of text-conditional denoisers: as in the examples of diffusers' training scripts. Classes: the rate of the
/// evaluation of the latent perceptual loss (docs/results/lpl.md), also that of DiT's training from scratch (Peebles and Xie, 2023). A
/// tenth for preferences: their losses depend on differences between almost equal errors. Prodigy estimates the step, and Adafactor's
/// relative step has the rate of its paper.
/// </remarks>
public static class LearningRates
{
    private const double Usual = 1e-4;
    private const double Cautious = 1e-5;

    /// <summary>The default learning rate, from configurations alone.</summary>
    /// <exception cref="RetouchException">The model's configuration is missing or invalid.</exception>
    public static double Of(TrainingOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Optimiser is { Kind: OptimiserKind.Prodigy })
            return 1;
        if (options.Optimiser is { Kind: OptimiserKind.Adafactor, Adafactor.RelativeStep: true })
            return 1e-2;
        var all = options switch
        {
            { Model.Path: null } or { Lora: not null } => Usual,
            { Task: TrainingTaskKind.Autoencoder } => Cautious,
            { Model.Path: var path } => PipelineReader.TakesPrompts(path) ? Cautious : Usual,
        };
        return options.Objective?.Preference is null ? all : all / 10;
    }
}
