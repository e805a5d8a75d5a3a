using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Evaluation.Features;

/// <summary>
/// Convolution without bias, batch normalisation in evaluation mode (ε = 0.001), ReLU. Keys: <c>conv.weight</c>, <c>bn.weight</c>,
/// <c>bn.bias</c>, <c>bn.running_mean</c>, <c>bn.running_var</c>.
/// </summary>
internal sealed class NormalisedConv2d
{
    private const double Epsilon = 1e-3;

    private readonly ParameterPath _path;
    private readonly Parameter _weight;
    private readonly Parameter _scale;
    private readonly Parameter _shift;
    private readonly Parameter _mean;
    private readonly Parameter _variance;
    private readonly long[] _stride;
    private readonly long[] _padding;

    public NormalisedConv2d(
        ParameterPath path,
        int inputs,
        int outputs,
        (int Height, int Width) kernel,
        int stride = 1,
        (int Height, int Width) padding = default
    )
    {
        _path = path;
        _weight = (path / "conv").Parameter(
            "weight",
            [outputs, inputs, kernel.Height, kernel.Width],
            Inits.FanIn(inputs * kernel.Height * kernel.Width)
        );
        var norm = path / "bn";
        _scale = norm.Parameter("weight", [outputs], Inits.Ones);
        _shift = norm.Parameter("bias", [outputs], Inits.Zeros);
        _mean = norm.Buffer("running_mean", [outputs], Inits.Zeros);
        _variance = norm.Buffer("running_var", [outputs], Inits.Ones);
        _stride = [stride, stride];
        _padding = [padding.Height, padding.Width];
    }

    /// <summary>1 x 1 convolution.</summary>
    public NormalisedConv2d(ParameterPath path, int inputs, int outputs)
        : this(path, inputs, outputs, (1, 1)) { }

    public Tensor Forward(Tensor x)
    {
        using var scope = TensorScope.Enter();
        var y = x.Conv2d(_weight.Value, null, _stride, _padding)
            .BatchNorm(_scale.Value, _shift.Value, _mean.Value, _variance.Value, training: false, momentum: 0, Epsilon, cudnnEnabled: true);
        y.ReluInPlace();
        return scope.Keep(_path.Observe(y));
    }
}

/// <summary>Sequence of convolutions.</summary>
internal sealed class ConvChain(params NormalisedConv2d[] layers)
{
    public Tensor Forward(Tensor x)
    {
        using var scope = TensorScope.Enter();
        return scope.Keep(layers.Aggregate(x, static (y, layer) => layer.Forward(y)));
    }
}

/// <summary>Block of the Inception network: parallel branches, concatenated by channels.</summary>
internal sealed class InceptionBlock(params Func<Tensor, Tensor>[] branches)
{
    public Tensor Forward(Tensor x)
    {
        using var scope = TensorScope.Enter();
        return scope.Keep(Ops.Cat([.. branches.Select(branch => branch(x))], 1));
    }

    // The network of FID excludes the zero padding from its averages, unlike torchvision's.
    public static Tensor Average(Tensor x) => x.AvgPool2d([3, 3], [1, 1], [1, 1], ceilMode: false, countIncludePad: false);

    public static Tensor Largest(Tensor x) => x.MaxPool2d([3, 3], [1, 1], [1, 1]);

    public static Tensor HalvedLargest(Tensor x) => x.MaxPool2d([3, 3], [2, 2]);
}
