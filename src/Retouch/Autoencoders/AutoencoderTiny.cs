using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Autoencoders;

/// <summary>
/// The tiny autoencoder of Boer Bohan (TAESD, 2023), distilled from a full one so that it shares its latents, as diffusers'
/// AutoencoderTiny. It is deterministic: there is no posterior to draw from. It computes in the type of its weights; latents and images are
/// float32.
/// </summary>
public sealed class AutoencoderTiny : IAutoencoder
{
    /// <summary>The decoder squashes latents smoothly to ±3, so that an outlier cannot run away.</summary>
    private const double LatentBound = 3;

    private readonly TinyLayer[] _encoder;
    private readonly DecoderStages _decoder;

    /// <summary>Builds the network. Its tensors have memory once <see cref="Parameters"/> is initialised or loaded.</summary>
    /// <exception cref="InputException">The configuration contradicts itself.</exception>
    public AutoencoderTiny(AutoencoderTinyConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate();
        Config = config;
        _encoder = Encoder(Parameters.Root / "encoder" / "layers", config);
        _decoder = Decoder(Parameters.Root / "decoder" / "layers", config);
    }

    /// <summary>The shape of the network.</summary>
    public AutoencoderTinyConfig Config { get; }

    /// <inheritdoc/>
    public int LatentChannels => Config.LatentChannels;

    /// <inheritdoc/>
    public int Downsampling => Config.Downsampling;

    /// <summary>
    /// The decoder's taps: what each resolution's last residual block puts out, from the latent's resolution (scale 1) to the image's.
    /// </summary>
    public IReadOnlyList<DecoderTap> Taps => _decoder.Taps;

    /// <inheritdoc/>
    public ParameterStore Parameters { get; } = new();

    private DType Precision => Parameters.All[0].Value.DType;

    /// <summary>Fills the network from a checkpoint of diffusers. Gradients are off afterwards.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="device">Where the tensors go.</param>
    /// <param name="dtype">Their type, in which the network then computes; null keeps the stored one.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">Keys are missing, unexpected or of another shape; or the network overflows in the type asked
    /// for.</exception>
    public void Load(ITensorSource source, Device device, DType? dtype, string origin)
    {
        if (dtype == DType.Float16 && Config.ForceUpcast)
            throw new InputException(
                $"'{origin}': this autoencoder overflows in float16 (force_upcast in its config.json). Use float32 or bfloat16."
            );
        Parameters.Load(source, device, dtype ?? (Config.ForceUpcast ? DType.Float32 : null), origin);
    }

    /// <inheritdoc/>
    public bool ForceUpcast => Config.ForceUpcast;

    /// <summary>Images to latents, unscaled; gradients flow where the weights require them.</summary>
    /// <param name="images">[batch, channels, height, width] in [−1, 1]. Sides that <see cref="Downsampling"/> does not divide are rounded
    /// up in the latent.</param>
    /// <returns>[batch, latent channels, ⌈height/downsampling⌉, ⌈width/downsampling⌉], float32.</returns>
    /// <exception cref="InputException">The images do not fit the network.</exception>
    public Tensor EncodeMoments(Tensor images)
    {
        ArgumentNullException.ThrowIfNull(images);
        AutoencoderShapes.CheckImages(images, Config.InChannels, 1);
        using var scope = TensorScope.Enter();
        // The network was trained on pictures in [0, 1].
        var x = ((images + 1) / 2).To(Precision);
        foreach (var layer in _encoder)
        {
            using var previous = x;
            x = layer.Forward(previous);
        }

        return scope.Keep(x.To(DType.Float32));
    }

    /// <inheritdoc/>
    /// <exception cref="InputException">The images do not fit the network.</exception>
    public Latent Encode(Tensor images, Generator? generator)
    {
        using var scope = TensorScope.Enter();
        return new Latent(scope.Keep(Scale(EncodeMoments(images))));
    }

    /// <summary>What <see cref="EncodeMoments"/> gave, scaled; nothing is random.</summary>
    /// <param name="moments">As given.</param>
    /// <param name="generator">Not drawn from.</param>
    public Latent Draw(Tensor moments, Generator? generator) => new(Scale(moments));

    /// <summary>What the encoder puts out to what the denoiser sees: (x − shift)·scale.</summary>
    /// <param name="encoded">[batch, latent channels, height, width], float32.</param>
    public Tensor Scale(Tensor encoded)
    {
        ArgumentNullException.ThrowIfNull(encoded);
        using var scope = TensorScope.Enter();
        return scope.Keep((encoded - Config.ShiftFactor) * Config.ScalingFactor);
    }

    /// <summary>The inverse of <see cref="Scale"/>.</summary>
    /// <param name="latent">[batch, latent channels, height, width], float32.</param>
    public Tensor Unscale(Tensor latent)
    {
        ArgumentNullException.ThrowIfNull(latent);
        using var scope = TensorScope.Enter();
        return scope.Keep((latent / Config.ScalingFactor) + Config.ShiftFactor);
    }

    /// <summary>
    /// Unscaled latents to [0, 1], for storing them as pictures: z/(2·magnitude) + shift, clamped (diffusers' <c>scale_latents</c>).
    /// </summary>
    /// <param name="encoded">What <see cref="EncodeMoments"/> gave.</param>
    public Tensor ToUnitRange(Tensor encoded)
    {
        ArgumentNullException.ThrowIfNull(encoded);
        using var scope = TensorScope.Enter();
        return scope.Keep(((encoded / (2 * Config.LatentMagnitude)) + Config.LatentShift).Clamp(0, 1));
    }

    /// <summary>The inverse of <see cref="ToUnitRange"/> where nothing was clamped (diffusers' <c>unscale_latents</c>).</summary>
    /// <param name="stored">In [0, 1].</param>
    public Tensor FromUnitRange(Tensor stored)
    {
        ArgumentNullException.ThrowIfNull(stored);
        using var scope = TensorScope.Enter();
        return scope.Keep((stored - Config.LatentShift) * (2 * Config.LatentMagnitude));
    }

    /// <inheritdoc/>
    public Tensor Decode(Latent latent) => DecodeWithTaps(latent, new TapRequest([], Rgb: true)).Rgb!;

    /// <inheritdoc/>
    /// <exception cref="InputException">The latent does not fit the network.</exception>
    public DecodedTaps DecodeWithTaps(Latent latent, TapRequest request)
    {
        ArgumentNullException.ThrowIfNull(latent);
        ArgumentNullException.ThrowIfNull(request);
        AutoencoderShapes.CheckLatents(latent.Value, LatentChannels);
        AutoencoderShapes.CheckTaps(request, Taps.Count);
        using var scope = TensorScope.Enter();
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

        // The image's resolution ends with a convolution that has a bias, and no doubling before it.
        var head = DecoderStage.Create(layers / index, p => new TinyStage([new TinyConv(p, channels, config.OutChannels)], head: true));
        return new DecoderStages(stages, head, taps);
    }

    /// <summary>
    /// Layers of one resolution, run one after the other. Whoever runs a stage shows its output; the layers before the last are shown here,
    /// the head's all.
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
