using System.ComponentModel;

namespace Retouch.Training.Options;

/// <summary>Float32 arithmetic on a GPU. Default: full precision, nondeterministic algorithms allowed.</summary>
public sealed record ArithmeticOptions
{
    /// <summary>Allow TF32 (10-bit mantissa) in float32 matrix products and convolutions; faster.</summary>
    [Description("Allow TF32 (10-bit mantissa) in float32 matrix products and convolutions; faster.")]
    public bool Tf32 { get; init; }

    /// <summary>Use only deterministic algorithms; slower, and the same seed gives the same bytes. Operators without one fail.</summary>
    [Description("Use only deterministic algorithms; slower, and the same seed gives the same bytes. Operators without one fail.")]
    public bool Deterministic { get; init; }
}
