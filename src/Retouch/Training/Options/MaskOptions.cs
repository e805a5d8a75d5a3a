using Retouch.Core.Errors;

namespace Retouch.Training.Options;

/// <summary>Masks beside pictures: white parts count in the loss, black parts have a lower weight.</summary>
public sealed record MaskOptions
{
    /// <summary>Weight of black parts, in [0, 1]; white parts have 1, and pictures without a mask 1 everywhere.</summary>
    [Bounds(AtLeast = 0, AtMost = 1)]
    public double Outside { get; init; }

    /// <summary>
    /// Divide a picture's loss by the mean of its weights, so that pictures with small masks count as much as others; otherwise a small
    /// mask gives a small loss.
    /// </summary>
    public bool Normalise { get; init; } = true;
}
