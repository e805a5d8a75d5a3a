using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.PixArt;

/// <summary>
/// The text-conditional diffusion transformer of PixArt-α and PixArt-Σ (Chen et al. 2023 and 2024) with the parameters of diffusers'
/// <c>PixArtTransformer2DModel</c>. Construction allocates nothing: initialise or load <see cref="Parameters"/> next.
/// </summary>
public sealed class PixArtTransformer2D : IDenoiser
{
    /// <summary>
    /// Pixels a latent pixel, for the size that the network is told: every published PixArt has an autoencoder that shrinks eightfold.
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
    /// Builds the network without memory for its parameters. A fresh one starts with a zero output layer and blocks that ignore the
    /// caption.
    /// </summary>
    /// <exception cref="InputException">Members of the configuration do not fit each other.</exception>
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

    /// <summary>Its shape.</summary>
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
    /// As <see cref="IDenoiser.Predict"/>, from the prompt's embeddings (<see cref="Condition.Text"/>, with or without
    /// <see cref="Condition.TextMask"/>). Where the network is told a size, it is the target size of <see cref="Condition.TimeIds"/>, or
    /// the latents' own times <see cref="SpatialFactor"/>.
    /// </summary>
    /// <inheritdoc/>
    public Prediction Predict(Tensor noisy, Tensor time, Condition condition)
    {
        ArgumentNullException.ThrowIfNull(condition);
        var text =
            condition.Text
            ?? throw new ArgumentException("This network is text-conditional: give the prompt's embeddings.", nameof(condition));
        using var scope = TensorScope.Enter();
        var output = Forward(noisy, time, text, condition.TextMask, Config.TakesSize ? condition.TimeIds?.Narrow(1, 4, 2) : null);
        return new Prediction(scope.Keep(Config.Outputs == Config.InChannels ? output : output.Narrow(1, 0, Config.InChannels)));
    }

    /// <summary>Everything the network puts out, the learned variance included.</summary>
    /// <param name="noisy">z_t [batch, channels, height, width]; sides divisible by the patch.</param>
    /// <param name="time">[batch], as pretraining counted it (steps up to 1000); integers or fractions.</param>
    /// <param name="text">Embeddings of the prompt, [batch, words, caption channels].</param>
    /// <param name="mask">[batch, words], 1 for a word and 0 for padding; null where all count.</param>
    /// <param name="size">Height and width of the picture in pixels, [batch, 2]; null takes the latents' own. Only for networks that are
    /// told it.</param>
    /// <param name="ratio">Height over width, [batch] or [batch, 1]; null takes that of the size. Only for networks that are told the
    /// size.</param>
    /// <returns>[batch, out channels, height, width], of the latents' type.</returns>
    /// <exception cref="InputException">The shapes do not fit, or a size is given to a network that takes none.</exception>
    public Tensor Forward(Tensor noisy, Tensor time, Tensor text, Tensor? mask = null, Tensor? size = null, Tensor? ratio = null)
    {
        Check(noisy, time, text, mask, size, ratio);
        using var scope = TensorScope.Enter();
        var type = Parameters.All[0].Value.DType;
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
            throw new InputException($"PixArt takes one time a sample ({batch}), not [{string.Join(", ", time.Shape)}].");
        if (text.Dim != 3 || text.Shape[0] != batch || text.Shape[2] != Config.CaptionChannels)
            throw new InputException(
                $"PixArt takes embeddings of the prompt [{batch}, words, {Config.CaptionChannels}], not [{string.Join(", ", text.Shape)}]."
            );
        if (mask is not null && (mask.Dim != 2 || mask.Shape[0] != batch || mask.Shape[1] != text.Shape[1]))
            throw new InputException(
                $"PixArt takes a mask [{batch}, {text.Shape[1]}] for these embeddings, not [{string.Join(", ", mask.Shape)}]."
            );
        if ((size ?? ratio) is not null && !Config.TakesSize)
            throw new InputException("This PixArt is not told the picture's size (use_additional_conditions is false): leave it out.");
        if (size is not null && (size.Dim != 2 || size.Shape[0] != batch || size.Shape[1] != 2))
            throw new InputException($"PixArt takes a height and a width a sample [{batch}, 2], not [{string.Join(", ", size.Shape)}].");
        if (ratio is not null && ratio.Count != batch)
            throw new InputException($"PixArt takes one aspect ratio a sample ({batch}), not [{string.Join(", ", ratio.Shape)}].");
    }
}
