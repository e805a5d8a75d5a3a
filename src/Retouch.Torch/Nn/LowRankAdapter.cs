namespace Retouch.Torch.Nn;

/// <summary>
/// The low-rank part beside one frozen weight: s·B(A(x)) is added to what the layer gives (Hu et al., "LoRA", 2021, equation 3).
/// </summary>
/// <param name="down">A: [rank, in], or [rank, in, k, k] for a convolution.</param>
/// <param name="up">B: [out, rank], or [out, rank, 1, 1].</param>
/// <param name="scale">s = alpha/rank.</param>
/// <param name="owner">The set it belongs to, which switches it on and off.</param>
internal sealed class LowRankAdapter(Parameter down, Parameter up, double scale, LowRankAdapters owner)
{
    public Parameter Down => down;

    public Parameter Up => up;

    public double Scale => scale;

    public bool IsOn => owner.IsOn;

    /// <summary>The layer's output with the adapter's part.</summary>
    /// <param name="x">The layer's input.</param>
    /// <param name="y">Its output.</param>
    /// <param name="convolution">Stride and padding; null for a linear layer.</param>
    public Tensor Add(Tensor x, Tensor y, (long Stride, long Padding)? convolution)
    {
        using var scope = TensorScope.Enter();
        // Mixed precision narrows by itself; without it a frozen network of another type is met in the adapter's.
        var input = Autocast.Current is null ? x.To(down.Value.DType) : x;
        var part = convolution is { } c
            ? input.Conv2d(down.Value, null, [c.Stride, c.Stride], [c.Padding, c.Padding]).Conv2d(up.Value, null)
            : input.Linear(down.Value).Linear(up.Value);
        return scope.Keep(y.Add(part.To(y.DType), scale));
    }

    /// <summary>s·B·A in the shape of the weight.</summary>
    public Tensor Delta(long[] shape)
    {
        using var scope = TensorScope.Enter();
        return scope.Keep((up.Value.Flatten(1).Matmul(down.Value.Flatten(1)) * scale).View(shape));
    }
}
