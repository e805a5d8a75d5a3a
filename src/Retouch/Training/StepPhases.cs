namespace Retouch.Training;

/// <summary>
/// Phase names of a training step, for <see cref="Torch.Diagnostics.PhaseClock"/>; objectives add <see cref="Objectives.DecodePhases"/>.
/// </summary>
public static class StepPhases
{
    /// <summary>Time outside all other phases.</summary>
    public const string Rest = "rest";

    /// <summary>Waiting for a batch.</summary>
    public const string Data = "data";

    /// <summary>Encoding of pictures, or sampling of latents from cached moments.</summary>
    public const string Encode = "encode";

    /// <summary>Timesteps, noise, and noising.</summary>
    public const string Noise = "noise";

    /// <summary>Forward pass of the network.</summary>
    public const string Denoiser = "denoiser forward";

    /// <summary>Forward pass of the reference model.</summary>
    public const string Reference = "reference forward";

    /// <summary>Estimates, latent losses and health metrics.</summary>
    public const string Objectives = "objectives";

    /// <summary>Backward pass of the network.</summary>
    public const string Backward = "backward";

    /// <summary>Gradient norm, clipping, update, weight averages.</summary>
    public const string Optimiser = "optimiser";
}
