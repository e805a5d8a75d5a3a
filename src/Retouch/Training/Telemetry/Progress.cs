using Retouch.Objectives;

namespace Retouch.Training.Telemetry;

/// <summary>Progress of a run.</summary>
/// <param name="Step">Completed steps.</param>
/// <param name="TotalSteps">Total steps, at least 1.</param>
public sealed record TrainingProgress(long Step, long TotalSteps)
{
    /// <summary>Total loss, or null.</summary>
    public double? Loss { get; init; }

    /// <summary>Weighted terms of the loss.</summary>
    public IReadOnlyList<LossTerm> Terms { get; init; } = [];

    /// <summary>Other metrics to show, by name.</summary>
    public IReadOnlyList<KeyValuePair<string, double>> Figures { get; init; } = [];

    /// <summary>Unit of the count, singular.</summary>
    public string Unit { get; init; } = "step";

    /// <summary>Resident memory of the process in bytes, or null.</summary>
    public long? MemoryBytes { get; init; }
}

/// <summary>Progress display. Called from one thread, once per step; must be cheap.</summary>
public interface IProgressLine : IDisposable
{
    /// <summary>Updates the display.</summary>
    void Report(TrainingProgress progress);

    /// <summary>Prints a permanent message, such as a written checkpoint or a skipped step.</summary>
    void Note(string message);
}
