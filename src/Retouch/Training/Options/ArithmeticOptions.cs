using System.ComponentModel;

namespace Retouch.Training.Options;

/// <summary>How float32 is computed on a GPU: exact and in any order, unless something else is asked for.</summary>
public sealed record ArithmeticOptions
{
    /// <summary>Whether products and convolutions of float32 may round their factors to TF32, which keeps 10 bits of each.</summary>
    [Description("Let products and convolutions of float32 round their factors to TF32 (10 bits); faster.")]
    public bool Tf32 { get; init; }

    /// <summary>
    /// Whether only algorithms run whose result does not depend on the order of execution. An operator that has none ends the run.
    /// </summary>
    [Description("Only algorithms whose result does not depend on the order of execution; slower, and the same seed gives the same bytes.")]
    public bool Deterministic { get; init; }
}
