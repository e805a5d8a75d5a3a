using Retouch.Core.Errors;

namespace Retouch.Denoisers;

/// <summary>Configuration checks common to patch-based transformers.</summary>
internal static class TransformerShape
{
    /// <summary>Supported activations of feed-forward networks, by diffusers' names.</summary>
    public static readonly string[] Activations = ["gelu", "gelu-approximate"];

    /// <summary>Checks that patches tile the latents and that the token width fits the position table.</summary>
    /// <param name="origin">File name for error messages.</param>
    /// <param name="sampleSize">Side of the latents.</param>
    /// <param name="patchSize">Patch side in latent pixels.</param>
    /// <param name="width">Token width.</param>
    /// <exception cref="InputException">A check failed.</exception>
    public static void Check(string origin, int sampleSize, int patchSize, int width)
    {
        if (sampleSize % patchSize != 0)
            throw new InputException($"'{origin}': sample_size {sampleSize} is not a multiple of patch_size {patchSize}.");
        if (width % 4 != 0)
            throw new InputException(
                $"'{origin}': num_attention_heads times attention_head_dim is {width}; the position table needs a multiple of 4."
            );
    }

    /// <summary>Checks that the output channels equal the latent channels, or twice those for a learned variance.</summary>
    /// <exception cref="InputException">The check failed.</exception>
    public static void CheckOutputs(string origin, int inChannels, int outputs)
    {
        if (outputs != inChannels && outputs != 2 * inChannels)
            throw new InputException(
                $"'{origin}': out_channels is {outputs}; it must equal in_channels ({inChannels}), or twice that with a learned variance."
            );
    }
}
