using Retouch.Objectives;

namespace Retouch.Training.Telemetry;

/// <summary>How far a run is.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="TotalSteps">Steps in all, at least 1.</param>
public sealed record TrainingProgress(long Step, long TotalSteps)
{
    /// <summary>The total loss, if it was computed.</summary>
    public double? Loss { get; init; }

    /// <summary>The loss's weighted terms.</summary>
    public IReadOnlyList<LossTerm> Terms { get; init; } = [];

    /// <summary>Other figures worth seeing, by name.</summary>
    public IReadOnlyList<KeyValuePair<string, double>> Figures { get; init; } = [];

    /// <summary>What is counted, in the singular.</summary>
    public string Unit { get; init; } = "step";

    /// <summary>Memory in use, in bytes: the device's where there is one, else the process's.</summary>
    public long? MemoryBytes { get; init; }
}

/// <summary>Shows a person how a run goes on. Called from one thread, once a step; cheap enough for that.</summary>
public interface IProgressLine : IDisposable
{
    /// <summary>Says where the run is now.</summary>
    void Report(TrainingProgress progress);

    /// <summary>Prints a message that stays: a checkpoint was written, a batch was skipped.</summary>
    void Note(string message);
}
