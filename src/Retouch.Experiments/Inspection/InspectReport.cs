using Retouch.Diffusion;

namespace Retouch.Experiments.Inspection;

/// <summary>What <c>retouch inspect</c> found.</summary>
/// <param name="Path">The file or folder.</param>
/// <param name="Kind">tensor file, LoRA file, adapters, component, pipeline or training run.</param>
/// <param name="BytesOnDisk">Length of all files that were looked at.</param>
/// <param name="Components">The networks.</param>
/// <param name="Tensors">What a file of tensors holds; null for folders.</param>
/// <param name="Scheduler">How noise is mixed in; null where nothing says so.</param>
/// <param name="Run">A training run's own facts; null for anything else.</param>
/// <param name="Training">Memory that training takes; null where there is nothing to train.</param>
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
    /// <summary>The pipeline beneath adapters; null for anything else.</summary>
    public string? Model { get; init; }

    /// <summary>What is wrong with adapters: keys that do not fit their model, or a model that is not there.</summary>
    public IReadOnlyList<string> Problems { get; init; } = [];
}

/// <summary>A network of a folder.</summary>
/// <param name="Name">Its folder's name.</param>
/// <param name="Class">Class of diffusers or transformers.</param>
/// <param name="Parameters">Trained elements.</param>
/// <param name="Types">Stored elements by type.</param>
/// <param name="BytesOnDisk">Length of its weights' files.</param>
/// <param name="Files">How many files the weights are in.</param>
/// <param name="Taps">Places of a decoder where features can be taken.</param>
/// <param name="Problems">Keys that are missing, unexpected or of another shape, or what else is wrong.</param>
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

/// <summary>A tap.</summary>
/// <param name="Index">Its number, as options name it.</param>
/// <param name="Name">Its module.</param>
/// <param name="Channels">Channels of the features.</param>
/// <param name="Scale">Resolution relative to the latent.</param>
public sealed record TapReport(int Index, string Name, int Channels, int Scale);

/// <summary>A file of tensors.</summary>
/// <param name="Count">Tensors.</param>
/// <param name="Elements">Their elements.</param>
/// <param name="Types">Elements by type.</param>
/// <param name="LoraRanks">Ranks of the low-rank pairs, how many of each; null where there are none.</param>
/// <param name="Largest">The largest tensors: key and shape.</param>
public sealed record TensorFileReport(
    int Count,
    long Elements,
    IReadOnlyDictionary<string, long> Types,
    IReadOnlyDictionary<string, int>? LoraRanks,
    IReadOnlyList<string> Largest
);

/// <summary>A scheduler's configuration.</summary>
/// <param name="Class">Its class.</param>
/// <param name="Prediction">What the network predicts.</param>
/// <param name="TrainSteps">Steps that pretraining counted.</param>
public sealed record SchedulerReport(string Class, string Prediction, int TrainSteps);

/// <summary>A training run.</summary>
/// <param name="Checkpoints">Steps of which there is a checkpoint.</param>
/// <param name="LastStep">The last step that was logged; null before the first.</param>
/// <param name="LastLoss">Its total loss.</param>
public sealed record RunReport(IReadOnlyList<long> Checkpoints, long? LastStep, double? LastLoss);

/// <summary>Memory that training takes, in bytes.</summary>
/// <param name="Trained">The network that is trained.</param>
/// <param name="Batch">Pictures in a batch.</param>
/// <param name="Weights">All networks in float32.</param>
/// <param name="Gradients">Of the trained one, float32.</param>
/// <param name="Optimiser">AdamW's two moments of the trained one, float32.</param>
/// <param name="Averages">One average of its weights, float32.</param>
/// <param name="EstimatedActivations">
/// An estimate, from the sizes of the layers: the most that forward and backward pass hold of the trained network and of a decoder that the
/// latent perceptual loss looks through. <c>train --dry-run</c> measures.
/// </param>
/// <param name="EstimatedRecomputed">The same with <c>model.checkpointActivations</c>; null where nothing is recomputed.</param>
/// <param name="Total">The sum, without recomputation.</param>
/// <param name="AvailableMainMemory">Main memory that is free now; null where the system does not say.</param>
/// <param name="AvailableGpuMemory">Free memory of the first GPU; null without one.</param>
/// <param name="FitsMainMemory">Whether training fits into main memory.</param>
/// <param name="FitsGpu">Whether it fits onto the first GPU; null without one.</param>
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
    bool? FitsGpu
);
