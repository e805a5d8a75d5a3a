using System.Text.Json.Nodes;
using Retouch.Data;
using Retouch.Torch.Optim;

namespace Retouch.Training.State;

/// <summary>What a run needs besides tensors to go on as if it had never stopped.</summary>
public sealed record TrainingState
{
    /// <summary>Version of this record's layout.</summary>
    public const int CurrentVersion = 1;

    /// <summary>Layout version it was written with.</summary>
    public int Version { get; init; } = CurrentVersion;

    /// <summary>Optimiser steps done.</summary>
    public required long Step { get; init; }

    /// <summary>Where the data goes on; everything random follows from it, the step and the seed.</summary>
    public required DataCursor Cursor { get; init; }

    /// <summary>Wall-clock seconds spent in training so far.</summary>
    public required double Seconds { get; init; }

    /// <summary>What the task keeps between steps, such as an automatic weight that was frozen; null when nothing.</summary>
    public JsonNode? Task { get; init; }

    /// <summary>How the loss is scaled in float16; null in other types.</summary>
    public LossScalerState? Scaler { get; init; }

    /// <summary>The run's options when it was written; null in checkpoints of earlier versions.</summary>
    public JsonObject? Options { get; init; }

    /// <summary>SHA-256 of every other file of the checkpoint, by name.</summary>
    public IReadOnlyDictionary<string, string> Files { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);
}
