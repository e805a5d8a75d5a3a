using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Autoencoders;

/// <summary>
/// The tiny autoencoder of Boer Bohan (TAESD, 2023), distilled from a full autoencoder with the same latent space; equal to diffusers'
/// AutoencoderTiny. The encoder is deterministic. The network computes in the dtype of its weights; latents and images are float32.
/// </summary>
public sealed class AutoencoderTiny : IAutoencoder
{
    /// <summary>Bound of the decoder input: latents pass a scaled tanh onto (−3, 3), which limits outliers.</summary>
    private const double LatentBound = 3;

    private readonly TinyLayer[] _encoder;
    private readonly DecoderStages _decoder;

    /// <summary>Builds the network. Tensors are allocated when <see cref="Parameters"/> is initialised or loaded.</summary>
    /// <exception cref="InputException">The configuration is inconsistent.</exception>
    public AutoencoderTiny(AutoencoderTinyConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate();
        Config = config;
        _encoder = Encoder(Parameters.Root / "encoder" / "layers", config);
        _decoder = Decoder(Parameters.Root / "decoder" / "layers", config);
    }

    /// <summary>Network configuration.</summary>
    public AutoencoderTinyConfig Config { get; }

    /// <inheritdoc/>
    public int LatentChannels => Config.LatentChannels;

    /// <inheritdoc/>
    public int Downsampling => Config.Downsampling;

    /// <summary>
    /// Decoder taps: the output of the last residual block of each resolution, from the latent resolution (scale 1) to the image's.
    /// </summary>
    public IReadOnlyList<DecoderTap> Taps => _decoder.Taps;

    /// <inheritdoc/>
    public ParameterStore Parameters { get; } = new();

    private DType Precision => Parameters.InputType;

    /// <inheritdoc/>
    public bool ForceUpcast => Config.ForceUpcast;

    /// <summary>Encodes images to unscaled latents. Differentiable with respect to weights that require gradients.</summary>
    /// <param name="images">[batch, channels, height, width] in [−1, 1]; any side length.</param>
    /// <returns>[batch, latent channels, ⌈height/downsampling⌉, ⌈width/downsampling⌉], float32.</returns>
    /// <exception cref="InputException">The images have the wrong shape.</exception>
    public Tensor EncodeMoments(Tensor images)
    {
        ArgumentNullException.ThrowIfNull(images);
        AutoencoderShapes.CheckImages(images, Config.InChannels, 1);
        using var scope = TensorScope.Enter();
        using var wide = DecoderPrecision.Guard(ForceUpcast);
        // The network was trained on images in [0, 1].
        var x = ((images + 1) / 2).To(Precision);
        foreach (var layer in _encoder)
        {
            using var previous = x;
            x = layer.Forward(previous);
        }

        return scope.Keep(x.To(DType.Float32));
    }

    /// <inheritdoc/>
    /// <exception cref="InputException">The images have the wrong shape.</exception>
    public Latent Encode(Tensor images, Generator? generator)
    {
        using var scope = TensorScope.Enter();
        return new Latent(scope.Keep(Scale(EncodeMoments(images))));
    }

    /// <summary>Scales the output of <see cref="EncodeMoments"/>; deterministic.</summary>
    /// <param name="moments">Output of <see cref="EncodeMoments"/>.</param>
    /// <param name="generator">Unused.</param>
    public Latent Draw(Tensor moments, Generator? generator) => new(Scale(moments));

    /// <summary>Scales encoder output for the denoiser: (x − shift)·scale.</summary>
    /// <param name="encoded">[batch, latent channels, height, width], float32.</param>
    public Tensor Scale(Tensor encoded)
    {
        ArgumentNullException.ThrowIfNull(encoded);
        using var scope = TensorScope.Enter();
        return scope.Keep((encoded - Config.ShiftFactor) * Config.ScalingFactor);
    }

    /// <summary>Inverse of <see cref="Scale"/>.</summary>
    /// <param name="latent">[batch, latent channels, height, width], float32.</param>
    public Tensor Unscale(Tensor latent)
    {
        ArgumentNullException.ThrowIfNull(latent);
        using var scope = TensorScope.Enter();
        return scope.Keep((latent / Config.ScalingFactor) + Config.ShiftFactor);
    }

    /// <summary>
    /// Maps unscaled latents to [0, 1] for storage as images: z/(2·magnitude) + shift, clamped (diffusers' <c>scale_latents</c>).
    /// </summary>
    /// <param name="encoded">Output of <see cref="EncodeMoments"/>.</param>
    public Tensor ToUnitRange(Tensor encoded)
    {
        ArgumentNullException.ThrowIfNull(encoded);
        using var scope = TensorScope.Enter();
        return scope.Keep(((encoded / (2 * Config.LatentMagnitude)) + Config.LatentShift).Clamp(0, 1));
    }

    /// <summary>Inverse of <see cref="ToUnitRange"/> for unclamped values (diffusers' <c>unscale_latents</c>).</summary>
    /// <param name="stored">Latents in [0, 1].</param>
    public Tensor FromUnitRange(Tensor stored)
    {
        ArgumentNullException.ThrowIfNull(stored);
        using var scope = TensorScope.Enter();
        return scope.Keep((stored - Config.LatentShift) * (2 * Config.LatentMagnitude));
    }

    /// <inheritdoc/>
    public Tensor Decode(Latent latent) => DecodeWithTaps(latent, new TapRequest([], Rgb: true)).Rgb!;

    /// <inheritdoc/>
    /// <exception cref="InputException">The latent has the wrong shape.</exception>
    public DecodedTaps DecodeWithTaps(Latent latent, TapRequest request)
    {
        ArgumentNullException.ThrowIfNull(latent);
        ArgumentNullException.ThrowIfNull(request);
        AutoencoderShapes.CheckLatents(latent.Value, LatentChannels);
        AutoencoderShapes.CheckTaps(request, Taps.Count);
        using var scope = TensorScope.Enter();
        using var wide = DecoderPrecision.Guard(ForceUpcast);
        var raw = Unscale(latent.Value.To(DType.Float32));
        var bounded = ((raw / LatentBound).Tanh() * LatentBound).To(Precision);
        var decoded = _decoder.Forward(bounded, request);
        if (decoded.Rgb is not null)
            decoded = decoded with { Rgb = scope.Keep((decoded.Rgb.To(DType.Float32) * 2) - 1) };
        scope.Keep(decoded.Features);
        return decoded;
    }

    /// <inheritdoc/>
    public void Dispose() => Parameters.Dispose();

    private static TinyLayer[] Encoder(ParameterPath layers, AutoencoderTinyConfig config)
    {
        var all = new List<TinyLayer>();
        var lowest = config.NumEncoderBlocks.Count - 1;
        for (var level = 0; level <= lowest; level++)
        {
            all.Add(
                level == 0
                    ? new TinyConv(layers / all.Count, config.InChannels, config.EncoderChannels)
                    : new TinyConv(layers / all.Count, config.EncoderChannels, config.EncoderChannels, stride: 2, bias: false)
            );
            for (var k = 0; k < config.NumEncoderBlocks[level]; k++)
                all.Add(new TinyBlock(layers / all.Count, config.EncoderChannels, config.UseMidblockGroupNorm && level == lowest));
        }

        all.Add(new TinyConv(layers / all.Count, config.EncoderChannels, config.LatentChannels));
        return [.. all];
    }

    private static DecoderStages Decoder(ParameterPath layers, AutoencoderTinyConfig config)
    {
        var index = 0;
        var channels = config.DecoderChannels;
        var (levels, blocks) = (config.NumDecoderBlocks.Count, config.NumDecoderBlocks);
        var stages = new List<DecoderStage>();
        var taps = new List<DecoderTap>();
        for (var level = 0; level < levels; level++)
        {
            var last = layers / (index + 1 + blocks[level]);
            var stage = DecoderStage.Create(
                last,
                _ => new TinyStage([
                    .. level == 0
                        ? (TinyLayer[])[new TinyConv(layers / index, config.LatentChannels, channels), new TinyRelu(layers / (index + 1))]
                        : [new TinyUpsample(layers / index, layers / (index + 1), channels, channels)],
                    .. Enumerable
                        .Range(index + 2, blocks[level])
                        .Select(k => new TinyBlock(layers / k, channels, config.UseMidblockGroupNorm && level == 0)),
                ])
            );
            stages.Add(stage);
            taps.Add(new DecoderTap(last.Name, channels, 1 << level));
            index += 2 + blocks[level];
        }

        // The stage at the image resolution ends with a biased convolution instead of an upsampling.
        var head = DecoderStage.Create(layers / index, p => new TinyStage([new TinyConv(p, channels, config.OutChannels)], head: true));
        return new DecoderStages(stages, head, taps);
    }

    /// <summary>
    /// Sequential layers of one resolution. The caller observes the stage's output, so only inner layers are observed here; in the
    /// head, all layers.
    /// </summary>
    private sealed class TinyStage(TinyLayer[] layers, bool head = false) : IKlBlock
    {
        public Tensor Forward(Tensor x)
        {
            var current = x;
            for (var k = 0; k < layers.Length; k++)
            {
                var next = layers[k].Forward(current);
                if (head || k < layers.Length - 1)
                    layers[k].Path.Observe(next);
                if (!ReferenceEquals(current, x))
                    current.Dispose();
                current = next;
            }

            return current;
        }
    }
}
