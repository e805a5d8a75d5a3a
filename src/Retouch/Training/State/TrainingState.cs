using System.Text.Json.Nodes;
using Retouch.Data;
using Retouch.Torch.Optim;
using Retouch.Training.HeldOut;

namespace Retouch.Training.State;

/// <summary>State of a run besides tensors, for an exact resume.</summary>
public sealed record TrainingState
{
    /// <summary>Current layout version: 2 with states in several files, which earlier versions cannot read.</summary>
    public const int CurrentVersion = 2;

    /// <summary>Layout version of this record.</summary>
    public int Version { get; init; } = 1;

    /// <summary>Completed optimiser steps.</summary>
    public required long Step { get; init; }

    /// <summary>Position in the data; together with step and seed it determines everything random.</summary>
    public required DataCursor Cursor { get; init; }

    /// <summary>Wall-clock seconds of training so far.</summary>
    public required double Seconds { get; init; }

    /// <summary>State of the task, such as measured weights, or null.</summary>
    public JsonNode? Task { get; init; }

    /// <summary>State of the loss scaler in float16; null in other types.</summary>
    public LossScalerState? Scaler { get; init; }

    /// <summary>State of the validation; null without one.</summary>
    public ValidationState? Validation { get; init; }

    /// <summary>Options of the run at this checkpoint; null in checkpoints of earlier versions.</summary>
    public JsonObject? Options { get; init; }

    /// <summary>SHA-256 of all other files of the checkpoint, by name.</summary>
    public IReadOnlyDictionary<string, string> Files { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);
}
