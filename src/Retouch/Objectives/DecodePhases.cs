namespace Retouch.Objectives;

/// <summary>Phase names of a training step that runs a decoder, for <see cref="Torch.Diagnostics.PhaseClock"/>.</summary>
public static class DecodePhases
{
    /// <summary>Decoding of the target, without gradient.</summary>
    public const string Target = "decode target";

    /// <summary>Decoding of the reference model's estimate, without gradient.</summary>
    public const string Reference = "decode reference";

    /// <summary>Decoding of the estimate, with gradient.</summary>
    public const string Estimate = "decode estimate";

    /// <summary>Comparison of the two.</summary>
    public const string Features = "features";

    /// <summary>Backward pass from the losses to the latents.</summary>
    public const string Backward = "decoder backward";
}
