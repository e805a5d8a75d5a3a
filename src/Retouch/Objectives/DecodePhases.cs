namespace Retouch.Objectives;

/// <summary>Names of the phases of a step in which a decoder runs, for <see cref="Torch.Diagnostics.PhaseClock"/>.</summary>
public static class DecodePhases
{
    /// <summary>Decoding what is compared with; nothing is recorded.</summary>
    public const string Target = "decode target";

    /// <summary>Decoding what a reference estimates; nothing is recorded.</summary>
    public const string Reference = "decode reference";

    /// <summary>Decoding what carries gradient.</summary>
    public const string Estimate = "decode estimate";

    /// <summary>Comparing the two.</summary>
    public const string Features = "features";

    /// <summary>From the losses back to the latents.</summary>
    public const string Backward = "decoder backward";
}
