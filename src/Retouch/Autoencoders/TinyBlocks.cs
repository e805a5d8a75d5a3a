using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Autoencoders;

/// <summary>A numbered layer of the encoder or decoder of a tiny autoencoder.</summary>
/// <param name="path">Path with diffusers' number, as <c>decoder.layers.3</c>.</param>
internal abstract class TinyLayer(ParameterPath path)
{
    /// <summary>Path of the layer.</summary>
    public ParameterPath Path => path;

    /// <summary>Runs the layer. The result belongs to the caller's scope.</summary>
    public abstract Tensor Forward(Tensor x);
}

/// <summary>3×3 convolution with zero padding 1.</summary>
internal sealed class TinyConv(ParameterPath path, int inputs, int outputs, int stride = 1, bool bias = true) : TinyLayer(path)
{
    private readonly Conv2d _conv = new(path, inputs, outputs, kernel: 3, stride, padding: 1, bias);

    public override Tensor Forward(Tensor x) => _conv.Forward(x);
}

/// <summary>max(x, 0).</summary>
internal sealed class TinyRelu(ParameterPath path) : TinyLayer(path)
{
    public override Tensor Forward(Tensor x) => x.Relu();
}

/// <summary>2× nearest-neighbour upsampling and a convolution; diffusers numbers them as two layers.</summary>
/// <param name="upsample">Path of the upsampling, which has no parameters.</param>
/// <param name="conv">Path of the convolution, which has no bias.</param>
/// <param name="inputs">Input channels.</param>
/// <param name="outputs">Output channels.</param>
internal sealed class TinyUpsample(ParameterPath upsample, ParameterPath conv, int inputs, int outputs) : TinyLayer(conv)
{
    private readonly UpsampleConv2d _conv = new(conv, inputs, outputs, bias: false);

    public override Tensor Forward(Tensor x)
    {
        // The fused convolution never stores the upsampled map, so it is computed for the observer.
        if (upsample.Store.Observer is not null)
        {
            using var quiet = Autograd.NoGrad();
            using var doubled = x.UpsampleNearest2d([2 * x.Shape[2], 2 * x.Shape[3]]);
            upsample.Observe(doubled);
        }

        return _conv.Forward(x);
    }
}

/// <summary>
/// relu(x + conv₄(relu(conv₂(relu(conv₀(x)))))), 3×3 convolutions of equal width. Keys: <c>conv.0</c>, <c>conv.2</c>, <c>conv.4</c>.
/// With normalisation, x is first replaced by x + conv₃(relu(groupnorm₁(conv₀(x)))), with 1×1 convolutions, four times the channels and
/// four groups; keys <c>pool.0</c>, <c>pool.1</c>, <c>pool.3</c>.
/// </summary>
internal sealed class TinyBlock : TinyLayer
{
    private const int Groups = 4;
    private const double Epsilon = 1e-5;

    private readonly Conv2d[] _convs;
    private readonly Conv2d? _widen;
    private readonly GroupNorm? _norm;
    private readonly Conv2d? _narrow;

    public TinyBlock(ParameterPath path, int channels, bool normalise)
        : base(path)
    {
        _convs = [.. ((int[])[0, 2, 4]).Select(k => new Conv2d(path / "conv" / k, channels, channels, kernel: 3, padding: 1))];
        if (!normalise)
            return;
        var wide = Groups * channels;
        _widen = new Conv2d(path / "pool" / 0, channels, wide, kernel: 1, bias: false);
        _norm = new GroupNorm(path / "pool" / 1, Groups, wide, Epsilon);
        _narrow = new Conv2d(path / "pool" / 3, wide, channels, kernel: 1, bias: false);
    }

    public override Tensor Forward(Tensor x)
    {
        using var scope = TensorScope.Enter();
        var start = _norm is null ? x : _narrow!.Forward(_norm.Forward(_widen!.Forward(x)).Relu()) + x;
        var first = _convs[0].Forward(start);
        first.ReluInPlace();
        var second = _convs[1].Forward(first);
        second.ReluInPlace();
        var sum = _convs[2].Forward(second).PlusInPlace(start);
        sum.ReluInPlace();
        return scope.Keep(sum);
    }
}
