namespace Retouch.Training;

/// <summary>
/// Names of the phases of a training step that <see cref="Torch.Diagnostics.PhaseClock"/> tells apart here; the objectives have more
/// (<see cref="Objectives.DecodePhases"/>).
/// </summary>
public static class StepPhases
{
    /// <summary>All that no other phase claims.</summary>
    public const string Rest = "rest";

    /// <summary>Waiting for a batch.</summary>
    public const string Data = "data";

    /// <summary>Encoding pictures, or drawing latents from cached moments.</summary>
    public const string Encode = "encode";

    /// <summary>Times, noise, and mixing it in.</summary>
    public const string Noise = "noise";

    /// <summary>The network's forward pass.</summary>
    public const string Denoiser = "denoiser forward";

    /// <summary>The reference's forward pass.</summary>
    public const string Reference = "reference forward";

    /// <summary>The estimate, the losses on latents, and figures for the log.</summary>
    public const string Objectives = "objectives";

    /// <summary>The network's backward pass.</summary>
    public const string Backward = "backward";

    /// <summary>Norm, clipping, update, averages.</summary>
    public const string Optimiser = "optimiser";
}
