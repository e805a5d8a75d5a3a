using Retouch.Diffusion;

namespace Retouch.Experiments.Inspection;

/// <summary>Result of <c>retouch inspect</c>.</summary>
/// <param name="Path">Path of the file or folder.</param>
/// <param name="Kind">Tensor file, LoRA file, adapters, component, pipeline or training run.</param>
/// <param name="BytesOnDisk">Total size of the inspected files.</param>
/// <param name="Components">Networks.</param>
/// <param name="Tensors">Content of a tensor file; null for folders.</param>
/// <param name="Scheduler">Noise schedule; null if not configured.</param>
/// <param name="Run">State of a training run; null otherwise.</param>
/// <param name="Training">Memory for training; null if nothing can be trained.</param>
public sealed record InspectReport(
    string Path,
    string Kind,
    long BytesOnDisk,
    IReadOnlyList<ComponentReport> Components,
    TensorFileReport? Tensors,
    SchedulerReport? Scheduler,
    RunReport? Run,
    TrainingMemory? Training
)
{
    /// <summary>Base model of adapters; null otherwise.</summary>
    public string? Model { get; init; }

    /// <summary>Problems of adapters: keys that do not match the base model, or a missing base model.</summary>
    public IReadOnlyList<string> Problems { get; init; } = [];
}

/// <summary>Network of a folder.</summary>
/// <param name="Name">Name of its folder.</param>
/// <param name="Class">Class in diffusers or transformers.</param>
/// <param name="Parameters">Number of parameters.</param>
/// <param name="Types">Stored elements by type.</param>
/// <param name="BytesOnDisk">Size of its weight files.</param>
/// <param name="Files">Number of weight files.</param>
/// <param name="Taps">Taps of a decoder.</param>
/// <param name="Problems">Missing and unexpected keys, keys of another shape, and other problems.</param>
public sealed record ComponentReport(
    string Name,
    string Class,
    long Parameters,
    IReadOnlyDictionary<string, long> Types,
    long BytesOnDisk,
    int Files,
    IReadOnlyList<TapReport> Taps,
    IReadOnlyList<string> Problems
);

/// <summary>Decoder tap.</summary>
/// <param name="Index">Index, as in options.</param>
/// <param name="Name">Name of its module.</param>
/// <param name="Channels">Channels of the features.</param>
/// <param name="Scale">Resolution relative to the latent.</param>
public sealed record TapReport(int Index, string Name, int Channels, int Scale);

/// <summary>Content of a tensor file.</summary>
/// <param name="Count">Number of tensors.</param>
/// <param name="Elements">Number of elements.</param>
/// <param name="Types">Elements by type.</param>
/// <param name="LoraRanks">Number of low-rank pairs by rank; null without any.</param>
/// <param name="Largest">Largest tensors: key and shape.</param>
public sealed record TensorFileReport(
    int Count,
    long Elements,
    IReadOnlyDictionary<string, long> Types,
    IReadOnlyDictionary<string, int>? LoraRanks,
    IReadOnlyList<string> Largest
);

/// <summary>Scheduler configuration.</summary>
/// <param name="Class">Class in diffusers.</param>
/// <param name="Prediction">Prediction type.</param>
/// <param name="TrainSteps">Timesteps of the training schedule.</param>
public sealed record SchedulerReport(string Class, string Prediction, int TrainSteps);

/// <summary>State of a training run.</summary>
/// <param name="Checkpoints">Steps of the checkpoints.</param>
/// <param name="LastStep">Last logged step; null before the first.</param>
/// <param name="LastLoss">Total loss of that step.</param>
public sealed record RunReport(IReadOnlyList<long> Checkpoints, long? LastStep, double? LastLoss);

/// <summary>Memory for training, in bytes.</summary>
/// <param name="Trained">Name of the trained network.</param>
/// <param name="Batch">Batch size.</param>
/// <param name="Weights">Weights of all networks, float32; of a run, trained ones in their type.</param>
/// <param name="Gradients">Gradients of the trained network, in the type of its weights.</param>
/// <param name="Optimiser">State of the optimiser.</param>
/// <param name="Averages">One weight average, float32.</param>
/// <param name="EstimatedActivations">
/// Estimate from layer sizes: peak of forward and backward pass of the trained network and of the decoder of the latent perceptual loss.
/// <c>train --dry-run</c> measures it.
/// </param>
/// <param name="EstimatedRecomputed">The estimate with <c>model.checkpointActivations</c>; null without recomputation.</param>
/// <param name="Total">Sum, without recomputation.</param>
/// <param name="AvailableMainMemory">Available main memory; null if unknown.</param>
/// <param name="AvailableGpuMemory">Free memory of the first GPU; null without one.</param>
/// <param name="FitsMainMemory">Whether training fits into main memory.</param>
/// <param name="FitsGpu">Whether training fits into the memory of the first GPU; null without one.</param>
/// <param name="OptimiserName">Name of the optimiser: that of a run, else AdamW.</param>
/// <param name="OptimiserStates">State of each optimiser, by its name in options (<c>optimiser.kind</c>).</param>
public sealed record TrainingMemory(
    string Trained,
    int Batch,
    long Weights,
    long Gradients,
    long Optimiser,
    long Averages,
    long EstimatedActivations,
    long? EstimatedRecomputed,
    long Total,
    long? AvailableMainMemory,
    long? AvailableGpuMemory,
    bool? FitsMainMemory,
    bool? FitsGpu,
    string OptimiserName,
    IReadOnlyDictionary<string, long> OptimiserStates
);
