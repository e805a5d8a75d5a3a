using Retouch.Torch;
using Retouch.Torch.Errors;
using Retouch.Torch.Nn;

namespace Retouch.Autoencoders;

/// <summary>
/// The autoencoder of latent diffusion (Rombach et al. 2022, section 3.1), as diffusers' AutoencoderKL: any number of levels, with or without
/// middle attention and 1×1 convolutions around the latents. It computes in the type of its weights; posteriors, latents and images are float32.
/// </summary>
public sealed class AutoencoderKl : IAutoencoder
{
    private readonly KlEncoder _encoder;
    private readonly KlDecoder _decoder;
    private readonly Conv2d? _quant;
    private readonly Conv2d? _postQuant;

    /// <summary>Builds the network. Its tensors have memory once <see cref="Parameters"/> is initialised or loaded.</summary>
    /// <exception cref="InputException">The configuration contradicts itself.</exception>
    public AutoencoderKl(AutoencoderKlConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate();
        Config = config;
        var root = Parameters.Root;
        _encoder = new KlEncoder(root / "encoder", config);
        _decoder = new KlDecoder(root / "decoder", config);
        _quant = config.UseQuantConv ? new Conv2d(root / "quant_conv", 2 * config.LatentChannels, 2 * config.LatentChannels, kernel: 1) : null;
        _postQuant = config.UsePostQuantConv ? new Conv2d(root / "post_quant_conv", config.LatentChannels, config.LatentChannels, kernel: 1) : null;
    }

    /// <summary>The shape of the network.</summary>
    public AutoencoderKlConfig Config { get; private set; }

    /// <summary>Sets the factor that brings latents to unit variance, for an autoencoder that was trained here (Rombach et al. 2022, appendix G).</summary>
    /// <param name="factor">1 over the latents' standard deviation, above 0.</param>
    public void SetScalingFactor(double factor)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(factor);
        Config = Config with { ScalingFactor = factor };
    }

    /// <inheritdoc/>
    public int LatentChannels => Config.LatentChannels;

    /// <inheritdoc/>
    public int Downsampling => Config.Downsampling;

    /// <inheritdoc/>
    public IReadOnlyList<DecoderTap> Taps => _decoder.Taps;

    /// <inheritdoc/>
    public ParameterStore Parameters { get; } = new();

    private Tensor AnyWeight => Parameters.All[0].Value;

    /// <summary>Fills the network from a checkpoint, whose attention keys may have their names of before 2023. Gradients are off afterwards.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="device">Where the tensors go.</param>
    /// <param name="dtype">Their type, in which the network then computes; null keeps the stored one.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">Keys are missing, unexpected or of another shape; or the network overflows in the type asked for.</exception>
    public void Load(ITensorSource source, Device device, DType? dtype, string origin)
    {
        if (dtype == DType.Float16 && Config.ForceUpcast)
            throw new InputException($"'{origin}': this autoencoder overflows in float16 (force_upcast in its config.json). Use float32 or bfloat16.");
        Parameters.Load(new LegacyAttentionKeys(source), device, dtype ?? (Config.ForceUpcast ? DType.Float32 : null), origin);
    }

    /// <summary>All that the encoder puts out: means, then logarithms of variances, not clamped yet.</summary>
    /// <param name="images">[batch, channels, height, width] in [−1, 1]; sides divisible by <see cref="Downsampling"/>.</param>
    /// <returns>[batch, 2·latent channels, height/downsampling, width/downsampling], float32.</returns>
    /// <exception cref="InputException">The images do not fit the network.</exception>
    public Tensor EncodeMoments(Tensor images)
    {
        ArgumentNullException.ThrowIfNull(images);
        CheckShape(images, Config.InChannels, "images", Downsampling);
        using var scope = TensorScope.Enter();
        var moments = _encoder.Forward(images.To(AnyWeight.DType));
        if (_quant is not null)
            moments = _quant.Forward(moments);
        return scope.Keep(moments.To(DType.Float32));
    }

    /// <summary>Images to the distribution of their latents, unscaled; gradients flow where the weights require them.</summary>
    /// <param name="images">[batch, channels, height, width] in [−1, 1]; sides divisible by <see cref="Downsampling"/>.</param>
    /// <exception cref="InputException">The images do not fit the network.</exception>
    public Posterior EncodePosterior(Tensor images)
    {
        using var scope = TensorScope.Enter();
        var posterior = Posterior.FromMoments(EncodeMoments(images));
        scope.Keep(posterior.Mean);
        scope.Keep(posterior.LogVariance);
        return posterior;
    }

    /// <inheritdoc/>
    /// <exception cref="InputException">The images do not fit the network.</exception>
    public Latent Encode(Tensor images, Generator? generator)
    {
        using var scope = TensorScope.Enter();
        return new Latent(scope.Keep(Draw(EncodePosterior(images), generator).Value));
    }

    /// <inheritdoc/>
    public Latent Draw(Tensor moments, Generator? generator)
    {
        ArgumentNullException.ThrowIfNull(moments);
        using var scope = TensorScope.Enter();
        return new Latent(scope.Keep(Draw(Posterior.FromMoments(moments), generator).Value));
    }

    /// <summary>What the encoder puts out to what the denoiser sees: (x − shift)·scale, or (x − mean)·scale/deviation by channel.</summary>
    /// <param name="encoded">[batch, latent channels, height, width], float32.</param>
    public Tensor Scale(Tensor encoded)
    {
        ArgumentNullException.ThrowIfNull(encoded);
        using var scope = TensorScope.Enter();
        var centred = Config.LatentsMean is null ? encoded - (Config.ShiftFactor ?? 0) : (encoded - ByChannel(Config.LatentsMean, encoded)) / ByChannel(Config.LatentsStd!, encoded);
        return scope.Keep(centred * Config.ScalingFactor);
    }

    /// <summary>The inverse of <see cref="Scale"/>.</summary>
    /// <param name="latent">[batch, latent channels, height, width], float32.</param>
    public Tensor Unscale(Tensor latent)
    {
        ArgumentNullException.ThrowIfNull(latent);
        using var scope = TensorScope.Enter();
        var spread = latent / Config.ScalingFactor;
        return scope.Keep(Config.LatentsMean is null ? spread + (Config.ShiftFactor ?? 0) : (spread * ByChannel(Config.LatentsStd!, latent)) + ByChannel(Config.LatentsMean, latent));
    }

    /// <inheritdoc/>
    public Tensor Decode(Latent latent) => DecodeWithTaps(latent, new TapRequest([], Rgb: true)).Rgb!;

    /// <inheritdoc/>
    /// <exception cref="InputException">The latent does not fit the network.</exception>
    public DecodedTaps DecodeWithTaps(Latent latent, TapRequest request)
    {
        ArgumentNullException.ThrowIfNull(latent);
        ArgumentNullException.ThrowIfNull(request);
        CheckShape(latent.Value, LatentChannels, "latents", 1);
        CheckTaps(request);
        using var scope = TensorScope.Enter();
        var z = Unscale(latent.Value.To(DType.Float32)).To(AnyWeight.DType);
        if (_postQuant is not null)
            z = _postQuant.Forward(z);
        var decoded = _decoder.Forward(z, request);
        if (decoded.Rgb is not null)
            decoded = decoded with { Rgb = scope.Keep(decoded.Rgb.To(DType.Float32)) };
        scope.Keep(decoded.Features);
        return decoded;
    }

    /// <inheritdoc/>
    public void Dispose() => Parameters.Dispose();

    private Latent Draw(Posterior posterior, Generator? generator)
    {
        var sample = generator is null
            ? posterior.Mean
            : posterior.Sample(Ops.Randn(posterior.Mean.Shape, generator, dtype: DType.Float32).To(posterior.Mean.Device));
        return new Latent(Scale(sample));
    }

    private static Tensor ByChannel(IReadOnlyList<double> values, Tensor like) =>
        Tensor.From(values.Select(static v => (float)v).ToArray(), 1, values.Count, 1, 1).To(like.Device);

    private static void CheckShape(Tensor x, int channels, string what, int multiple)
    {
        var shape = x.Shape;
        if (shape.Length != 4 || shape[1] != channels || shape[2] < 1 || shape[3] < 1 || shape[2] % multiple != 0 || shape[3] % multiple != 0)
            throw new InputException($"The autoencoder takes {what} of shape [batch, {channels}, height, width]{(multiple > 1 ? $" with sides divisible by {multiple}" : "")}, these are [{string.Join(", ", shape)}].");
    }

    private void CheckTaps(TapRequest request)
    {
        if (request.Taps.Count == 0 && !request.Rgb)
            throw new ArgumentException("Nothing is asked for: no taps and no image.", nameof(request));
        for (var k = 0; k < request.Taps.Count; k++)
        {
            if (request.Taps[k] < 0 || request.Taps[k] >= Taps.Count || (k > 0 && request.Taps[k] <= request.Taps[k - 1]))
                throw new ArgumentException($"Taps must ascend and lie between 0 and {Taps.Count - 1}; asked for [{string.Join(", ", request.Taps)}].", nameof(request));
        }
    }
}
