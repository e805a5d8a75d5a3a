namespace Retouch.Training.Options;

/// <summary>Float32 arithmetic on a GPU. Default: full precision, nondeterministic algorithms allowed.</summary>
public sealed record ArithmeticOptions
{
    /// <summary>Allow TF32 (10-bit mantissa) in float32 matrix products and convolutions; faster.</summary>
    public bool Tf32 { get; init; }

    /// <summary>Use only deterministic algorithms; slower, and the same seed gives the same bytes. Operators without one fail.</summary>
    public bool Deterministic { get; init; }
}
