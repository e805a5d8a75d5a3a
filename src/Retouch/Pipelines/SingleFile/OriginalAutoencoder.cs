using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.SingleFile;

/// <summary>
/// Autoencoder keys of the original code: decoder levels are numbered from the highest resolution, attention consists of 1×1 convolutions.
/// </summary>
internal static class OriginalAutoencoder
{
    public const string Prefix = "first_stage_model";

    private static readonly Func<string, TensorOrigin> Residual = KeyPrefixes.Renaming(("conv_shortcut", "nin_shortcut"));

    /// <summary>Key mapping of a network.</summary>
    public static KeyPrefixes Keys(AutoencoderKlConfig config)
    {
        var keys = new KeyPrefixes();
        keys.Add("quant_conv", $"{Prefix}.quant_conv");
        keys.Add("post_quant_conv", $"{Prefix}.post_quant_conv");
        var levels = config.BlockOutChannels.Count;
        foreach (var half in (string[])["encoder", "decoder"])
        {
            keys.Add($"{half}.conv_in", $"{Prefix}.{half}.conv_in");
            keys.Add($"{half}.mid_block.resnets.0", $"{Prefix}.{half}.mid.block_1", Residual);
            keys.Add($"{half}.mid_block.attentions.0", $"{Prefix}.{half}.mid.attn_1", Attention);
            keys.Add($"{half}.mid_block.resnets.1", $"{Prefix}.{half}.mid.block_2", Residual);
            keys.Add($"{half}.conv_norm_out", $"{Prefix}.{half}.norm_out");
            keys.Add($"{half}.conv_out", $"{Prefix}.{half}.conv_out");
        }

        for (var level = 0; level < levels; level++)
        {
            for (var layer = 0; layer <= config.LayersPerBlock; layer++)
            {
                if (layer < config.LayersPerBlock)
                    keys.Add($"encoder.down_blocks.{level}.resnets.{layer}", $"{Prefix}.encoder.down.{level}.block.{layer}", Residual);
                keys.Add($"decoder.up_blocks.{levels - 1 - level}.resnets.{layer}", $"{Prefix}.decoder.up.{level}.block.{layer}", Residual);
            }

            keys.Add($"encoder.down_blocks.{level}.downsamplers.0.conv", $"{Prefix}.encoder.down.{level}.downsample.conv");
            keys.Add($"decoder.up_blocks.{levels - 1 - level}.upsamplers.0.conv", $"{Prefix}.decoder.up.{level}.upsample.conv");
        }

        return keys;
    }

    /// <summary>Configuration of the network, from keys and shapes of a file.</summary>
    /// <param name="source">The file.</param>
    /// <param name="scalingFactor">Latent scaling factor, which is not in the file.</param>
    /// <param name="origin">File name for messages.</param>
    /// <exception cref="InputException">The levels do not match such a network.</exception>
    public static AutoencoderKlConfig Read(ITensorSource source, double scalingFactor, string origin)
    {
        var names = source.Names.ToHashSet(StringComparer.Ordinal);
        var channels = new List<int>();
        while (names.Contains($"{Prefix}.encoder.down.{channels.Count}.block.0.conv1.weight"))
            channels.Add(source.Size($"{Prefix}.encoder.down.{channels.Count}.block.0.conv1.weight", 0, origin));
        var layers = 0;
        while (names.Contains($"{Prefix}.encoder.down.0.block.{layers}.conv1.weight"))
            layers++;
        if (channels.Count == 0)
            throw new InputException($"'{origin}' has no autoencoder: no tensor starts with {Prefix}.encoder.down.");
        return new AutoencoderKlConfig
        {
            InChannels = source.Size($"{Prefix}.encoder.conv_in.weight", 1, origin),
            OutChannels = source.Size($"{Prefix}.decoder.conv_out.weight", 0, origin),
            LatentChannels = source.Size($"{Prefix}.decoder.conv_in.weight", 1, origin),
            BlockOutChannels = channels,
            LayersPerBlock = layers,
            MidBlockAddAttention = names.Contains($"{Prefix}.encoder.mid.attn_1.q.weight"),
            UseQuantConv = names.Contains($"{Prefix}.quant_conv.weight"),
            UsePostQuantConv = names.Contains($"{Prefix}.post_quant_conv.weight"),
            ScalingFactor = scalingFactor,
        };
    }

    private static TensorOrigin Attention(string rest)
    {
        var renamed = KeyPrefixes.Renaming(("group_norm", "norm"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out"))(
            rest
        );
        return rest.StartsWith("to_", StringComparison.Ordinal) && rest.EndsWith(".weight", StringComparison.Ordinal)
            ? renamed with
            {
                Form = TensorForm.Linear,
            }
            : renamed;
    }
}
