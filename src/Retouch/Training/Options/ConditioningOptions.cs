using System.ComponentModel;

namespace Retouch.Training.Options;

/// <summary>What the denoiser is told.</summary>
public sealed record ConditioningOptions
{
    /// <summary>The chance that a sample's condition is dropped, for classifier-free guidance (Ho and Salimans 2022).</summary>
    [Description("Chance that a sample's condition is dropped, for classifier-free guidance.")]
    public double Dropout { get; init; } = 0.1;

    internal void Validate(Action<bool, string> require) =>
        require(Dropout is >= 0 and <= 1, $"conditioning.dropout is {Dropout}; it lies between 0 and 1");
}
