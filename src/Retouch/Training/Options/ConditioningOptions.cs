using Retouch.Core.Errors;

namespace Retouch.Training.Options;

/// <summary>Conditioning of the denoiser.</summary>
public sealed record ConditioningOptions
{
    /// <summary>Probability of dropping a sample's condition, in [0, 1], for classifier-free guidance (Ho and Salimans 2022).</summary>
    [Bounds(AtLeast = 0, AtMost = 1)]
    public double Dropout { get; init; } = 0.1;
}
