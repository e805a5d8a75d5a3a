using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.UNet;

/// <summary>Conditioning common to all blocks.</summary>
/// <param name="Embedding">Modulation embedding silu(time + class + …), [batch, time width].</param>
/// <param name="Text">Text tokens [batch, tokens, width], or null.</param>
/// <param name="Mask">Added to the attention scores of text tokens, [batch, 1, 1, tokens]; null for no mask.</param>
/// <param name="Checkpoint">Whether to recompute layer activations in the backward pass.</param>
internal sealed record UNetContext(Tensor Embedding, Tensor? Text, Tensor? Mask, bool Checkpoint);

/// <summary>Attention after a residual block.</summary>
internal enum UNetAttentionKind
{
    /// <summary>No attention.</summary>
    None,

    /// <summary>A transformer.</summary>
    Transformer,

    /// <summary>Self-attention over the pixels.</summary>
    Pixels,
}

/// <summary>A residual block with an optional attention before or after it: the unit of activation checkpointing.</summary>
internal sealed class UNetLayer
{
    private readonly UNetTransformer? _transformer;
    private readonly UNetPixelAttention? _pixels;
    private readonly UNetResidualBlock _residual;
    private readonly bool _attentionFirst;
    private readonly IReadOnlyList<Parameter> _parameters;

    /// <param name="store">Store in which both register their parameters.</param>
    /// <param name="attention">Creates the attention, or returns null.</param>
    /// <param name="residual">Creates the residual block.</param>
    /// <param name="attentionFirst">Whether the attention precedes the residual block.</param>
    public UNetLayer(ParameterStore store, Func<object?> attention, Func<UNetResidualBlock> residual, bool attentionFirst = false)
    {
        var before = store.All.Count;
        var made = attention();
        (_transformer, _pixels) = (made as UNetTransformer, made as UNetPixelAttention);
        _residual = residual();
        _attentionFirst = attentionFirst;
        _parameters = store.Block(before);
    }

    /// <summary>[batch, inputs, height, width] to [batch, outputs, height, width].</summary>
    public Tensor Forward(Tensor x, UNetContext context)
    {
        using var scope = TensorScope.Enter();
        Tensor[] inputs =
        [
            x,
            context.Embedding,
            .. context.Text is null ? (Tensor[])[] : [context.Text],
            .. context.Mask is null ? (Tensor[])[] : [context.Mask],
        ];
        if (!context.Checkpoint && _parameters[0].Block is null)
            return scope.Keep(Run(inputs)[0]);
        Tensor[] leaves = [.. _parameters.SelectMany(static p => p.Leaves)];
        return scope.Keep(Autograd.Checkpoint(Run, inputs, leaves, _parameters[0].Block is { } weights ? weights.Hold : null)[0]);

        Tensor[] Run(IReadOnlyList<Tensor> outer)
        {
            using var inner = TensorScope.Enter();
            // Alias nodes sum the layer's own gradients before others, in the same order as checkpointing, so that both are bitwise
            // equal. Checkpointing recomputes from leaf tensors, and autocast caches the low-precision copies of leaves but not of
            // aliases.
            Tensor[] given = [.. outer.Select(static t => t.Alias())];
            var text = context.Text is null ? null : given[2];
            var mask = context.Mask is null ? null : given[^1];
            var hidden = _attentionFirst ? Attend(given[0], text, mask) : _residual.Forward(given[0], given[1]);
            var result = _attentionFirst ? _residual.Forward(hidden, given[1]) : Attend(hidden, text, mask);
            return [inner.Keep(result)];
        }
    }

    private Tensor Attend(Tensor x, Tensor? text, Tensor? mask) => _transformer?.Forward(x, text, mask) ?? _pixels?.Forward(x) ?? x;
}

/// <summary>
/// Self-attention over the pixels with normalisation and a residual connection. Keys: <c>group_norm</c>, <c>to_q</c>, <c>to_k</c>,
/// <c>to_v</c>, <c>to_out.0</c>.
/// </summary>
/// <param name="path">Path of the parameters.</param>
/// <param name="channels">Number of channels.</param>
/// <param name="headWidth">Channels per head; must divide the channels.</param>
/// <param name="config">Network configuration.</param>
internal sealed class UNetPixelAttention(ParameterPath path, int channels, int headWidth, UNet2DConditionConfig config)
{
    private readonly GroupNorm _norm = new(path / "group_norm", config.NormNumGroups, channels, config.NormEps);
    private readonly UNetAttention _attention = new(
        path,
        channels,
        channels,
        channels % headWidth == 0 ? channels / headWidth : 0,
        config.UpcastAttention,
        bias: true
    );

    /// <summary>[batch, channels, height, width], same shape.</summary>
    public Tensor Forward(Tensor x)
    {
        using var scope = TensorScope.Enter();
        var tokens = _norm.Forward(x).Flatten(2).Transpose(1, 2).Contiguous();
        return scope.Keep(_attention.Forward(tokens, tokens, mask: null).Transpose(1, 2).Reshape(x.Shape).Add(x));
    }
}

/// <summary>2× downsampling, rounding odd sides up. Key: <c>conv</c>.</summary>
/// <param name="path">Path of the parameters.</param>
/// <param name="channels">Number of channels.</param>
/// <param name="padding">Zero padding on every side; 0 for one row and column on the right and bottom.</param>
internal sealed class UNetDownsampler(ParameterPath path, int channels, int padding)
{
    private readonly Conv2d _conv = new(path / "conv", channels, channels, kernel: 3, stride: 2, padding);

    /// <summary>Maps [batch, channels, height, width] to [batch, channels, ⌈height/2⌉, ⌈width/2⌉].</summary>
    public Tensor Forward(Tensor x)
    {
        if (padding > 0)
            return _conv.Forward(x);
        using var padded = x.ConstantPadNd([0, 1, 0, 1]);
        return _conv.Forward(padded);
    }
}

/// <summary>
/// Layers of one resolution with an optional down- or upsampling. Keys: <c>resnets.*</c>, <c>attentions.*</c>, <c>downsamplers.0</c> or
/// <c>upsamplers.0</c>.
/// </summary>
internal sealed class UNetBlock
{
    private readonly ParameterPath _path;
    private readonly UNetLayer[] _layers;
    private readonly UNetDownsampler? _downsampler;
    private readonly UpsampleConv2d? _upsampler;

    private UNetBlock(ParameterPath path, UNetLayer[] layers, UNetDownsampler? downsampler, UpsampleConv2d? upsampler) =>
        (_path, _layers, _downsampler, _upsampler) = (path, layers, downsampler, upsampler);

    /// <summary>A block of the down path.</summary>
    /// <param name="root">Path of the network.</param>
    /// <param name="level">Level; 0 is the highest resolution.</param>
    /// <param name="config">Network configuration.</param>
    /// <param name="skips">Channels of the skip connections; the block pushes its own.</param>
    public static UNetBlock Down(ParameterPath root, int level, UNet2DConditionConfig config, Stack<int> skips)
    {
        var path = root / "down_blocks" / level;
        var outputs = config.BlockOutChannels[level];
        var attentions = Attentions(
            path,
            level,
            config,
            KindOf(config.DownBlockTypes[level]),
            UNet2DConditionConfig.At(config.TransformerLayersPerBlock, level)
        );
        var layers = new List<UNetLayer>();
        for (var k = 0; k < UNet2DConditionConfig.At(config.LayersPerBlock, level); k++)
        {
            var (index, inputs) = (k, k > 0 ? outputs : skips.Peek());
            layers.Add(
                new UNetLayer(
                    root.Store,
                    () => attentions(index),
                    () => new UNetResidualBlock(path / "resnets" / index, inputs, outputs, config)
                )
            );
            skips.Push(outputs);
        }

        var last = level == config.Levels - 1;
        if (!last)
            skips.Push(outputs);
        return new UNetBlock(
            path,
            [.. layers],
            last ? null : new UNetDownsampler(path / "downsamplers" / 0, outputs, config.DownsamplePadding),
            null
        );
    }

    /// <summary>A block of the up path.</summary>
    /// <param name="root">Path of the network.</param>
    /// <param name="place">Block index; 0 is the lowest resolution.</param>
    /// <param name="config">Network configuration.</param>
    /// <param name="skips">Channels of the skip connections; the block pops those it consumes.</param>
    /// <param name="inputs">Channels of the input from the lower resolution.</param>
    public static UNetBlock Up(ParameterPath root, int place, UNet2DConditionConfig config, Stack<int> skips, int inputs)
    {
        var path = root / "up_blocks" / place;
        var level = config.Levels - 1 - place;
        var outputs = config.BlockOutChannels[level];
        var counts = config.ReverseTransformerLayersPerBlock is { } reverse
            ? UNet2DConditionConfig.At(reverse, place)
            : UNet2DConditionConfig.At(config.TransformerLayersPerBlock, level);
        var attentions = Attentions(path, level, config, KindOf(config.UpBlockTypes[place]), counts);
        var layers = new List<UNetLayer>();
        for (var k = 0; k <= UNet2DConditionConfig.At(config.LayersPerBlock, level); k++)
        {
            var (index, width) = (k, (k > 0 ? outputs : inputs) + skips.Pop());
            layers.Add(
                new UNetLayer(
                    root.Store,
                    () => attentions(index),
                    () => new UNetResidualBlock(path / "resnets" / index, width, outputs, config)
                )
            );
        }

        return new UNetBlock(
            path,
            [.. layers],
            null,
            level == 0 ? null : new UpsampleConv2d(path / "upsamplers" / 0 / "conv", outputs, outputs)
        );
    }

    /// <summary>
    /// Runs a block of the down path and pushes its outputs on <paramref name="skips"/>, which already holds <paramref name="x"/> and
    /// owns all of them.
    /// </summary>
    public Tensor Descend(Tensor x, Stack<Tensor> skips, UNetContext context)
    {
        foreach (var layer in _layers)
        {
            x = layer.Forward(x, context);
            skips.Push(x);
        }

        if (_downsampler is not null)
            skips.Push(x = _downsampler.Forward(x));
        return _path.Observe(x);
    }

    /// <summary>Runs a block of the up path; disposes <paramref name="x"/> and the skips that it pops.</summary>
    public Tensor Ascend(Tensor x, Stack<Tensor> skips, UNetContext context)
    {
        foreach (var layer in _layers)
        {
            using var skip = skips.Pop();
            using var both = Ops.Cat([x, skip], 1);
            x.Dispose();
            x = layer.Forward(both, context);
        }

        if (_upsampler is not null)
        {
            // Odd sides were rounded up by the downsampling: upsample to the size of the next skip.
            var size = skips.Peek().Shape;
            using var small = x;
            x = _upsampler.Forward(small, size[2], size[3]);
        }

        return _path.Observe(x);
    }

    private static UNetAttentionKind KindOf(string type) =>
        type switch
        {
            UNet2DConditionConfig.CrossDown or UNet2DConditionConfig.CrossUp => UNetAttentionKind.Transformer,
            UNet2DConditionConfig.SelfDown or UNet2DConditionConfig.SelfUp => UNetAttentionKind.Pixels,
            _ => UNetAttentionKind.None,
        };

    /// <summary>Factory of the attention after the residual block with a given index.</summary>
    private static Func<int, object?> Attentions(
        ParameterPath path,
        int level,
        UNet2DConditionConfig config,
        UNetAttentionKind kind,
        IReadOnlyList<int> counts
    )
    {
        var (channels, heads) = (config.BlockOutChannels[level], UNet2DConditionConfig.At(config.AttentionHeadDim, level));
        return kind switch
        {
            UNetAttentionKind.Transformer => index => new UNetTransformer(
                path / "attentions" / index,
                ShapeOf(config, level, UNet2DConditionConfig.At(counts, index)),
                config
            ),
            UNetAttentionKind.Pixels => index => new UNetPixelAttention(path / "attentions" / index, channels, heads, config),
            _ => static _ => null,
        };
    }

    /// <summary>Configuration of a level's transformers.</summary>
    internal static UNetTransformerShape ShapeOf(UNet2DConditionConfig config, int level, int layers) =>
        new(
            config.BlockOutChannels[level],
            UNet2DConditionConfig.At(config.AttentionHeadDim, level),
            layers,
            config.CrossAttentionDim is { } widths ? UNet2DConditionConfig.At(widths, level) : null,
            UNet2DConditionConfig.At(config.OnlyCrossAttention, level)
        );
}
