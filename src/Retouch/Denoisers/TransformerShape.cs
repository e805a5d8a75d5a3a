using Retouch.Core.Errors;

namespace Retouch.Denoisers;

/// <summary>What the configurations of transformers over patches have to fulfil alike.</summary>
internal static class TransformerShape
{
    /// <summary>The patches cover the latents, and the position table's four parts fit a token.</summary>
    /// <param name="origin">The file's name, for messages.</param>
    /// <param name="sampleSize">Side of the latents.</param>
    /// <param name="patchSize">Side of a patch.</param>
    /// <param name="width">Channels of a token.</param>
    /// <exception cref="InputException">They do not.</exception>
    public static void Check(string origin, int sampleSize, int patchSize, int width)
    {
        if (sampleSize % patchSize != 0)
            throw new InputException($"'{origin}': sample_size {sampleSize} is no multiple of patch_size {patchSize}.");
        if (width % 4 != 0)
            throw new InputException(
                $"'{origin}': num_attention_heads times attention_head_dim is {width}; the position table needs a multiple of 4."
            );
    }

    /// <summary>The outputs are the latents' channels, once or with a learned variance beside them.</summary>
    /// <exception cref="InputException">They are not.</exception>
    public static void CheckOutputs(string origin, int inChannels, int outputs)
    {
        if (outputs != inChannels && outputs != 2 * inChannels)
            throw new InputException(
                $"'{origin}': out_channels is {outputs}; it must equal in_channels ({inChannels}), or be twice that where a "
                    + $"variance is learned."
            );
    }

    /// <summary>The feed-forward networks' nonlinearity is one that is computed here.</summary>
    /// <exception cref="InputException">It is not.</exception>
    public static void CheckActivation(string origin, string activation)
    {
        if (activation is not ("gelu" or "gelu-approximate"))
            throw new InputException($"'{origin}': activation_fn is '{activation}'; gelu and gelu-approximate are supported.");
    }
}
