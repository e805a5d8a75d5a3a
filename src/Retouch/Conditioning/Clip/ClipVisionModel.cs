using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Conditioning.Clip;

/// <summary>What <see cref="ClipVisionModel"/> puts out, in its own type.</summary>
/// <param name="ImageEmbeds">The projected class token, [batch, projection], not normalised.</param>
/// <param name="LastHiddenState">The last layer's output, [batch, 1 + patches, width].</param>
public sealed record ClipVisionOutput(Tensor ImageEmbeds, Tensor LastHiddenState);

/// <summary>
/// CLIP's vision transformer (Radford et al. 2021, section 2.4; Dosovitskiy et al. 2021) with the parameters of transformers'
/// <c>CLIPVisionModelWithProjection</c>. Construction allocates nothing: initialise or load <see cref="Parameters"/> next.
/// </summary>
public sealed class ClipVisionModel : IDisposable
{
    private const string PositionIds = "vision_model.embeddings.position_ids";

    private readonly Parameter _classToken;
    private readonly Conv2d _patches;
    private readonly Parameter _positions;
    private readonly LayerNorm _entryNorm;
    private readonly ClipEncoder _encoder;
    private readonly LayerNorm _exitNorm;
    private readonly Linear _projection;

    /// <summary>Builds the network without memory for its parameters.</summary>
    /// <exception cref="InputException">Members of the configuration do not fit each other.</exception>
    public ClipVisionModel(ClipVisionConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate("CLIP");
        Config = config;
        var root = Parameters.Root;
        var vision = root / "vision_model";
        var width = config.HiddenSize;
        var shape = new ClipLayerShape(
            config.NumHiddenLayers,
            width,
            config.IntermediateSize,
            config.NumAttentionHeads,
            config.HiddenAct,
            config.LayerNormEps
        );
        var spread = Inits.Normal(1 / Math.Sqrt(width));
        _classToken = (vision / "embeddings").Parameter("class_embedding", [width], spread);
        _patches = new Conv2d(
            vision / "embeddings" / "patch_embedding",
            config.NumChannels,
            width,
            config.PatchSize,
            stride: config.PatchSize,
            bias: false,
            weightInit: Inits.Normal(0.02)
        );
        _positions = (vision / "embeddings" / "position_embedding").Parameter("weight", [config.Tokens, width], Inits.Normal(0.02));
        // The name is misspelt in every published file.
        _entryNorm = new LayerNorm(vision / "pre_layrnorm", width, config.LayerNormEps);
        _encoder = new ClipEncoder(vision / "encoder", root / "hidden_states", shape);
        _exitNorm = new LayerNorm(vision / "post_layernorm", width, config.LayerNormEps);
        _projection = new Linear(root / "visual_projection", width, config.ProjectionDim, bias: false, spread);
    }

    /// <summary>Its shape.</summary>
    public ClipVisionConfig Config { get; }

    /// <summary>Its tensors.</summary>
    public ParameterStore Parameters { get; } = new();

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
        StoredBuffers.Adopt(Parameters, source, PositionIds);
        Parameters.Load(source, device, dtype, origin);
    }

    /// <summary>Embeds images; gradients flow where images or weights require them.</summary>
    /// <param name="pixels">[batch, channels, side, side], normalised as <see cref="ClipImageProcessor"/> does, side
    /// <see cref="ClipVisionConfig.ImageSize"/>.</param>
    /// <exception cref="InputException">The shape does not fit.</exception>
    public ClipVisionOutput Forward(Tensor pixels)
    {
        ArgumentNullException.ThrowIfNull(pixels);
        var shape = pixels.Shape;
        if (
            shape.Length != 4
            || shape[0] < 1
            || shape[1] != Config.NumChannels
            || shape[2] != Config.ImageSize
            || shape[3] != Config.ImageSize
        )
            throw new InputException(
                $"CLIP's image encoder takes [batch, {Config.NumChannels}, {Config.ImageSize}, {Config.ImageSize}], not "
                    + $"[{string.Join(", ", shape)}]."
            );
        using var scope = TensorScope.Enter();
        var patches = _patches.Forward(pixels.To(_positions.Value.DType)).Flatten(2).Transpose(1, 2);
        var classes = _classToken.Value.Expand([shape[0], 1, Config.HiddenSize]);
        var x = _entryNorm.Forward(Ops.Cat([classes, patches], 1) + _positions.Value);
        var (last, _) = _encoder.Forward(x, null, null);
        var embeds = _projection.Forward(_exitNorm.Forward(last.Select(1, 0)));
        return new ClipVisionOutput(scope.Keep(embeds), scope.Keep(last));
    }

    /// <inheritdoc/>
    public void Dispose() => Parameters.Dispose();
}
