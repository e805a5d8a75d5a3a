using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Conditioning.Clip;

/// <summary>Outputs of a <see cref="ClipTextModel"/>, in the model's dtype.</summary>
/// <param name="LastHiddenState">Last hidden state after the final normalisation, [batch, tokens, width].</param>
/// <param name="HiddenState">Requested layer output without the final normalisation, [batch, tokens, width]; null if not
/// requested.</param>
/// <param name="Pooled">Normalised state at the end-of-text token, [batch, width].</param>
/// <param name="Projected">Projection of the pooled state, [batch, projection], not normalised; null without a projection.</param>
public sealed record ClipTextOutput(Tensor LastHiddenState, Tensor? HiddenState, Tensor Pooled, Tensor? Projected);

/// <summary>
/// CLIP text encoder (Radford et al. 2021, section 2.4), a causal transformer with the parameters of transformers' <c>CLIPTextModel</c>
/// and
/// <c>CLIPTextModelWithProjection</c>. Construction allocates no tensors; initialise or load <see cref="Parameters"/> next.
/// </summary>
public sealed class ClipTextModel : IDisposable
{
    private readonly Embedding _tokens;
    private readonly Parameter _positions;
    private readonly ClipEncoder _encoder;
    private readonly LayerNorm _finalNorm;
    private readonly Linear? _projection;

    /// <summary>Builds the network without allocating parameters.</summary>
    /// <exception cref="InputException">The configuration is inconsistent.</exception>
    public ClipTextModel(ClipTextConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate("CLIP");
        Config = config;
        var root = Parameters.Root;
        var text = root / "text_model";
        var shape = new ClipLayerShape(
            config.NumHiddenLayers,
            config.HiddenSize,
            config.IntermediateSize,
            config.NumAttentionHeads,
            config.HiddenAct,
            config.LayerNormEps
        );
        _tokens = new Embedding(text / "embeddings" / "token_embedding", config.VocabSize, config.HiddenSize, Inits.Normal(0.02));
        _positions = (text / "embeddings" / "position_embedding").Parameter(
            "weight",
            [config.MaxPositionEmbeddings, config.HiddenSize],
            Inits.Normal(0.02)
        );
        _encoder = new ClipEncoder(text / "encoder", root / "hidden_states", shape);
        _finalNorm = new LayerNorm(text / "final_layer_norm", config.HiddenSize, config.LayerNormEps);
        if (config.WithProjection)
            _projection = new Linear(
                root / "text_projection",
                config.HiddenSize,
                config.ProjectionDim,
                bias: false,
                Inits.Normal(1 / Math.Sqrt(config.HiddenSize))
            );
    }

    /// <summary>Network configuration.</summary>
    public ClipTextConfig Config { get; }

    /// <summary>All parameters, by checkpoint key.</summary>
    public ParameterStore Parameters { get; } =
        new() { OtherKeys = ClipTextKeys.Wrapped, UnusedKeys = [ClipTextKeys.Wrapper + "embeddings.position_ids"] };

    /// <summary>Device of the parameters.</summary>
    public Device Device => _positions.Value.Device;

    /// <summary>Encodes token ids. Differentiable with respect to weights that require gradients.</summary>
    /// <param name="ids">int64 [batch, tokens], at most <see cref="ClipTextConfig.MaxPositionEmbeddings"/> tokens.</param>
    /// <param name="mask">int64 [batch, tokens], 0 for tokens that are not attended to; null for none.</param>
    /// <param name="skip">
    /// Layer output to return as <see cref="ClipTextOutput.HiddenState"/>, counted from the end: 0 for the last layer, 1 for the layer
    /// before (<c>hidden_states[-2]</c>), up to the number of layers (the embeddings); null for none.
    /// </param>
    /// <exception cref="InputException">Ids or mask have the wrong shape or dtype, or an id is out of range.</exception>
    public ClipTextOutput Forward(Tensor ids, Tensor? mask = null, int? skip = null)
    {
        ArgumentNullException.ThrowIfNull(ids);
        ArgumentOutOfRangeException.ThrowIfNegative(skip ?? 0);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(skip ?? 0, Config.NumHiddenLayers);
        TokenInputs.Check("CLIP's text encoder", ids, mask, Config.VocabSize, Config.MaxPositionEmbeddings);
        using var scope = TensorScope.Enter();
        var tokens = ids.Shape[1];
        var x = _tokens.Forward(ids) + _positions.Value.Narrow(0, 0, tokens);
        var additive = AttentionMask.Causal(tokens, x.DType, x.Device);
        if (mask is not null)
            additive = additive + AttentionMask.OfKeys(mask, x.DType);
        var (last, kept) = _encoder.Forward(x, additive, Config.NumHiddenLayers - skip);
        var normed = _finalNorm.Forward(last);
        var pooled = AtEndOfText(normed, ids);
        var projected = _projection?.Forward(pooled);
        return new ClipTextOutput(
            scope.Keep(normed),
            kept is null ? null : scope.Keep(kept),
            scope.Keep(pooled),
            projected is null ? null : scope.Keep(projected)
        );
    }

    /// <summary>Applies the final normalisation to the output of another layer.</summary>
    /// <param name="hidden">Hidden states […, width].</param>
    public Tensor FinalNorm(Tensor hidden) => _finalNorm.Forward(hidden);

    /// <inheritdoc/>
    public void Dispose() => Parameters.Dispose();

    /// <summary>
    /// State at the first end-of-text token, or at the first token if there is none. With the end-of-text id of older configurations,
    /// the position of the largest id is used.
    /// </summary>
    private Tensor AtEndOfText(Tensor states, Tensor ids)
    {
        var score = Config.EosTokenId == ClipTextConfig.LegacyEndOfText ? ids : ids.Eq(Config.EosTokenId).To(DType.Int64);
        var at = score.Argmax(1).View([-1, 1, 1]).Expand([states.Shape[0], 1, states.Shape[2]]);
        return states.Gather(1, at).Squeeze(1);
    }
}
