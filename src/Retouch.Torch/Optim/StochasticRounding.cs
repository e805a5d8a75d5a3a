namespace Retouch.Torch.Optim;

/// <summary>
/// Stochastic rounding from float32 to bfloat16: up or down with probabilities whose expectation is the value, so that updates below half
/// a unit in the last place are not lost (Zamirai et al., "Revisiting BFloat16 Training", 2020).
/// </summary>
internal static class StochasticRounding
{
    // bfloat16 is the upper half of float32.
    private const int DroppedBits = 16;

    /// <summary>Whether weights of a tensor's type are rounded.</summary>
    public static bool IsNarrow(Tensor tensor) => tensor.DType == DType.BFloat16;

    /// <summary>Type in which a tensor is updated.</summary>
    public static DType WideType(Tensor tensor) => IsNarrow(tensor) ? DType.Float32 : tensor.DType;

    /// <summary>A tensor in the type of its updates; the same one if it has it.</summary>
    public static Tensor Widen(Tensor tensor) => tensor.To(WideType(tensor));

    /// <summary>
    /// Rounds <paramref name="value"/> into <paramref name="target"/>: a uniform integer is added to the dropped bits, and the sum is
    /// truncated.
    /// </summary>
    /// <param name="value">Finite float32 values.</param>
    /// <param name="target">A bfloat16 tensor of the same shape.</param>
    /// <param name="generator">Generator of the target's device.</param>
    public static void Store(Tensor value, Tensor target, Generator generator)
    {
        using var scope = TensorScope.Enter();
        var noise = Ops.Randint(0, 1 << DroppedBits, value.Shape, generator, dtype: DType.Int32, device: value.Device);
        noise.AddInPlace(value.Contiguous().View(DType.Int32));
        noise.BitwiseAndInPlace(-(1 << DroppedBits));
        target.CopyInPlace(noise.View(DType.Float32));
    }
}
