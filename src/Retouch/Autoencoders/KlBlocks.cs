using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Autoencoders;

/// <summary>A part of a network that is checkpointed, observed and freed as a unit.</summary>
internal interface IKlBlock
{
    /// <summary>Runs the block. Only the result is left in the caller's scope.</summary>
    Tensor Forward(Tensor x);
}

/// <summary>Helpers shared by the blocks of a KL autoencoder.</summary>
internal static class KlBlocks
{
    /// <summary>ε of every group normalisation in a KL autoencoder.</summary>
    public const double Epsilon = 1e-6;

    /// <summary>Runs blocks in sequence and frees the intermediate tensors.</summary>
    public static Tensor Chain(Tensor x, IEnumerable<IKlBlock> blocks)
    {
        var current = x;
        foreach (var block in blocks)
        {
            var next = block.Forward(current);
            if (!ReferenceEquals(current, x))
                current.Dispose();
            current = next;
        }

        return current;
    }
}

/// <summary>
/// x + conv2(silu(norm2(conv1(silu(norm1(x)))))), with a 1×1 convolution on the shortcut if the channel count changes. Keys:
/// <c>norm1</c>, <c>conv1</c>, <c>norm2</c>, <c>conv2</c>, <c>conv_shortcut</c>.
/// </summary>
internal sealed class KlResidualBlock : IKlBlock
{
    private readonly GroupNorm _norm1;
    private readonly Conv2d _conv1;
    private readonly GroupNorm _norm2;
    private readonly Conv2d _conv2;
    private readonly Conv2d? _shortcut;

    public KlResidualBlock(ParameterPath path, int inputs, int outputs, int groups)
    {
        _norm1 = new GroupNorm(path / "norm1", groups, inputs, KlBlocks.Epsilon);
        _conv1 = new Conv2d(path / "conv1", inputs, outputs, kernel: 3, padding: 1);
        _norm2 = new GroupNorm(path / "norm2", groups, outputs, KlBlocks.Epsilon);
        _conv2 = new Conv2d(path / "conv2", outputs, outputs, kernel: 3, padding: 1);
        _shortcut = inputs == outputs ? null : new Conv2d(path / "conv_shortcut", inputs, outputs, kernel: 1);
    }

    /// <summary>[N, inputs, H, W] to [N, outputs, H, W].</summary>
    public Tensor Forward(Tensor x)
    {
        Tensor hidden,
            result;
        using (var active = _norm1.ForwardSilu(x))
            hidden = _conv1.Forward(active);
        using (hidden)
        using (var active = _norm2.ForwardSilu(hidden))
            result = _conv2.Forward(active);
        if (_shortcut is null)
            return result.PlusInPlace(x);
        using var bypass = _shortcut.Forward(x);
        return result.PlusInPlace(bypass);
    }
}

/// <summary>
/// Single-head self-attention over the pixels with a residual connection. Keys: <c>group_norm</c>, <c>to_q</c>, <c>to_k</c>,
/// <c>to_v</c>, <c>to_out.0</c>.
/// </summary>
internal sealed class KlAttention : IKlBlock
{
    private readonly GroupNorm _norm;
    private readonly Linear _query;
    private readonly Linear _key;
    private readonly Linear _value;
    private readonly Linear _out;

    public KlAttention(ParameterPath path, int channels, int groups)
    {
        _norm = new GroupNorm(path / "group_norm", groups, channels, KlBlocks.Epsilon);
        _query = new Linear(path / "to_q", channels, channels);
        _key = new Linear(path / "to_k", channels, channels);
        _value = new Linear(path / "to_v", channels, channels);
        _out = new Linear(path / "to_out" / 0, channels, channels);
    }

    /// <summary>[N, channels, H, W], same shape.</summary>
    public Tensor Forward(Tensor x)
    {
        using var scope = TensorScope.Enter();
        var tokens = _norm.Forward(x).Flatten(2).Transpose(1, 2).Contiguous();
        var mixed = Attention.ScaledDotProduct(
            _query.Forward(tokens).Unsqueeze(1),
            _key.Forward(tokens).Unsqueeze(1),
            _value.Forward(tokens).Unsqueeze(1)
        );
        return scope.Keep(_out.Forward(mixed.Squeeze(1)).Transpose(1, 2).Reshape(x.Shape).Add(x));
    }
}

/// <summary>
/// Residual block, attention, residual block at the lowest resolution. Keys: <c>resnets.0</c>, <c>attentions.0</c>, <c>resnets.1</c>.
/// </summary>
internal sealed class KlMidBlock : IKlBlock
{
    private readonly IKlBlock[] _blocks;

    public KlMidBlock(ParameterPath path, int channels, int groups, bool attention)
    {
        _blocks =
        [
            new KlResidualBlock(path / "resnets" / 0, channels, channels, groups),
            .. attention ? new[] { new KlAttention(path / "attentions" / 0, channels, groups) } : [],
            new KlResidualBlock(path / "resnets" / 1, channels, channels, groups),
        ];
    }

    public Tensor Forward(Tensor x) => KlBlocks.Chain(x, _blocks);
}

/// <summary>Residual blocks and 2× downsampling. Keys: <c>resnets.*</c>, <c>downsamplers.0.conv</c>.</summary>
internal sealed class KlDownBlock : IKlBlock
{
    private readonly IKlBlock[] _blocks;

    public KlDownBlock(ParameterPath path, int inputs, int outputs, int layers, int groups, bool downsample)
    {
        var resnets = path / "resnets";
        _blocks =
        [
            .. Enumerable.Range(0, layers).Select(k => new KlResidualBlock(resnets / k, k == 0 ? inputs : outputs, outputs, groups)),
            .. downsample ? new[] { new Downsampler(path / "downsamplers" / 0 / "conv", outputs) } : [],
        ];
    }

    public Tensor Forward(Tensor x) => KlBlocks.Chain(x, _blocks);

    /// <summary>3×3 convolution with stride 2; zero padding on the right and bottom only.</summary>
    private sealed class Downsampler(ParameterPath path, int channels) : IKlBlock
    {
        private readonly Conv2d _conv = new(path, channels, channels, kernel: 3, stride: 2);

        public Tensor Forward(Tensor x)
        {
            using var padded = x.ConstantPadNd([0, 1, 0, 1]);
            return _conv.Forward(padded);
        }
    }
}

/// <summary>Residual blocks and 2× upsampling. Keys: <c>resnets.*</c>, <c>upsamplers.0.conv</c>.</summary>
internal sealed class KlUpBlock : IKlBlock
{
    private readonly IKlBlock[] _blocks;

    public KlUpBlock(ParameterPath path, int inputs, int outputs, int layers, int groups, bool upsample)
    {
        var resnets = path / "resnets";
        _blocks =
        [
            .. Enumerable.Range(0, layers).Select(k => new KlResidualBlock(resnets / k, k == 0 ? inputs : outputs, outputs, groups)),
            .. upsample ? new[] { new Upsampler(path / "upsamplers" / 0 / "conv", outputs) } : [],
        ];
    }

    public Tensor Forward(Tensor x) => KlBlocks.Chain(x, _blocks);

    /// <summary>2× nearest-neighbour upsampling and a 3×3 convolution.</summary>
    private sealed class Upsampler(ParameterPath path, int channels) : IKlBlock
    {
        private readonly UpsampleConv2d _conv = new(path, channels, channels);

        public Tensor Forward(Tensor x) => _conv.Forward(x);
    }
}

/// <summary>Head of encoder and decoder: normalisation, SiLU, 3×3 convolution. Keys: <c>conv_norm_out</c>, <c>conv_out</c>.</summary>
internal sealed class KlHead : IKlBlock
{
    private readonly GroupNorm _norm;
    private readonly Conv2d _conv;

    public KlHead(ParameterPath path, int inputs, int outputs, int groups)
    {
        _norm = new GroupNorm(path / "conv_norm_out", groups, inputs, KlBlocks.Epsilon);
        _conv = new Conv2d(path / "conv_out", inputs, outputs, kernel: 3, padding: 1);
    }

    public Tensor Forward(Tensor x)
    {
        using var active = _norm.ForwardSilu(x);
        return _conv.Forward(active);
    }
}
