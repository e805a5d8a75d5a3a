using System.Text.Json.Nodes;
using Retouch.Core.Json;
using static Retouch.Denoisers.UNet.UNet2DConditionConfig;

namespace Retouch.Denoisers.UNet;

/// <summary>
/// Members of <see cref="UNet2DConditionConfig"/> in <c>config.json</c>, where many are a value for all blocks or a list with one value per
/// block.
/// </summary>
internal static class UNetConfigMembers
{
    private const string Whole = "a whole number of at least 1, or a list of them";

    private static readonly string[] DownTypes = [CrossDown, SelfDown, PlainDown];
    private static readonly string[] UpTypes = [CrossUp, SelfUp, PlainUp];

    /// <summary>Members for which only this value is supported; they are not written.</summary>
    private static IEnumerable<(string Name, JsonNode? Only)> Fixed =>
        [
            ("attention_type", "default"),
            ("class_embeddings_concat", false),
            ("cross_attention_norm", null),
            ("dropout", 0),
            ("dual_cross_attention", false),
            ("encoder_hid_dim", null),
            ("encoder_hid_dim_type", null),
            ("resnet_out_scale_factor", 1),
            ("resnet_skip_time_act", false),
            ("time_cond_proj_dim", null),
            ("time_embedding_act_fn", null),
            ("time_embedding_type", "positional"),
            ("timestep_post_act", null),
        ];

    public static UNet2DConditionConfig Map(ConfigMembers members, UNet2DConditionConfig config)
    {
        members.Only("_class_name", "UNet2DConditionModel");
        members.Only("act_fn", "silu", "the only supported activation", also: "swish");
        members.Only(
            "num_attention_heads",
            null,
            "diffusers reads the number of heads from attention_head_dim, despite its name",
            written: false
        );
        if (members.IsNull("norm_num_groups"))
            throw members.Wrong("norm_num_groups", "a whole number: a U-Net without normalisation at its output is not supported");
        foreach (var (name, only) in Fixed)
            members.Only(name, only, "no other value is supported", written: false);
        return config with
        {
            AdditionEmbedType = members.OptionalText("addition_embed_type", config.AdditionEmbedType, "text_time"),
            AdditionTimeEmbedDim = members.Integer("addition_time_embed_dim", config.AdditionTimeEmbedDim),
            AttentionHeadDim = members.List("attention_head_dim", config.AttentionHeadDim, Whole, IsCount, orOne: true),
            BlockOutChannels = members.List("block_out_channels", config.BlockOutChannels, ConfigMembers.Counts, IsCount),
            CenterInputSample = members.Boolean("center_input_sample", config.CenterInputSample),
            ClassEmbedType = members.OptionalText("class_embed_type", config.ClassEmbedType, "timestep", "projection", "identity"),
            ConvInKernel = members.Integer("conv_in_kernel", config.ConvInKernel),
            ConvOutKernel = members.Integer("conv_out_kernel", config.ConvOutKernel),
            CrossAttentionDim = members.IsNull("cross_attention_dim")
                ? null
                : members.List("cross_attention_dim", config.CrossAttentionDim, Whole, IsCount, orOne: true),
            DownBlockTypes = members.List("down_block_types", config.DownBlockTypes, Types(DownTypes), static t => DownTypes.Contains(t)),
            DownsamplePadding = members.Integer("downsample_padding", config.DownsamplePadding, atLeast: 0, atMost: 1),
            FlipSinToCos = members.Boolean("flip_sin_to_cos", config.FlipSinToCos),
            FreqShift = members.Number("freq_shift", config.FreqShift),
            InChannels = members.Integer("in_channels", config.InChannels),
            LayersPerBlock = members.List("layers_per_block", config.LayersPerBlock, Whole, IsCount, orOne: true),
            MidBlockScaleFactor = members.Number("mid_block_scale_factor", config.MidBlockScaleFactor),
            MidBlockType = members.OptionalText("mid_block_type", config.MidBlockType, CrossMid, PlainMid),
            NormEps = members.Number("norm_eps", config.NormEps),
            NormNumGroups = members.Integer("norm_num_groups", config.NormNumGroups),
            NumClassEmbeds = members.Integer("num_class_embeds", config.NumClassEmbeds),
            OnlyCrossAttention = members.List<bool>(
                "only_cross_attention",
                config.OnlyCrossAttention,
                "true, false, or a list of them",
                orOne: true
            ),
            OutChannels = members.Integer("out_channels", config.OutChannels),
            ProjectionClassEmbeddingsInputDim = members.Integer(
                "projection_class_embeddings_input_dim",
                config.ProjectionClassEmbeddingsInputDim
            ),
            ResnetTimeScaleShift = members.Text("resnet_time_scale_shift", config.ResnetTimeScaleShift, "default", "scale_shift"),
            ReverseTransformerLayersPerBlock = Layers(
                members,
                "reverse_transformer_layers_per_block",
                config.ReverseTransformerLayersPerBlock
            ),
            SampleSize = members.Integer("sample_size", config.SampleSize),
            TimeEmbeddingDim = members.Integer("time_embedding_dim", config.TimeEmbeddingDim),
            TransformerLayersPerBlock = Layers(members, "transformer_layers_per_block", config.TransformerLayersPerBlock)!,
            UpBlockTypes = members.List("up_block_types", config.UpBlockTypes, Types(UpTypes), static t => UpTypes.Contains(t)),
            UpcastAttention = members.Boolean("upcast_attention", config.UpcastAttention),
            UseLinearProjection = members.Boolean("use_linear_projection", config.UseLinearProjection),
        };
    }

    private static bool IsCount(int value) => value is >= 1 and <= JsonMembers.Largest;

    private static string Types(string[] known) => $"a list of {string.Join(", ", known)}";

    /// <summary>Transformer layers by block and residual block; 0 is valid for a block without transformers.</summary>
    private static IReadOnlyList<IReadOnlyList<int>>? Layers(ConfigMembers members, string name, IReadOnlyList<IReadOnlyList<int>>? value)
    {
        return members.Member(
            name,
            value,
            blocks => blocks is null ? null : OneOrAll([.. blocks.Select(b => OneOrAll([.. b.Select(static n => (JsonNode)n)]))]),
            node => node is null ? value : [.. All(node).Select(b => All(b).Select(Number).ToArray())]
        );

        static JsonNode OneOrAll(JsonNode[] nodes) => nodes.Length == 1 ? nodes[0] : new JsonArray(nodes);

        static IEnumerable<JsonNode?> All(JsonNode? node) => node as JsonArray ?? (IEnumerable<JsonNode?>)[node];

        int Number(JsonNode? node) =>
            node is JsonValue one && one.TryGetValue<int>(out var read) && read is >= 0 and <= JsonMembers.Largest
                ? read
                : throw members.Wrong(name, "a whole number, or a list by block of whole numbers or lists of them");
    }
}
