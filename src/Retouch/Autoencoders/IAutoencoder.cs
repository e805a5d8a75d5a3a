using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Autoencoders;

/// <summary>An image autoencoder whose decoder can be looked into.</summary>
public interface IAutoencoder : IDisposable
{
    /// <summary>Channels of a latent.</summary>
    int LatentChannels { get; }

    /// <summary>How many pixels of the image one pixel of the latent stands for, in each direction.</summary>
    int Downsampling { get; }

    /// <summary>
    /// The decoder's taps, from the latent's resolution to the image's; of a KL decoder the mid block, then every up block.
    /// </summary>
    IReadOnlyList<DecoderTap> Taps { get; }

    /// <summary>Whether the network overflows in float16 (<c>force_upcast</c> of its configuration).</summary>
    bool ForceUpcast { get; }

    /// <summary>All tensors, by checkpoint key.</summary>
    ParameterStore Parameters { get; }

    /// <summary>Images to latents, scaled and shifted.</summary>
    /// <param name="images">[batch, 3, height, width] in [−1, 1]; sides divisible by <see cref="Downsampling"/>.</param>
    /// <param name="generator">Draws the sample of the posterior (on the CPU); null takes the mean.</param>
    Latent Encode(Tensor images, Generator? generator);

    /// <summary>What the encoder puts out for images, to be kept and drawn from later: nothing random is in it yet.</summary>
    /// <param name="images">As for <see cref="Encode"/>.</param>
    /// <returns>[batch, any channels, height, width], float32; gradients flow where the weights require them.</returns>
    Tensor EncodeMoments(Tensor images);

    /// <summary>Draws latents from what <see cref="EncodeMoments"/> gave: together they are <see cref="Encode"/>.</summary>
    /// <param name="moments">As given.</param>
    /// <param name="generator">Draws the sample of the posterior (on the CPU); null takes the mean.</param>
    Latent Draw(Tensor moments, Generator? generator);

    /// <summary>Latents to images [batch, 3, height, width], about [−1, 1], not clamped.</summary>
    Tensor Decode(Latent latent);

    /// <summary>Runs the decoder as deep as the deepest tap asked for, and no deeper.</summary>
    /// <param name="latent">Scaled and shifted.</param>
    /// <param name="request">Which taps, and whether the image too.</param>
    DecodedTaps DecodeWithTaps(Latent latent, TapRequest request);
}

/// <summary>A place in the decoder where features can be taken.</summary>
/// <param name="Name">The module's path: <c>decoder.mid_block</c>, <c>decoder.up_blocks.0</c>, ….</param>
/// <param name="Channels">Channels of the features.</param>
/// <param name="Scale">Resolution relative to the latent: r_l of [LPL], 1, 2, 4, 8, 8 for four levels.</param>
public sealed record DecoderTap(string Name, int Channels, int Scale);

/// <summary>What a decode has to deliver.</summary>
/// <param name="Taps">Indices into <see cref="IAutoencoder.Taps"/>, ascending.</param>
/// <param name="Rgb">Whether the image is wanted too, which runs the decoder to its end.</param>
/// <param name="Checkpoint">Recompute each block in the backward pass instead of keeping its intermediates.</param>
public sealed record TapRequest(IReadOnlyList<int> Taps, bool Rgb = false, bool Checkpoint = false);

/// <summary>What a decode delivered.</summary>
/// <param name="Features">One tensor a requested tap, in their order: [batch, channels, height·scale, width·scale].</param>
/// <param name="Rgb">The image [batch, 3, height, width], where it was asked for.</param>
public sealed record DecodedTaps(IReadOnlyList<Tensor> Features, Tensor? Rgb);
