using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Evaluation.Features;

/// <summary>
/// Convolution without bias, batch normalisation by stored statistics (ε = 0.001), ReLU. Keys: <c>conv.weight</c>, <c>bn.weight</c>,
/// <c>bn.bias</c>, <c>bn.running_mean</c>, <c>bn.running_var</c>.
/// </summary>
internal sealed class NormalisedConv2d
{
    private const double Epsilon = 1e-3;

    private readonly ParameterPath path;
    private readonly Parameter weight;
    private readonly Parameter scale;
    private readonly Parameter shift;
    private readonly Parameter mean;
    private readonly Parameter variance;
    private readonly long[] stride;
    private readonly long[] padding;

    public NormalisedConv2d(
        ParameterPath path,
        int inputs,
        int outputs,
        (int Height, int Width) kernel,
        int stride = 1,
        (int Height, int Width) padding = default
    )
    {
        this.path = path;
        weight = (path / "conv").Parameter(
            "weight",
            [outputs, inputs, kernel.Height, kernel.Width],
            Inits.FanIn(inputs * kernel.Height * kernel.Width)
        );
        var norm = path / "bn";
        scale = norm.Parameter("weight", [outputs], Inits.Ones);
        shift = norm.Parameter("bias", [outputs], Inits.Zeros);
        mean = norm.Buffer("running_mean", [outputs], Inits.Zeros);
        variance = norm.Buffer("running_var", [outputs], Inits.Ones);
        this.stride = [stride, stride];
        this.padding = [padding.Height, padding.Width];
    }

    /// <summary>A 1 x 1 convolution.</summary>
    public NormalisedConv2d(ParameterPath path, int inputs, int outputs)
        : this(path, inputs, outputs, (1, 1)) { }

    public Tensor Forward(Tensor x)
    {
        using var scope = TensorScope.Enter();
        var y = x.Conv2d(weight.Value, null, stride, padding)
            .BatchNorm(scale.Value, shift.Value, mean.Value, variance.Value, training: false, momentum: 0, Epsilon, cudnnEnabled: true);
        y.ReluInPlace();
        return scope.Keep(path.Observe(y));
    }
}

/// <summary>Convolutions one after the other.</summary>
internal sealed class ConvChain(params NormalisedConv2d[] layers)
{
    public Tensor Forward(Tensor x)
    {
        using var scope = TensorScope.Enter();
        return scope.Keep(layers.Aggregate(x, static (y, layer) => layer.Forward(y)));
    }
}

/// <summary>A block of the Inception network: branches over one input, joined by channels.</summary>
internal sealed class InceptionBlock(params Func<Tensor, Tensor>[] branches)
{
    public Tensor Forward(Tensor x)
    {
        using var scope = TensorScope.Enter();
        return scope.Keep(Ops.Cat([.. branches.Select(branch => branch(x))], 1));
    }

    // The network that FID was defined with leaves the border's zeros out of its averages, unlike torchvision's.
    public static Tensor Average(Tensor x) => x.AvgPool2d([3, 3], [1, 1], [1, 1], ceilMode: false, countIncludePad: false);

    public static Tensor Largest(Tensor x) => x.MaxPool2d([3, 3], [1, 1], [1, 1]);

    public static Tensor HalvedLargest(Tensor x) => x.MaxPool2d([3, 3], [2, 2]);
}
