using Retouch.Objectives;
using Retouch.Torch;
using Retouch.Training.Tasks;

namespace Retouch.Training.Planning;

/// <summary>Micro-batches without updates, to measure their memory and time with other settings.</summary>
/// <param name="task">Training task.</param>
internal sealed class TrialSteps(ITrainingTask task)
{
    /// <summary>The denoiser's task, also that of preferences; null for an autoencoder.</summary>
    public DenoiserTask? Denoiser { get; } = task as DenoiserTask ?? (task as PreferenceTask)?.Inner;

    /// <summary>Applies settings to the denoiser's task.</summary>
    /// <param name="settings">The settings.</param>
    /// <param name="objective">Losses, to which the settings are applied; null for an autoencoder.</param>
    public void Use(MemorySettings settings, ObjectiveOptions? objective)
    {
        if (Denoiser is null)
            return;
        Denoiser.Pipeline.Denoiser.CheckpointActivations = settings.CheckpointActivations;
        Denoiser.Use(settings.Of(objective!));
    }

    /// <summary>Forward and backward; gradients are added to those that are there.</summary>
    /// <param name="batch">The micro-batch.</param>
    /// <param name="seeds">Its seeds.</param>
    public void Pass(TrainingBatch batch, StepSeeds seeds)
    {
        using var scope = TensorScope.Enter();
        Autograd.Backward(task.Evaluate(batch, seeds).Loss.Total);
    }

    /// <summary>Frees all gradients.</summary>
    public void Clear()
    {
        foreach (var parameter in task.Network.Trained)
            parameter.Value.Grad = null;
    }
}
