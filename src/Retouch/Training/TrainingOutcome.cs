using Retouch.Training.HeldOut;

namespace Retouch.Training;

/// <summary>Result of a run.</summary>
/// <param name="Run">Folder of the run.</param>
/// <param name="Steps">Completed optimiser steps.</param>
/// <param name="Seconds">Wall-clock seconds of this process.</param>
/// <param name="LastLoss">Total loss of the last step.</param>
/// <param name="Models">Folders of the trained weights and of each average, in diffusers layout or as adapters.</param>
/// <param name="Quarantined">Number of unusable pictures.</param>
/// <param name="Validation">Result of the validation; null without one.</param>
public sealed record TrainingOutcome(
    string Run,
    long Steps,
    double Seconds,
    double LastLoss,
    IReadOnlyList<string> Models,
    int Quarantined,
    ValidationOutcome? Validation
);
