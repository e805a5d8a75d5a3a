using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Diffusion;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Denoisers.UNet;

/// <summary>
/// The U-Net of latent diffusion (Rombach et al. 2022, appendix E.2.1; SDXL: Podell et al. 2023) with the parameters of diffusers'
/// <c>UNet2DConditionModel</c>; text and class conditioning are each optional. Construction allocates no tensors; initialise or load
/// <see cref="Parameters"/> next.
/// </summary>
public sealed class UNet2DCondition : IDenoiser
{
    private const int UnknownSampleSize = 64;

    /// <summary>Added to the attention scores of padding, as in diffusers.</summary>
    private const double Masked = -10000;

    private readonly ParameterPath _entrancePath;
    private readonly UNetEmbeddings _embeddings;
    private readonly Conv2d _entrance;
    private readonly UNetBlock[] _down;
    private readonly ParameterPath _midPath;
    private readonly UNetLayer[] _mid;
    private readonly UNetBlock[] _up;
    private readonly GroupNorm _outputNorm;
    private readonly Conv2d _output;

    /// <summary>Builds the network without allocating parameters.</summary>
    /// <exception cref="InputException">The configuration is inconsistent.</exception>
    public UNet2DCondition(UNet2DConditionConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate("U-Net");
        Config = config;
        var root = Parameters.Root;
        _entrancePath = root / "conv_in";
        _entrance = new Conv2d(
            _entrancePath,
            config.InChannels,
            config.BlockOutChannels[0],
            config.ConvInKernel,
            padding: config.ConvInKernel / 2
        );
        _embeddings = new UNetEmbeddings(root, config);
        var skips = new Stack<int>([config.BlockOutChannels[0]]);
        _down = [.. Enumerable.Range(0, config.Levels).Select(k => UNetBlock.Down(root, k, config, skips))];
        _midPath = root / "mid_block";
        _mid = [.. Middle(_midPath, config)];
        _up =
        [
            .. Enumerable
                .Range(0, config.Levels)
                .Select(k => UNetBlock.Up(root, k, config, skips, config.BlockOutChannels[Math.Min(config.Levels - k, config.Levels - 1)])),
        ];
        _outputNorm = new GroupNorm(root / "conv_norm_out", config.NormNumGroups, config.BlockOutChannels[0], config.NormEps);
        _output = new Conv2d(
            root / "conv_out",
            config.BlockOutChannels[0],
            config.OutChannels,
            config.ConvOutKernel,
            padding: config.ConvOutKernel / 2
        );
    }

    /// <summary>Network configuration.</summary>
    public UNet2DConditionConfig Config { get; }

    /// <inheritdoc/>
    public int LatentChannels => Config.InChannels;

    /// <inheritdoc/>
    public int SampleSize => Config.SampleSize ?? UnknownSampleSize;

    /// <inheritdoc/>
    public int? ClassCount => Config.ClassEmbedType is null ? Config.NumClassEmbeds - 1 : null;

    /// <inheritdoc/>
    public int? TextWidth => Config.TakesText ? Config.CrossAttentionDim![0] : null;

    /// <inheritdoc/>
    public ParameterStore Parameters { get; } = new();

    /// <inheritdoc/>
    public bool CheckpointActivations { get; set; }

    /// <inheritdoc/>
    /// <exception cref="InputException">The network is not a latent denoiser, shapes do not match, or a label is out of
    /// range.</exception>
    public Prediction Predict(Tensor noisy, Tensor time, Condition condition)
    {
        if (Config.OutChannels != Config.InChannels && Config.OutChannels != 2 * Config.InChannels)
            throw new InputException(
                $"This U-Net has {Config.InChannels} input and {Config.OutChannels} output channels: inpainting and upscaling networks are "
                    + $"not supported."
            );
        using var scope = TensorScope.Enter();
        var output = Forward(noisy, time, condition);
        return new Prediction(scope.Keep(Config.OutChannels == Config.InChannels ? output : output.Narrow(1, 0, Config.InChannels)));
    }

    /// <summary>Full network output, including a learned variance.</summary>
    /// <param name="noisy">z_t [batch, channels, height, width], any side length.</param>
    /// <param name="time">Timesteps [batch], in the units of pretraining; integer or floating.</param>
    /// <param name="condition">Text, labels, pooled text and sizes as required by the configuration; other members are ignored.</param>
    /// <returns>[batch, out channels, height, width], in the dtype of the latents.</returns>
    /// <exception cref="InputException">Shapes do not match, or a label is out of range.</exception>
    /// <exception cref="ArgumentException">The condition lacks a required member.</exception>
    public Tensor Forward(Tensor noisy, Tensor time, Condition condition)
    {
        ArgumentNullException.ThrowIfNull(noisy);
        ArgumentNullException.ThrowIfNull(time);
        ArgumentNullException.ThrowIfNull(condition);
        Check(noisy, time, condition);
        using var scope = TensorScope.Enter();
        var type = Parameters.InputType;
        var text = Config.TakesText ? condition.Text!.To(type) : null;
        var mask =
            text is null || condition.TextMask is null ? null : ((1 - condition.TextMask.To(type)) * Masked).Unsqueeze(1).Unsqueeze(1);
        var context = new UNetContext(_embeddings.Forward(time, condition, type), text, mask, CheckpointActivations);
        var input = noisy.To(type);
        var x = _entrancePath.Observe(_entrance.Forward(Config.CenterInputSample ? (input * 2) - 1 : input));
        var skips = new Stack<Tensor>([x]);
        foreach (var block in _down)
            x = block.Descend(x, skips, context);
        // The lowest-resolution map is also a skip connection, so the mid block gets a separate handle.
        x = x.Share();
        foreach (var layer in _mid)
        {
            using var previous = x;
            x = layer.Forward(previous, context);
        }

        x = _mid.Length > 0 ? _midPath.Observe(x) : x;
        foreach (var block in _up)
            x = block.Ascend(x, skips, context);
        using var active = _outputNorm.ForwardSilu(x);
        x.Dispose();
        return scope.Keep(_output.Forward(active).To(noisy.DType));
    }

    /// <inheritdoc/>
    public void Dispose() => Parameters.Dispose();

    private static IEnumerable<UNetLayer> Middle(ParameterPath path, UNet2DConditionConfig config)
    {
        if (config.MidBlockType is null)
            yield break;
        var channels = config.BlockOutChannels[^1];
        var layers = UNet2DConditionConfig.At(config.TransformerLayersPerBlock, config.Levels - 1)[0];
        // The mid block's transformers always have self-attention first.
        var shape = UNetBlock.ShapeOf(config, config.Levels - 1, layers) with
        {
            OnlyCross = false,
        };
        yield return new UNetLayer(path.Store, static () => null, () => Residual(0));
        if (config.MidBlockType == UNet2DConditionConfig.CrossMid)
            yield return new UNetLayer(
                path.Store,
                () => new UNetTransformer(path / "attentions" / 0, shape, config),
                () => Residual(1),
                attentionFirst: true
            );

        UNetResidualBlock Residual(int index) => new(path / "resnets" / index, channels, channels, config, config.MidBlockScaleFactor);
    }

    private void Check(Tensor noisy, Tensor time, Condition condition)
    {
        var shape = noisy.Shape;
        if (shape.Length != 4 || shape[1] != Config.InChannels || shape[2] < 1 || shape[3] < 1)
            throw new InputException(
                $"The U-Net takes latents [batch, {Config.InChannels}, height, width], not [{string.Join(", ", shape)}]."
            );
        if (time.Dim != 1 || time.Shape[0] != shape[0])
            throw new InputException($"The U-Net takes one time per sample ({shape[0]}), not [{string.Join(", ", time.Shape)}].");
        if (!Config.TakesText)
            return;
        var width = Config.CrossAttentionDim![0];
        var text = condition.Text ?? throw new ArgumentException("This U-Net needs text: the condition has no Text.", nameof(condition));
        if (text.Dim != 3 || text.Shape[0] != shape[0] || text.Shape[1] < 1 || text.Shape[2] != width)
            throw new InputException($"The U-Net takes text [{shape[0]}, tokens, {width}], not [{string.Join(", ", text.Shape)}].");
        if (condition.TextMask is { } mask && !mask.Shape.AsSpan().SequenceEqual(text.Shape.AsSpan(0, 2)))
            throw new InputException(
                $"The U-Net takes a mask [{shape[0]}, {text.Shape[1]}] of the text tokens, not [{string.Join(", ", mask.Shape)}]."
            );
    }
}
