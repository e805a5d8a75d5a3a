using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.UNet;

/// <summary>Configuration of a U-Net transformer.</summary>
/// <param name="Channels">Token width.</param>
/// <param name="Heads">Number of attention heads.</param>
/// <param name="Layers">Number of transformer blocks.</param>
/// <param name="ContextWidth">Width of the text tokens; null without text.</param>
/// <param name="OnlyCross">Whether the first attention is cross-attention too.</param>
internal sealed record UNetTransformerShape(int Channels, int Heads, int Layers, int? ContextWidth, bool OnlyCross);

/// <summary>
/// Transformer blocks over pixels as tokens, with a residual connection (Rombach et al. 2022, appendix E.2.1). Keys: <c>norm</c>,
/// <c>proj_in</c>, <c>transformer_blocks.*</c>, <c>proj_out</c>.
/// </summary>
internal sealed class UNetTransformer
{
    private const double EntryEps = 1e-6;

    private readonly GroupNorm _norm;
    private readonly Conv2d? _projectInMap;
    private readonly Conv2d? _projectOutMap;
    private readonly Linear? _projectInTokens;
    private readonly Linear? _projectOutTokens;
    private readonly UNetTransformerBlock[] _blocks;

    public UNetTransformer(ParameterPath path, UNetTransformerShape shape, UNet2DConditionConfig config)
    {
        _norm = new GroupNorm(path / "norm", config.NormNumGroups, shape.Channels, EntryEps);
        if (config.UseLinearProjection)
            _projectInTokens = new Linear(path / "proj_in", shape.Channels, shape.Channels);
        else
            _projectInMap = new Conv2d(path / "proj_in", shape.Channels, shape.Channels, kernel: 1);
        _blocks =
        [
            .. Enumerable
                .Range(0, shape.Layers)
                .Select(k => new UNetTransformerBlock(path / "transformer_blocks" / k, shape, config.UpcastAttention)),
        ];
        if (config.UseLinearProjection)
            _projectOutTokens = new Linear(path / "proj_out", shape.Channels, shape.Channels);
        else
            _projectOutMap = new Conv2d(path / "proj_out", shape.Channels, shape.Channels, kernel: 1);
    }

    /// <summary>[batch, channels, height, width], same shape.</summary>
    /// <param name="x">Feature maps.</param>
    /// <param name="text">Text tokens [batch, tokens, context width]; null without text.</param>
    /// <param name="mask">Added to the attention scores of text tokens, [batch, 1, 1, tokens]; null for no mask.</param>
    public Tensor Forward(Tensor x, Tensor? text, Tensor? mask)
    {
        using var scope = TensorScope.Enter();
        var tokens = ProjectIn(x);
        foreach (var block in _blocks)
        {
            var next = block.Forward(tokens, text, mask);
            tokens.Dispose();
            tokens = next;
        }

        return scope.Keep(ProjectOut(tokens, x.Shape).PlusInPlace(x));
    }

    private Tensor ProjectIn(Tensor x)
    {
        using var scope = TensorScope.Enter();
        var normal = _norm.Forward(x);
        return scope.Keep(_projectInTokens is null ? Tokens(_projectInMap!.Forward(normal)) : _projectInTokens.Forward(Tokens(normal)));

        static Tensor Tokens(Tensor map) => map.Flatten(2).Transpose(1, 2).Contiguous();
    }

    private Tensor ProjectOut(Tensor tokens, long[] shape)
    {
        using var scope = TensorScope.Enter();
        // A new tensor in both cases, since the residual is added in place.
        return scope.Keep(_projectOutTokens is null ? _projectOutMap!.Forward(Map(tokens)) : Map(_projectOutTokens.Forward(tokens)));

        Tensor Map(Tensor t) => t.Transpose(1, 2).Contiguous().View(shape);
    }
}

/// <summary>
/// Self-attention, optional cross-attention to text, and a gated feed-forward network, each with pre-normalisation and a residual
/// connection. Keys: <c>norm1</c>, <c>attn1</c>, <c>norm2</c>, <c>attn2</c>, <c>norm3</c>, <c>ff.net.0.proj</c>, <c>ff.net.2</c>.
/// </summary>
internal sealed class UNetTransformerBlock
{
    private const double NormEps = 1e-5;

    private readonly LayerNorm _norm1;
    private readonly UNetAttention _attention1;
    private readonly LayerNorm? _norm2;
    private readonly UNetAttention? _attention2;
    private readonly LayerNorm _norm3;
    private readonly Linear _expand;
    private readonly Linear _contract;
    private readonly bool _onlyCross;

    public UNetTransformerBlock(ParameterPath path, UNetTransformerShape shape, bool upcast)
    {
        var width = shape.Channels;
        _onlyCross = shape.OnlyCross;
        _norm1 = new LayerNorm(path / "norm1", width, NormEps);
        _attention1 = new UNetAttention(path / "attn1", width, (_onlyCross ? shape.ContextWidth : null) ?? width, shape.Heads, upcast);
        if (shape.ContextWidth is { } context)
        {
            _norm2 = new LayerNorm(path / "norm2", width, NormEps);
            _attention2 = new UNetAttention(path / "attn2", width, context, shape.Heads, upcast);
        }

        _norm3 = new LayerNorm(path / "norm3", width, NormEps);
        _expand = new Linear(path / "ff" / "net" / 0 / "proj", width, 8L * width);
        _contract = new Linear(path / "ff" / "net" / 2, 4L * width, width);
    }

    /// <summary>[batch, pixels, width], same shape.</summary>
    public Tensor Forward(Tensor x, Tensor? text, Tensor? mask)
    {
        using var scope = TensorScope.Enter();
        var attended = Attend(_norm1, _attention1, x, _onlyCross ? text : null, mask);
        if (_attention2 is not null)
        {
            var first = attended;
            attended = Attend(_norm2!, _attention2, first, text, mask);
            first.Dispose();
        }

        return scope.Keep(FeedForward(attended));
    }

    private static Tensor Attend(LayerNorm norm, UNetAttention attention, Tensor x, Tensor? text, Tensor? mask)
    {
        using var normal = norm.Forward(x);
        return attention.Forward(normal, text ?? normal, text is null ? null : mask).PlusInPlace(x);
    }

    /// <summary>Gated linear unit with GELU (Shazeer 2020): one half of the expansion times gelu of the other.</summary>
    private Tensor FeedForward(Tensor x)
    {
        using var scope = TensorScope.Enter();
        Tensor gated;
        using (var normal = _norm3.Forward(x))
        using (var expanded = _expand.Forward(normal))
        {
            var halves = expanded.Chunk(2, -1);
            using var gate = halves[1].Gelu("none");
            gated = halves[0] * gate;
            halves[0].Dispose();
            halves[1].Dispose();
        }

        return scope.Keep(_contract.Forward(gated).PlusInPlace(x));
    }
}

/// <summary>Multi-head attention. Keys: <c>to_q</c>, <c>to_k</c>, <c>to_v</c> (without biases), <c>to_out.0</c>.</summary>
/// <param name="path">Path of the parameters.</param>
/// <param name="width">Width of the query tokens.</param>
/// <param name="contextWidth">Width of the key and value tokens.</param>
/// <param name="heads">Number of heads; must divide the width.</param>
/// <param name="upcast">Whether to compute the attention in float32, whatever the weights' dtype, and under autocast.</param>
/// <param name="bias">Whether query, key and value have biases.</param>
internal sealed class UNetAttention(ParameterPath path, int width, int contextWidth, int heads, bool upcast, bool bias = false)
{
    private readonly int _heads =
        heads >= 1 && width % heads == 0
            ? heads
            : throw new Core.Errors.InputException(
                $"{path.Name}: {width} channels cannot be split into {heads} heads. Check attention_head_dim in config.json."
            );

    private readonly Linear _query = new(path / "to_q", width, width, bias);
    private readonly Linear _key = new(path / "to_k", contextWidth, width, bias);
    private readonly Linear _value = new(path / "to_v", contextWidth, width, bias);
    private readonly Linear _out = new(path / "to_out" / 0, width, width);

    /// <summary>[batch, tokens, width], same shape.</summary>
    public Tensor Forward(Tensor x, Tensor context, Tensor? mask)
    {
        using var scope = TensorScope.Enter();
        var (q, k, v) = (Heads(_query.Forward(x)), Heads(_key.Forward(context)), Heads(_value.Forward(context)));
        var mixed = upcast
            ? Attention.ScaledDotProductWide(q, k, v, mask).To(x.DType)
            : Attention.ScaledDotProduct(q, k, v, mask?.To(q.DType)).To(x.DType);
        return scope.Keep(_out.Forward(mixed.Transpose(1, 2).Flatten(2)));
    }

    /// <summary>Splits [batch, tokens, width] into [batch, heads, tokens, width/heads].</summary>
    private Tensor Heads(Tensor x) => x.View([x.Shape[0], x.Shape[1], _heads, x.Shape[2] / _heads]).Transpose(1, 2);
}
