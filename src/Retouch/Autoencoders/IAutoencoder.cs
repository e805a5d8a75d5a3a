using Retouch.Core.Errors;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Autoencoders;

/// <summary>An image autoencoder with access to intermediate decoder features.</summary>
public interface IAutoencoder : IDisposable
{
    /// <summary>Channels of a latent.</summary>
    int LatentChannels { get; }

    /// <summary>Image pixels per latent pixel along each axis.</summary>
    int Downsampling { get; }

    /// <summary>
    /// Decoder taps from the latent resolution to the image resolution; in a KL decoder, the mid block and every up block.
    /// </summary>
    IReadOnlyList<DecoderTap> Taps { get; }

    /// <summary>Whether the network overflows in float16 (<c>force_upcast</c> in its configuration).</summary>
    bool ForceUpcast { get; }

    /// <summary>All parameters, by checkpoint key.</summary>
    ParameterStore Parameters { get; }

    /// <summary>Encodes images to scaled and shifted latents.</summary>
    /// <param name="images">[batch, 3, height, width] in [−1, 1]; sides divisible by <see cref="Downsampling"/>.</param>
    /// <param name="generator">CPU generator of the posterior sample; null for the posterior mean.</param>
    Latent Encode(Tensor images, Generator? generator);

    /// <summary>Deterministic encoder output, which can be cached and sampled from later.</summary>
    /// <param name="images">See <see cref="Encode"/>.</param>
    /// <returns>[batch, moment channels, height/downsampling, width/downsampling], float32; differentiable with respect to weights that
    /// require gradients.</returns>
    Tensor EncodeMoments(Tensor images);

    /// <summary>Draws latents from the output of <see cref="EncodeMoments"/>; the two combined equal <see cref="Encode"/>.</summary>
    /// <param name="moments">Output of <see cref="EncodeMoments"/>.</param>
    /// <param name="generator">CPU generator of the posterior sample; null for the posterior mean.</param>
    Latent Draw(Tensor moments, Generator? generator);

    /// <summary>Decodes latents to images [batch, 3, height, width], about [−1, 1], not clamped.</summary>
    Tensor Decode(Latent latent);

    /// <summary>Runs the decoder up to the deepest requested output.</summary>
    /// <param name="latent">Scaled and shifted latent.</param>
    /// <param name="request">Requested taps and image.</param>
    DecodedTaps DecodeWithTaps(Latent latent, TapRequest request);
}

/// <summary>Loading of autoencoders.</summary>
public static class AutoencoderLoading
{
    /// <summary>Loads a checkpoint. Gradients are off afterwards.</summary>
    /// <param name="autoencoder">The network.</param>
    /// <param name="source">Checkpoint tensors.</param>
    /// <param name="device">Device of the parameters.</param>
    /// <param name="dtype">Parameter and compute dtype; null for the stored dtype (float32 with <c>force_upcast</c>).</param>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">Keys are missing or unexpected, shapes differ, or <paramref name="dtype"/> is float16 and the
    /// network overflows in it.</exception>
    public static void Load(this IAutoencoder autoencoder, ITensorSource source, Device device, DType? dtype, string origin)
    {
        ArgumentNullException.ThrowIfNull(autoencoder);
        if (dtype == DType.Float16 && autoencoder.ForceUpcast)
            throw new InputException(
                $"'{origin}': this autoencoder overflows in float16 (force_upcast in its config.json). Use float32 or bfloat16."
            );
        autoencoder.Parameters.Load(source, device, dtype ?? (autoencoder.ForceUpcast ? DType.Float32 : null), origin);
    }
}

/// <summary>A decoder stage whose output features can be requested.</summary>
/// <param name="Name">Module path: <c>decoder.mid_block</c>, <c>decoder.up_blocks.0</c>, ….</param>
/// <param name="Channels">Feature channels.</param>
/// <param name="Scale">Resolution relative to the latent: r_l of [LPL]; 1, 2, 4, 8, 8 for four levels.</param>
public sealed record DecoderTap(string Name, int Channels, int Scale);

/// <summary>Requested decoder outputs.</summary>
/// <param name="Taps">Indices into <see cref="IAutoencoder.Taps"/>, ascending.</param>
/// <param name="Rgb">Whether to return the image, which runs the whole decoder.</param>
/// <param name="Checkpoint">Whether to recompute activations in the backward pass instead of storing them.</param>
public sealed record TapRequest(IReadOnlyList<int> Taps, bool Rgb = false, bool Checkpoint = false);

/// <summary>Decoder outputs.</summary>
/// <param name="Features">One tensor per requested tap, in order: [batch, channels, height·scale, width·scale].</param>
/// <param name="Rgb">Image [batch, 3, height, width] if requested, else null.</param>
public sealed record DecodedTaps(IReadOnlyList<Tensor> Features, Tensor? Rgb);
