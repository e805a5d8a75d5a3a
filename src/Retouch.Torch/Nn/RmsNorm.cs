namespace Retouch.Torch.Nn;

/// <summary>
/// x/√(mean(x²) + eps)·weight over the last dimension (Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019). Key:
/// <c>weight</c> [C].
/// </summary>
/// <param name="path">Path of the parameters.</param>
/// <param name="channels">Size of the last dimension.</param>
/// <param name="eps">ε, added to the mean square.</param>
public sealed class RmsNorm(ParameterPath path, long channels, double eps)
{
    private readonly Parameter _weight = path.Parameter("weight", [channels], Inits.Ones);

    /// <summary>[…, C], same shape and dtype; the mean square is computed in at least float32.</summary>
    public Tensor Forward(Tensor x)
    {
        using var scope = TensorScope.Enter();
        var wide = x.DType is DType.Float16 or DType.BFloat16 ? x.To(DType.Float32) : x;
        var normal = wide * (wide.Square().Mean([-1], keepdim: true) + eps).Rsqrt();
        return scope.Keep((normal * _weight.Value).To(x.DType));
    }
}
