namespace Retouch.Torch.Nn;

/// <summary>Initialises a parameter: fills <paramref name="tensor"/> (float32, CPU) from <paramref name="generator"/>.</summary>
public delegate void Init(Tensor tensor, Generator generator);

/// <summary>Common initialisations.</summary>
public static class Inits
{
    /// <summary>Zeros.</summary>
    public static Init Zeros { get; } = static (tensor, _) => tensor.ZeroInPlace();

    /// <summary>Ones.</summary>
    public static Init Ones { get; } = static (tensor, _) => tensor.FillInPlace(1);

    /// <summary>Uniform in ±<paramref name="bound"/>.</summary>
    public static Init Uniform(double bound) =>
        (tensor, generator) =>
        {
            using var scope = TensorScope.Enter();
            tensor.CopyInPlace(Ops.Rand(tensor.Shape, generator).Mul(2 * bound).Sub(bound));
        };

    /// <summary>Normal with mean 0.</summary>
    /// <param name="deviation">Standard deviation.</param>
    public static Init Normal(double deviation) =>
        (tensor, generator) =>
        {
            using var scope = TensorScope.Enter();
            tensor.CopyInPlace(Ops.Randn(tensor.Shape, generator).Mul(deviation));
        };

    /// <summary>PyTorch's default for weights and biases of linear and convolution layers: uniform in ±1/√fan_in.</summary>
    public static Init FanIn(long fanIn) => Uniform(1 / Math.Sqrt(fanIn));

    /// <summary>Uniform in ±√(6/(fan_in + fan_out)) (Glorot and Bengio 2010), as for DiT's linear layers.</summary>
    public static Init XavierUniform(long fanIn, long fanOut) => Uniform(Math.Sqrt(6.0 / (fanIn + fanOut)));
}
