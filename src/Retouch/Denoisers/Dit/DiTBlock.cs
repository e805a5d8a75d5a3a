using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.Dit;

/// <summary>
/// Transformer block with adaLN-Zero modulation by timestep and class (Peebles and Xie 2023, section 3.2). Every block has its own
/// embedder of both.
/// </summary>
internal sealed class DiTBlock
{
    /// <summary>Number of sinusoidal timestep features.</summary>
    public const int TimeFeatures = 256;

    private const double AttentionNormEps = 1e-6;

    private readonly ParameterPath _path;
    private readonly TimestepEmbedding _time;
    private readonly Embedding _label;
    private readonly Linear _modulation;
    private readonly LayerNorm _norm1;
    private readonly LayerNorm _norm3;
    private readonly MultiHeadAttention _attention;
    private readonly GeluFeedForward _feedForward;

    public DiTBlock(ParameterPath path, DiTConfig config)
    {
        _path = path;
        var width = config.Width;
        _time = new TimestepEmbedding(path / "norm1" / "emb" / "timestep_embedder", TimeFeatures, width, Inits.Normal(0.02), Inits.Zeros);
        _label = new Embedding(
            path / "norm1" / "emb" / "class_embedder" / "embedding_table",
            config.NumEmbedsAdaNorm + 1L,
            width,
            Inits.Normal(0.02)
        );
        var first = path.Store.All.Count;
        // Zero gates make a newly initialised block the identity.
        _modulation = new Linear(path / "norm1" / "linear", width, 6L * width, weightInit: Inits.Zeros, biasInit: Inits.Zeros);
        _norm1 = new LayerNorm(path / "norm1" / "norm", width, AttentionNormEps, affine: false);
        _attention = new MultiHeadAttention(
            path / "attn1",
            config.NumAttentionHeads,
            config.AttentionHeadDim,
            config.AttentionBias,
            config.UpcastAttention
        );
        _norm3 = new LayerNorm(path / "norm3", width, config.NormEps, config.NormElementwiseAffine);
        _feedForward = new GeluFeedForward(path / "ff", width, GeluFeedForward.IsApproximate(config.ActivationFn));
        Parameters = path.Store.Block(first);
    }

    /// <summary>Parameters of <see cref="Forward"/>, without those of <see cref="Embed"/>.</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>Modulation embedding silu(time + label).</summary>
    /// <param name="features">Sinusoidal timestep features, [batch, <see cref="TimeFeatures"/>].</param>
    /// <param name="labels">Class labels, int64 [batch].</param>
    /// <returns>[batch, width].</returns>
    public Tensor Embed(Tensor features, Tensor labels)
    {
        using var scope = TensorScope.Enter();
        return scope.Keep((_time.Forward(features) + _label.Forward(labels)).Silu());
    }

    /// <summary>[batch, tokens, width], same shape.</summary>
    /// <param name="x">Tokens.</param>
    /// <param name="embedding">Output of <see cref="Embed"/>.</param>
    public Tensor Forward(Tensor x, Tensor embedding)
    {
        using var scope = TensorScope.Enter();
        var m = _modulation.Forward(embedding).Unsqueeze(1).Chunk(6, -1);
        var attended = Modulation.Gate(x, m[2], _attention.Forward(Modulation.Apply(_norm1.Forward(x), m[0], m[1])));
        var result = Modulation.Gate(attended, m[5], _feedForward.Forward(Modulation.Apply(_norm3.Forward(attended), m[3], m[4])));
        return _path.Observe(scope.Keep(result));
    }
}
