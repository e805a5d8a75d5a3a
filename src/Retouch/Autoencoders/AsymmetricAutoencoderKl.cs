using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Autoencoders;

/// <summary>
/// A KL autoencoder whose decoder is larger than its encoder and supports masked decoding (Zhu et al. 2023, "Designing a Better
/// Asymmetric VQGAN for StableDiffusion"), equal to diffusers' AsymmetricAutoencoderKL.
/// </summary>
public sealed class AsymmetricAutoencoderKl : KlAutoencoder
{
    private AutoencoderKlConfig _scaling;

    /// <summary>Builds the network. Tensors are allocated when <see cref="KlAutoencoder.Parameters"/> is initialised or
    /// loaded.</summary>
    /// <exception cref="InputException">The configuration is inconsistent.</exception>
    public AsymmetricAutoencoderKl(AsymmetricAutoencoderKlConfig config)
        : base(Checked(config).Encoder, config.Decoder, masked: true) => (Config, _scaling) = (config, config.Encoder);

    /// <summary>Network configuration.</summary>
    public AsymmetricAutoencoderKlConfig Config { get; private set; }

    private protected override AutoencoderKlConfig Scaling => _scaling;

    /// <inheritdoc/>
    public override void SetScalingFactor(double factor)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(factor);
        Config = Config with { ScalingFactor = factor };
        _scaling = Config.Encoder;
    }

    /// <summary>
    /// Decodes latents into the masked part of a given image (inpainting); the image is kept where the mask is 0. Differentiable.
    /// </summary>
    /// <param name="latent">Scaled and shifted latent [batch, channels, height, width].</param>
    /// <param name="image">[batch, 3, height·downsampling, width·downsampling] in [−1, 1].</param>
    /// <param name="mask">[batch, 1, height·downsampling, width·downsampling]: 1 to decode the latent, 0 to keep the image.</param>
    /// <returns>[batch, 3, height·downsampling, width·downsampling], about [−1, 1], not clamped.</returns>
    /// <exception cref="InputException">The shapes do not match, or the configuration does not support masks.</exception>
    public Tensor Decode(Latent latent, Tensor image, Tensor mask) =>
        DecodeWithTaps(latent, image, mask, new TapRequest([], Rgb: true)).Rgb!;

    /// <summary>
    /// Runs the masked decoder up to the deepest requested tap. The features are block outputs before the image features are mixed in.
    /// </summary>
    /// <inheritdoc cref="Decode(Latent, Tensor, Tensor)"/>
    /// <param name="latent">Scaled and shifted latent.</param>
    /// <param name="image">See <see cref="Decode(Latent, Tensor, Tensor)"/>.</param>
    /// <param name="mask">See <see cref="Decode(Latent, Tensor, Tensor)"/>.</param>
    /// <param name="request">Requested taps and image.</param>
    public DecodedTaps DecodeWithTaps(Latent latent, Tensor image, Tensor mask, TapRequest request)
    {
        ArgumentNullException.ThrowIfNull(latent);
        ArgumentNullException.ThrowIfNull(image);
        ArgumentNullException.ThrowIfNull(mask);
        ArgumentNullException.ThrowIfNull(request);
        AutoencoderShapes.CheckLatents(latent.Value, LatentChannels);
        AutoencoderShapes.CheckTaps(request, Taps.Count);
        if (!Config.TakesMasks)
            throw new InputException(
                "This autoencoder does not support masked decoding: up_block_out_channels must have four levels that double up to the "
                    + "widest."
            );
        var shape = latent.Value.Shape;
        CheckSize(image, [shape[0], Config.OutChannels, shape[2] * Downsampling, shape[3] * Downsampling], "the image");
        CheckSize(mask, [shape[0], 1, shape[2] * Downsampling, shape[3] * Downsampling], "the mask");
        using var scope = TensorScope.Enter();
        var decoded = Decoder.Forward(DecoderInput(latent), image.To(Precision), mask.To(Precision), request);
        if (decoded.Rgb is not null)
            decoded = decoded with { Rgb = scope.Keep(decoded.Rgb.To(DType.Float32)) };
        scope.Keep(decoded.Features);
        return decoded;
    }

    private static void CheckSize(Tensor x, long[] expected, string what)
    {
        if (!x.Shape.AsSpan().SequenceEqual(expected))
            throw new InputException(
                $"For these latents {what} must be [{string.Join(", ", expected)}], not [{string.Join(", ", x.Shape)}]."
            );
    }

    private static AsymmetricAutoencoderKlConfig Checked(AsymmetricAutoencoderKlConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate();
        return config;
    }
}
