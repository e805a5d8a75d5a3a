using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Conditioning.Clip;

/// <summary>What <see cref="ClipTextModel"/> puts out, in its own type.</summary>
/// <param name="LastHiddenState">After the final normalisation, [batch, tokens, width].</param>
/// <param name="HiddenState">The layer's output that was asked for, without the final normalisation, [batch, tokens, width]; null where
/// none was.</param>
/// <param name="Pooled">The normalised state at the end of the text, [batch, width].</param>
/// <param name="Projected">Its projection, [batch, projection], not normalised; null without one.</param>
public sealed record ClipTextOutput(Tensor LastHiddenState, Tensor? HiddenState, Tensor Pooled, Tensor? Projected);

/// <summary>
/// CLIP's text encoder (Radford et al. 2021, section 2.4) with the parameters of transformers' <c>CLIPTextModel</c> and
/// <c>CLIPTextModelWithProjection</c>: a causal transformer. Construction allocates nothing: initialise or load <see cref="Parameters"/>
/// next.
/// </summary>
public sealed class ClipTextModel : IDisposable
{
    private const string PositionIds = "text_model.embeddings.position_ids";

    private readonly Embedding _tokens;
    private readonly Parameter _positions;
    private readonly ClipEncoder _encoder;
    private readonly LayerNorm _finalNorm;
    private readonly Linear? _projection;

    /// <summary>Builds the network without memory for its parameters.</summary>
    /// <exception cref="InputException">Members of the configuration do not fit each other.</exception>
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

    /// <summary>Its shape.</summary>
    public ClipTextConfig Config { get; }

    /// <summary>Its tensors.</summary>
    public ParameterStore Parameters { get; } = new();

    /// <summary>Where its weights are.</summary>
    public Device Device => _positions.Value.Device;

    /// <summary>
    /// Fills the network from a checkpoint. The buffer of positions that older files hold is kept for saving and not used.
    /// </summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="device">Where the tensors go.</param>
    /// <param name="dtype">Their type, in which the network then computes; null keeps the stored one.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">Keys are missing, unexpected or of another shape.</exception>
    public void Load(ITensorSource source, Device device, DType? dtype, string origin)
    {
        ArgumentNullException.ThrowIfNull(source);
        var keyed = ClipTextKeys.Of(source);
        StoredBuffers.Adopt(Parameters, keyed, PositionIds);
        Parameters.Load(keyed, device, dtype, origin);
    }

    /// <summary>Encodes token ids; gradients flow where the weights require them.</summary>
    /// <param name="ids">int64 [batch, tokens], at most <see cref="ClipTextConfig.MaxPositionEmbeddings"/> tokens.</param>
    /// <param name="mask">int64 [batch, tokens], 0 for tokens that nothing may look at; null where all count.</param>
    /// <param name="skip">
    /// Also hands out a layer's output: 0 for the last layer's, 1 for that of the layer before (<c>hidden_states[-2]</c>), up to the number
    /// of layers (the embeddings); null for none.
    /// </param>
    /// <exception cref="InputException">The ids or the mask do not fit.</exception>
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

    /// <summary>The normalisation that follows the last layer, for the output of another one.</summary>
    /// <param name="hidden">[…, width].</param>
    public Tensor FinalNorm(Tensor hidden) => _finalNorm.Forward(hidden);

    /// <inheritdoc/>
    public void Dispose() => Parameters.Dispose();

    /// <summary>
    /// The state where a text ends: at the first end-of-text, which is the largest id where the configuration names the one of older files.
    /// Without any, the first.
    /// </summary>
    private Tensor AtEndOfText(Tensor states, Tensor ids)
    {
        var score = Config.EosTokenId == ClipTextConfig.LegacyEndOfText ? ids : ids.Eq(Config.EosTokenId).To(DType.Int64);
        var at = score.Argmax(1).View([-1, 1, 1]).Expand([states.Shape[0], 1, states.Shape[2]]);
        return states.Gather(1, at).Squeeze(1);
    }
}
