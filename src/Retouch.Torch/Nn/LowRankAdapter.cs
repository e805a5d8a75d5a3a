namespace Retouch.Torch.Nn;

/// <summary>
/// Low-rank adapter of a frozen weight: adds s·B(A(x)) to the layer's output (Hu et al., "LoRA", 2021, equation 3).
/// </summary>
/// <param name="down">A: [rank, in], or [rank, in, k, k] for a convolution.</param>
/// <param name="up">B: [out, rank], or [out, rank, 1, 1].</param>
/// <param name="scale">s = alpha/rank.</param>
/// <param name="owner">Adapter set, which turns it on and off.</param>
internal sealed class LowRankAdapter(Parameter down, Parameter up, double scale, LowRankAdapters owner)
{
    public Parameter Down => down;

    public Parameter Up => up;

    public double Scale => scale;

    public bool IsOn => owner.IsOn;

    /// <summary>Adds the adapter's contribution to a layer's output.</summary>
    /// <param name="x">Layer input.</param>
    /// <param name="y">Layer output.</param>
    /// <param name="convolution">Stride and padding; null for a linear layer.</param>
    public Tensor Add(Tensor x, Tensor y, (long Stride, long Padding)? convolution)
    {
        using var scope = TensorScope.Enter();
        // Autocast converts by itself; without it, inputs of a frozen network in another dtype are converted to the adapter's.
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
