using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.PixArt;

/// <summary>
/// The text-conditional diffusion transformer of PixArt-α and PixArt-Σ (Chen et al. 2023 and 2024) with the parameters of diffusers'
/// <c>PixArtTransformer2DModel</c>. Construction allocates no tensors; initialise or load <see cref="Parameters"/> next.
/// </summary>
public sealed class PixArtTransformer2D : IDenoiser
{
    /// <summary>
    /// Image pixels per latent pixel along each axis, for size conditioning: every published PixArt has an 8× autoencoder.
    /// </summary>
    public const int SpatialFactor = 8;

    private const double OutputNormEps = 1e-6;
    private const double Masked = -10000;

    private readonly PatchEmbedding _patches;
    private readonly PixArtTimeEmbedding _time;
    private readonly ParameterPath _captionPath;
    private readonly Linear _captionFirst;
    private readonly Linear _captionSecond;
    private readonly PixArtBlock[] _blocks;
    private readonly LayerNorm _outputNorm;
    private readonly Parameter _outputTable;
    private readonly Linear _output;

    /// <summary>
    /// Builds the network without allocating parameters. Initialisation sets the output layer and the caption attention's output to
    /// zero.
    /// </summary>
    /// <exception cref="InputException">The configuration is inconsistent.</exception>
    public PixArtTransformer2D(PixArtConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate("PixArt");
        Config = config;
        var (root, width) = (Parameters.Root, config.Width);
        _outputTable = root.Parameter("scale_shift_table", [2, width], Inits.Normal(1 / Math.Sqrt(width)));
        _patches = new PatchEmbedding(
            root / "pos_embed",
            config.InChannels,
            width,
            config.PatchSize,
            config.SampleSize / config.PatchSize,
            config.Interpolation
        );
        _blocks = [.. Enumerable.Range(0, config.NumLayers).Select(k => new PixArtBlock(root / "transformer_blocks" / k, config))];
        _outputNorm = new LayerNorm(root / "norm_out", width, OutputNormEps, affine: false);
        _output = new Linear(
            root / "proj_out",
            width,
            (long)config.PatchSize * config.PatchSize * config.Outputs,
            weightInit: Inits.Zeros,
            biasInit: Inits.Zeros
        );
        _time = new PixArtTimeEmbedding(root / "adaln_single", width, config.TakesSize);
        _captionPath = root / "caption_projection";
        _captionFirst = new Linear(
            _captionPath / "linear_1",
            config.CaptionChannels,
            width,
            weightInit: Inits.Normal(0.02),
            biasInit: Inits.Zeros
        );
        _captionSecond = new Linear(_captionPath / "linear_2", width, width, weightInit: Inits.Normal(0.02), biasInit: Inits.Zeros);
    }

    /// <summary>Network configuration.</summary>
    public PixArtConfig Config { get; }

    /// <inheritdoc/>
    public int LatentChannels => Config.InChannels;

    /// <inheritdoc/>
    public int SampleSize => Config.SampleSize;

    /// <inheritdoc/>
    public int? ClassCount => null;

    /// <inheritdoc/>
    public int? TextWidth => Config.CaptionChannels;

    /// <inheritdoc/>
    public ParameterStore Parameters { get; } = new();

    /// <inheritdoc/>
    public bool CheckpointActivations { get; set; }

    /// <summary>
    /// As <see cref="IDenoiser.Predict"/>, from prompt embeddings (<see cref="Condition.Text"/>, optionally with
    /// <see cref="Condition.TextMask"/>). With size conditioning, the image size is the target size of <see cref="Condition.TimeIds"/>,
    /// or by default the latent size times <see cref="SpatialFactor"/>.
    /// </summary>
    /// <inheritdoc/>
    public Prediction Predict(Tensor noisy, Tensor time, Condition condition)
    {
        ArgumentNullException.ThrowIfNull(condition);
        var text =
            condition.Text
            ?? throw new ArgumentException("This network is text-conditional: give the prompt embeddings.", nameof(condition));
        using var scope = TensorScope.Enter();
        var output = Forward(noisy, time, text, condition.TextMask, Config.TakesSize ? condition.TimeIds?.Narrow(1, 4, 2) : null);
        return new Prediction(scope.Keep(Config.Outputs == Config.InChannels ? output : output.Narrow(1, 0, Config.InChannels)));
    }

    /// <summary>Full network output, including a learned variance.</summary>
    /// <param name="noisy">z_t [batch, channels, height, width]; sides divisible by the patch side.</param>
    /// <param name="time">Timesteps [batch], in the units of pretraining (steps up to 1000); integer or floating.</param>
    /// <param name="text">Prompt embeddings [batch, words, caption channels].</param>
    /// <param name="mask">[batch, words], 1 for a word and 0 for padding; null for no padding.</param>
    /// <param name="size">Image height and width in pixels, [batch, 2]; null for the latent size times <see cref="SpatialFactor"/>.
    /// Only with size conditioning.</param>
    /// <param name="ratio">Height over width, [batch] or [batch, 1]; null to compute it from the size. Only with size
    /// conditioning.</param>
    /// <returns>[batch, out channels, height, width], in the dtype of the latents.</returns>
    /// <exception cref="InputException">Shapes do not match, or a size is given without size conditioning.</exception>
    public Tensor Forward(Tensor noisy, Tensor time, Tensor text, Tensor? mask = null, Tensor? size = null, Tensor? ratio = null)
    {
        Check(noisy, time, text, mask, size, ratio);
        using var scope = TensorScope.Enter();
        var type = Parameters.InputType;
        if (Config.TakesSize)
            size ??= Tensor
                .From([(float)noisy.Shape[2] * SpatialFactor, noisy.Shape[3] * SpatialFactor])
                .To(noisy.Device)
                .Expand([noisy.Shape[0], 2]);
        var (embedding, modulation) = _time.Forward(time, size, ratio?.Flatten(), type);
        var caption = _captionPath.Observe(_captionSecond.Forward(_captionFirst.Forward(text.To(type)).Gelu("tanh")));
        Tensor[] context = mask is null
            ? [modulation, caption]
            : [modulation, caption, ((1 - mask.To(type)) * Masked).Unsqueeze(1).Unsqueeze(1)];
        var x = _patches.Forward(noisy.To(type));
        foreach (var block in _blocks)
            x = BlockRunner.Run(
                CheckpointActivations,
                i => [block.Forward(i[0], i[1], i[2], i.Count > 3 ? i[3] : null)],
                [x, .. context],
                block.Parameters
            )[0];
        var m = (embedding.Unsqueeze(1) + _outputTable.Value).Chunk(2, 1);
        var tokens = _output.Forward(Modulation.Apply(_outputNorm.Forward(x), m[0], m[1]));
        return scope.Keep(PatchEmbedding.Assemble(tokens, noisy.Shape[2], noisy.Shape[3], Config.PatchSize).To(noisy.DType));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _patches.Dispose();
        Parameters.Dispose();
    }

    private void Check(Tensor noisy, Tensor time, Tensor text, Tensor? mask, Tensor? size, Tensor? ratio)
    {
        PatchEmbedding.Check(noisy, "PixArt", Config.InChannels, Config.PatchSize);
        var batch = noisy.Shape[0];
        if (time.Dim != 1 || time.Shape[0] != batch)
            throw new InputException($"PixArt takes one time per sample ({batch}), not [{string.Join(", ", time.Shape)}].");
        if (text.Dim != 3 || text.Shape[0] != batch || text.Shape[2] != Config.CaptionChannels)
            throw new InputException(
                $"PixArt takes prompt embeddings [{batch}, words, {Config.CaptionChannels}], not [{string.Join(", ", text.Shape)}]."
            );
        if (mask is not null && (mask.Dim != 2 || mask.Shape[0] != batch || mask.Shape[1] != text.Shape[1]))
            throw new InputException(
                $"PixArt takes a mask [{batch}, {text.Shape[1]}] for these embeddings, not [{string.Join(", ", mask.Shape)}]."
            );
        if ((size ?? ratio) is not null && !Config.TakesSize)
            throw new InputException("This PixArt has no size conditioning (use_additional_conditions is false): omit size and ratio.");
        if (size is not null && (size.Dim != 2 || size.Shape[0] != batch || size.Shape[1] != 2))
            throw new InputException($"PixArt takes a height and a width per sample [{batch}, 2], not [{string.Join(", ", size.Shape)}].");
        if (ratio is not null && ratio.Count != batch)
            throw new InputException($"PixArt takes one aspect ratio per sample ({batch}), not [{string.Join(", ", ratio.Shape)}].");
    }
}
