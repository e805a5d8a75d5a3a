using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Autoencoders;

/// <summary>
/// Base class of autoencoders with a normal posterior (Kingma and Welling 2014; Rombach et al. 2022, section 3.1). They compute in the
/// dtype of their weights; posteriors, latents and images are float32.
/// </summary>
public abstract class KlAutoencoder : IAutoencoder
{
    // Names of attention layers before diffusers 0.15.
    private static readonly (string Old, string New)[] OtherNames =
    [
        (".attentions.0.query.", ".attentions.0.to_q."),
        (".attentions.0.key.", ".attentions.0.to_k."),
        (".attentions.0.value.", ".attentions.0.to_v."),
        (".attentions.0.proj_attn.", ".attentions.0.to_out.0."),
    ];

    private readonly AutoencoderKlConfig _encoderShape;
    private readonly KlEncoder _encoder;
    private readonly Conv2d? _quant;
    private readonly Conv2d? _postQuant;

    /// <param name="encoder">Encoder configuration, including the latent scaling.</param>
    /// <param name="decoder">Decoder configuration.</param>
    /// <param name="masked">Whether the decoder supports masked decoding.</param>
    private protected KlAutoencoder(AutoencoderKlConfig encoder, AutoencoderKlConfig decoder, bool masked)
    {
        _encoderShape = encoder;
        var root = Parameters.Root;
        _encoder = new KlEncoder(root / "encoder", encoder);
        Decoder = new KlDecoder(root / "decoder", decoder, masked);
        _quant = encoder.UseQuantConv
            ? new Conv2d(root / "quant_conv", 2 * encoder.LatentChannels, 2 * encoder.LatentChannels, kernel: 1)
            : null;
        _postQuant = encoder.UsePostQuantConv
            ? new Conv2d(root / "post_quant_conv", encoder.LatentChannels, encoder.LatentChannels, kernel: 1)
            : null;
    }

    /// <summary>
    /// Sets the factor that scales latents to unit variance, after training an autoencoder (Rombach et al. 2022, appendix G).
    /// </summary>
    /// <param name="factor">Reciprocal of the latents' standard deviation, above 0.</param>
    public abstract void SetScalingFactor(double factor);

    /// <inheritdoc/>
    public int LatentChannels => _encoderShape.LatentChannels;

    /// <inheritdoc/>
    public int Downsampling => _encoderShape.Downsampling;

    /// <inheritdoc/>
    public IReadOnlyList<DecoderTap> Taps => Decoder.Taps;

    /// <inheritdoc/>
    public bool ForceUpcast => Scaling.ForceUpcast;

    /// <inheritdoc/>
    public ParameterStore Parameters { get; } =
        new()
        {
            OtherKeys = static key =>
                OtherNames.Aggregate(key, static (k, pair) => k.Replace(pair.Old, pair.New, StringComparison.Ordinal)),
        };

    /// <summary>Configuration of the latent scale and shift.</summary>
    private protected abstract AutoencoderKlConfig Scaling { get; }

    private protected KlDecoder Decoder { get; }

    private protected DType Precision => Parameters.InputType;

    /// <summary>Moments of the posterior: means, then log-variances, not clamped.</summary>
    /// <param name="images">[batch, channels, height, width] in [−1, 1]; sides divisible by <see cref="Downsampling"/>.</param>
    /// <returns>[batch, 2·latent channels, height/downsampling, width/downsampling], float32.</returns>
    /// <exception cref="InputException">The images have the wrong shape.</exception>
    public Tensor EncodeMoments(Tensor images)
    {
        ArgumentNullException.ThrowIfNull(images);
        AutoencoderShapes.CheckImages(images, _encoderShape.InChannels, Downsampling);
        using var scope = TensorScope.Enter();
        using var wide = DecoderPrecision.Guard(ForceUpcast);
        var moments = _encoder.Forward(images.To(Precision));
        if (_quant is not null)
            moments = _quant.Forward(moments);
        return scope.Keep(moments.To(DType.Float32));
    }

    /// <summary>
    /// Encodes images to the distribution of their unscaled latents. Differentiable with respect to weights that require gradients.
    /// </summary>
    /// <param name="images">[batch, channels, height, width] in [−1, 1]; sides divisible by <see cref="Downsampling"/>.</param>
    /// <exception cref="InputException">The images have the wrong shape.</exception>
    public Posterior EncodePosterior(Tensor images)
    {
        using var scope = TensorScope.Enter();
        var posterior = Posterior.FromMoments(EncodeMoments(images));
        scope.Keep(posterior.Mean);
        scope.Keep(posterior.LogVariance);
        return posterior;
    }

    /// <inheritdoc/>
    /// <exception cref="InputException">The images have the wrong shape.</exception>
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

    /// <summary>Scales encoder output for the denoiser: (x − shift)·scale, or per channel (x − mean)·scale/deviation.</summary>
    /// <param name="encoded">[batch, latent channels, height, width], float32.</param>
    public Tensor Scale(Tensor encoded)
    {
        ArgumentNullException.ThrowIfNull(encoded);
        using var scope = TensorScope.Enter();
        var centred = Scaling.LatentsMean is null
            ? encoded - (Scaling.ShiftFactor ?? 0)
            : (encoded - ByChannel(Scaling.LatentsMean, encoded)) / ByChannel(Scaling.LatentsStd!, encoded);
        return scope.Keep(centred * Scaling.ScalingFactor);
    }

    /// <summary>Inverse of <see cref="Scale"/>.</summary>
    /// <param name="latent">[batch, latent channels, height, width], float32.</param>
    public Tensor Unscale(Tensor latent)
    {
        ArgumentNullException.ThrowIfNull(latent);
        using var scope = TensorScope.Enter();
        var spread = latent / Scaling.ScalingFactor;
        return scope.Keep(
            Scaling.LatentsMean is null
                ? spread + (Scaling.ShiftFactor ?? 0)
                : (spread * ByChannel(Scaling.LatentsStd!, latent)) + ByChannel(Scaling.LatentsMean, latent)
        );
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
        var decoded = Decoder.Forward(DecoderInput(latent), request);
        if (decoded.Rgb is not null)
            decoded = decoded with { Rgb = scope.Keep(decoded.Rgb.To(DType.Float32)) };
        scope.Keep(decoded.Features);
        return decoded;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Parameters.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>
    /// Decoder input: the unscaled latent after the optional 1×1 convolution. It belongs to the caller's scope.
    /// </summary>
    private protected Tensor DecoderInput(Latent latent)
    {
        using var scope = TensorScope.Enter();
        var z = Unscale(latent.Value.To(DType.Float32)).To(Precision);
        return scope.Keep(_postQuant is null ? z : _postQuant.Forward(z));
    }

    private Latent Draw(Posterior posterior, Generator? generator)
    {
        var sample = generator is null
            ? posterior.Mean
            : posterior.Sample(Ops.Randn(posterior.Mean.Shape, generator, dtype: DType.Float32).To(posterior.Mean.Device));
        return new Latent(Scale(sample));
    }

    private static Tensor ByChannel(IReadOnlyList<double> values, Tensor like) =>
        Tensor.From(values.Select(static v => (float)v).ToArray(), 1, values.Count, 1, 1).To(like.Device);
}
