using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Torch.Io;

namespace Retouch.Pipelines.Diffusers;

/// <summary>
/// A tiny autoencoder in its author's layout: one file per half (<c>taesd_encoder.safetensors</c>, <c>taesd_decoder.safetensors</c>),
/// without configuration.
/// </summary>
internal static class TaesdFolder
{
    /// <summary>Whether a folder has this layout: both halves, and no <c>config.json</c>.</summary>
    public static bool Is(string folder) => Find(folder) is not null;

    /// <summary>Opens a folder of this layout, under diffusers' keys; <see cref="TaesdKeys.Config"/> derives the configuration.</summary>
    /// <exception cref="InputException">The files are invalid or contain other tensors.</exception>
    public static WeightFiles Open(string folder)
    {
        var (encoder, decoder) = Find(folder) ?? throw new InputException($"'{folder}' has no files *_encoder and *_decoder.");
        return WeightFiles.OfFiles([encoder, decoder], files => TaesdKeys.Of(files[0], files[1], folder));
    }

    private static (string Encoder, string Decoder)? Find(string folder)
    {
        if (!Directory.Exists(folder) || File.Exists(Path.Combine(folder, ComponentFolder.ConfigName)))
            return null;
        foreach (var extension in TensorFile.Extensions)
        {
            var encoder = Directory.EnumerateFiles(folder, "*_encoder" + extension).Order(StringComparer.Ordinal).FirstOrDefault();
            var decoder = encoder?.Replace("_encoder" + extension, "_decoder" + extension, StringComparison.Ordinal);
            if (decoder is not null && File.Exists(decoder))
                return (encoder!, decoder);
        }

        return null;
    }
}
