using Retouch.Core.Errors;
using Retouch.Denoisers.UNet;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.SingleFile;

/// <summary>
/// U-Net keys of the original code: blocks of both paths are numbered consecutively over all levels (Rombach et al. 2022; names of the
/// published checkpoints).
/// </summary>
internal static class OriginalUNet
{
    public const string Prefix = "model.diffusion_model";

    private static readonly Func<string, TensorOrigin> Residual = KeyPrefixes.Renaming(
        ("norm1", "in_layers.0"),
        ("conv1", "in_layers.2"),
        ("time_emb_proj", "emb_layers.1"),
        ("norm2", "out_layers.0"),
        ("conv2", "out_layers.3"),
        ("conv_shortcut", "skip_connection")
    );

    private static readonly Func<string, TensorOrigin> TwoLayers = KeyPrefixes.Renaming(("linear_1", "0"), ("linear_2", "2"));

    /// <summary>Key mapping of a network.</summary>
    public static KeyPrefixes Keys(UNet2DConditionConfig config)
    {
        var keys = new KeyPrefixes();
        keys.Add("time_embedding", $"{Prefix}.time_embed", TwoLayers);
        keys.Add("add_embedding", $"{Prefix}.label_emb.0", TwoLayers);
        keys.Add("conv_in", $"{Prefix}.input_blocks.0.0");
        keys.Add("mid_block.resnets.0", $"{Prefix}.middle_block.0", Residual);
        keys.Add("mid_block.attentions.0", $"{Prefix}.middle_block.1");
        keys.Add("mid_block.resnets.1", $"{Prefix}.middle_block.2", Residual);
        keys.Add("conv_norm_out", $"{Prefix}.out.0");
        keys.Add("conv_out", $"{Prefix}.out.2");
        var number = 1;
        for (var level = 0; level < config.Levels; level++)
        {
            for (var layer = 0; layer < UNet2DConditionConfig.At(config.LayersPerBlock, level); layer++, number++)
            {
                keys.Add($"down_blocks.{level}.resnets.{layer}", $"{Prefix}.input_blocks.{number}.0", Residual);
                keys.Add($"down_blocks.{level}.attentions.{layer}", $"{Prefix}.input_blocks.{number}.1");
            }

            if (level < config.Levels - 1)
                keys.Add($"down_blocks.{level}.downsamplers.0.conv", $"{Prefix}.input_blocks.{number++}.0.op");
        }

        number = 0;
        for (var place = 0; place < config.Levels; place++)
        {
            var last = UNet2DConditionConfig.At(config.LayersPerBlock, config.Levels - 1 - place);
            for (var layer = 0; layer <= last; layer++, number++)
            {
                keys.Add($"up_blocks.{place}.resnets.{layer}", $"{Prefix}.output_blocks.{number}.0", Residual);
                keys.Add($"up_blocks.{place}.attentions.{layer}", $"{Prefix}.output_blocks.{number}.1");
            }

            // The upsampler belongs to the level's last block, after its attention, if any.
            if (place < config.Levels - 1)
                keys.Add(
                    $"up_blocks.{place}.upsamplers.0.conv",
                    $"{Prefix}.output_blocks.{number - 1}.{(config.UpBlockTypes[place] == UNet2DConditionConfig.CrossUp ? 2 : 1)}.conv"
                );
        }

        return keys;
    }

    /// <summary>Configuration of the network, from keys and shapes of a file, without the number of heads.</summary>
    /// <param name="source">The file.</param>
    /// <param name="origin">File name for messages.</param>
    /// <exception cref="InputException">The blocks do not match such a network.</exception>
    public static UNet2DConditionConfig Read(ITensorSource source, string origin)
    {
        var names = source.Names.ToHashSet(StringComparer.Ordinal);
        var (channels, layers, depths) = (new List<int>(), new List<int> { 0 }, new List<int> { 0 });
        for (var number = 1; ; number++)
        {
            var block = $"{Prefix}.input_blocks.{number}";
            if (names.Contains($"{block}.0.op.weight"))
            {
                layers.Add(0);
                depths.Add(0);
            }
            else if (names.Contains($"{block}.0.out_layers.3.weight"))
            {
                if (layers[^1]++ == 0)
                    channels.Add(source.Size($"{block}.0.out_layers.3.weight", 0, origin));
                depths[^1] = Depth($"{block}.1");
            }
            else
            {
                break;
            }
        }

        if (channels.Count != layers.Count || !names.Contains($"{Prefix}.middle_block.1.proj_in.weight"))
            throw new InputException($"'{origin}': the blocks under {Prefix} are not those of Stable Diffusion's U-Net.");
        var text = names.First(static n =>
            n.StartsWith(Prefix, StringComparison.Ordinal) && n.EndsWith("attn2.to_k.weight", StringComparison.Ordinal)
        );
        var hasAddition = names.Contains($"{Prefix}.label_emb.0.0.weight");
        // Depths of levels without transformers have no effect; the last one is the mid block's.
        List<IReadOnlyList<int>> counts = [.. depths.Select(static d => new[] { Math.Max(d, 1) })];
        counts[^1] = [Depth($"{Prefix}.middle_block.1")];
        return new UNet2DConditionConfig
        {
            InChannels = source.Size($"{Prefix}.input_blocks.0.0.weight", 1, origin),
            OutChannels = source.Size($"{Prefix}.out.2.weight", 0, origin),
            BlockOutChannels = channels,
            LayersPerBlock = layers.Distinct().Count() == 1 ? [layers[0]] : layers,
            DownBlockTypes = [.. depths.Select(static d => d > 0 ? UNet2DConditionConfig.CrossDown : UNet2DConditionConfig.PlainDown)],
            UpBlockTypes =
            [
                .. depths
                    .AsEnumerable()
                    .Reverse()
                    .Select(static d => d > 0 ? UNet2DConditionConfig.CrossUp : UNet2DConditionConfig.PlainUp),
            ],
            TransformerLayersPerBlock = counts.TrueForAll(c => c[0] == counts[0][0]) ? [counts[0]] : counts,
            CrossAttentionDim = [source.Size(text, 1, origin)],
            UseLinearProjection = source.ShapeOf($"{Prefix}.middle_block.1.proj_in.weight").Length == 2,
            AdditionEmbedType = hasAddition ? "text_time" : null,
            AdditionTimeEmbedDim = hasAddition ? 256 : null,
            ProjectionClassEmbeddingsInputDim = hasAddition ? source.Size($"{Prefix}.label_emb.0.0.weight", 1, origin) : null,
        };

        int Depth(string attention)
        {
            var depth = 0;
            while (names.Contains($"{attention}.transformer_blocks.{depth}.norm1.weight"))
                depth++;
            return depth;
        }
    }
}
