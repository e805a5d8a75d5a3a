namespace Retouch.Training.Options;

/// <summary>Conditioning of the denoiser.</summary>
public sealed record ConditioningOptions
{
    /// <summary>Probability of dropping a sample's condition, in [0, 1], for classifier-free guidance (Ho and Salimans 2022).</summary>
    public double Dropout { get; init; } = 0.1;

    internal void Validate(Action<bool, string> require) =>
        require(Dropout is >= 0 and <= 1, $"conditioning.dropout is {Dropout}; it must lie in [0, 1]");
}
