using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.Dit;

/// <summary>
/// A transformer block whose normalisations take scale, shift and gate from the time and the label (adaLN-Zero; Peebles and Xie 2023, section 3.2).
/// Every block has its own embedder of both.
/// </summary>
internal sealed class DiTBlock
{
    /// <summary>Features of the time.</summary>
    public const int TimeFeatures = 256;

    private const double AttentionNormEps = 1e-6;

    private readonly ParameterPath _path;
    private readonly TimestepEmbedding _time;
    private readonly Embedding _label;
    private readonly Linear _modulation;
    private readonly LayerNorm _norm1;
    private readonly LayerNorm _norm3;
    private readonly Linear _query;
    private readonly Linear _key;
    private readonly Linear _value;
    private readonly Linear _output;
    private readonly Linear _expand;
    private readonly Linear _contract;
    private readonly DiTConfig _config;

    public DiTBlock(ParameterPath path, DiTConfig config)
    {
        (_path, _config) = (path, config);
        var width = config.Width;
        var first = path.Store.All.Count;
        _time = new TimestepEmbedding(path / "norm1" / "emb" / "timestep_embedder", TimeFeatures, width, Inits.Normal(0.02), Inits.Zeros);
        _label = new Embedding(path / "norm1" / "emb" / "class_embedder" / "embedding_table", config.NumEmbedsAdaNorm + 1L, width, Inits.Normal(0.02));
        // Zero gates make a fresh block the identity.
        _modulation = new Linear(path / "norm1" / "linear", width, 6L * width, weightInit: Inits.Zeros, biasInit: Inits.Zeros);
        _norm1 = new LayerNorm(path / "norm1" / "norm", width, AttentionNormEps, affine: false);
        _query = Xavier(path / "attn1" / "to_q", width, width, config.AttentionBias);
        _key = Xavier(path / "attn1" / "to_k", width, width, config.AttentionBias);
        _value = Xavier(path / "attn1" / "to_v", width, width, config.AttentionBias);
        _output = Xavier(path / "attn1" / "to_out" / 0, width, width, bias: true);
        _norm3 = new LayerNorm(path / "norm3", width, config.NormEps, config.NormElementwiseAffine);
        _expand = Xavier(path / "ff" / "net" / 0 / "proj", width, 4 * width, bias: true);
        _contract = Xavier(path / "ff" / "net" / 2, 4 * width, width, bias: true);
        Parameters = [.. path.Store.All.Skip(first)];
    }

    /// <summary>Its parameters.</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>silu(time + label), which every modulation starts from.</summary>
    /// <param name="features">Sinusoid of the time, [batch, <see cref="TimeFeatures"/>].</param>
    /// <param name="labels">int64 [batch].</param>
    /// <returns>[batch, width].</returns>
    public Tensor Embed(Tensor features, Tensor labels)
    {
        using var scope = TensorScope.Enter();
        return scope.Keep((_time.Forward(features) + _label.Forward(labels)).Silu());
    }

    /// <summary>Tokens [batch, tokens, width] to the same shape.</summary>
    /// <param name="x">Tokens.</param>
    /// <param name="embedding">From <see cref="Embed"/>.</param>
    public Tensor Forward(Tensor x, Tensor embedding)
    {
        using var scope = TensorScope.Enter();
        var m = _modulation.Forward(embedding).Unsqueeze(1).Chunk(6, -1);
        var attended = Ops.Addcmul(x, m[2], Attend(Modulate(_norm1.Forward(x), m[0], m[1])));
        var result = Ops.Addcmul(attended, m[5], FeedForward(Modulate(_norm3.Forward(attended), m[3], m[4])));
        return _path.Observe(scope.Keep(result));
    }

    /// <summary>x·(1 + scale) + shift in one pass over the tokens.</summary>
    public static Tensor Modulate(Tensor x, Tensor shift, Tensor scale) => Ops.Addcmul(shift, x, scale + 1);

    private static Linear Xavier(ParameterPath path, long inputs, long outputs, bool bias) =>
        new(path, inputs, outputs, bias, Inits.XavierUniform(inputs, outputs), Inits.Zeros);

    private Tensor Attend(Tensor x)
    {
        var (q, k, v) = (Heads(_query.Forward(x)), Heads(_key.Forward(x)), Heads(_value.Forward(x)));
        var mixed = Attention.ScaledDotProduct(q, k, v).To(x.DType);
        return _output.Forward(mixed.Transpose(1, 2).Flatten(2));
    }

    /// <summary>[batch, tokens, width] to [batch, heads, tokens, width/heads].</summary>
    private Tensor Heads(Tensor x)
    {
        var split = x.View([x.Shape[0], x.Shape[1], _config.NumAttentionHeads, _config.AttentionHeadDim]).Transpose(1, 2);
        return _config.UpcastAttention ? split.To(DType.Float32) : split;
    }

    private Tensor FeedForward(Tensor x) =>
        _contract.Forward(_expand.Forward(x).Gelu(_config.ActivationFn == "gelu" ? "none" : "tanh"));
}
