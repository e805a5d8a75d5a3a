using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Conditioning.Clip;

/// <summary>Outputs of a <see cref="ClipVisionModel"/>, in the model's dtype.</summary>
/// <param name="ImageEmbeds">Projected class token, [batch, projection], not normalised.</param>
/// <param name="LastHiddenState">Output of the last layer, [batch, 1 + patches, width].</param>
public sealed record ClipVisionOutput(Tensor ImageEmbeds, Tensor LastHiddenState);

/// <summary>
/// CLIP vision transformer (Radford et al. 2021, section 2.4; Dosovitskiy et al. 2021) with the parameters of transformers'
/// <c>CLIPVisionModelWithProjection</c>. Construction allocates no tensors; initialise or load <see cref="Parameters"/> next.
/// </summary>
public sealed class ClipVisionModel : IDisposable
{
    private readonly Parameter _classToken;
    private readonly Conv2d _patches;
    private readonly Parameter _positions;
    private readonly LayerNorm _entryNorm;
    private readonly ClipEncoder _encoder;
    private readonly LayerNorm _exitNorm;
    private readonly Linear _projection;

    /// <summary>Builds the network without allocating parameters.</summary>
    /// <exception cref="InputException">The configuration is inconsistent.</exception>
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
        // Misspelt in transformers and in every published file.
        _entryNorm = new LayerNorm(vision / "pre_layrnorm", width, config.LayerNormEps);
        _encoder = new ClipEncoder(vision / "encoder", root / "hidden_states", shape);
        _exitNorm = new LayerNorm(vision / "post_layernorm", width, config.LayerNormEps);
        _projection = new Linear(root / "visual_projection", width, config.ProjectionDim, bias: false, spread);
    }

    /// <summary>Network configuration.</summary>
    public ClipVisionConfig Config { get; }

    /// <summary>All parameters, by checkpoint key.</summary>
    public ParameterStore Parameters { get; } = new() { UnusedKeys = ["vision_model.embeddings.position_ids"] };

    /// <summary>Embeds images. Differentiable with respect to images and weights that require gradients.</summary>
    /// <param name="pixels">[batch, channels, side, side], normalised as by <see cref="ClipImageProcessor"/>; the side is
    /// <see cref="ClipVisionConfig.ImageSize"/>.</param>
    /// <exception cref="InputException">The images have the wrong shape.</exception>
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
