using System.Globalization;
using System.Text.Json.Nodes;
using Retouch.Core.Json;

namespace Retouch.Denoisers.UNet;

/// <summary>
/// Reads and writes <see cref="UNet2DConditionConfig"/> as <c>config.json</c>, where many members are a value for all blocks or a list
/// with one value per block.
/// </summary>
internal static class UNetConfigReader
{
    /// <summary>Members for which only this value is supported; missing and null are accepted too.</summary>
    private static readonly (string Name, JsonNode? Only)[] Fixed =
    [
        ("attention_type", "default"),
        ("class_embeddings_concat", false),
        ("cross_attention_norm", null),
        ("dropout", 0),
        ("dual_cross_attention", false),
        ("encoder_hid_dim", null),
        ("encoder_hid_dim_type", null),
        ("num_attention_heads", null),
        ("resnet_out_scale_factor", 1),
        ("resnet_skip_time_act", false),
        ("time_cond_proj_dim", null),
        ("time_embedding_act_fn", null),
        ("time_embedding_type", "positional"),
        ("timestep_post_act", null),
    ];

    public static UNet2DConditionConfig Read(JsonObject json, string origin)
    {
        var members = new JsonMembers(json, origin);
        if (members.Text("_class_name", "UNet2DConditionModel") != "UNet2DConditionModel")
            throw members.Wrong("_class_name", "UNet2DConditionModel");
        CheckFixed(json, members);
        var plain = new UNet2DConditionConfig();
        return new UNet2DConditionConfig
        {
            SampleSize = members.OptionalInteger("sample_size"),
            InChannels = members.Integer("in_channels", plain.InChannels),
            OutChannels = members.Integer("out_channels", plain.OutChannels),
            CenterInputSample = members.Boolean("center_input_sample", false),
            FlipSinToCos = members.Boolean("flip_sin_to_cos", true),
            FreqShift = members.Number("freq_shift", 0),
            DownBlockTypes = List(json, "down_block_types", Text) ?? plain.DownBlockTypes,
            MidBlockType =
                json.ContainsKey("mid_block_type") && json["mid_block_type"] is null
                    ? null
                    : members.Text("mid_block_type", UNet2DConditionConfig.CrossMid),
            UpBlockTypes = List(json, "up_block_types", Text) ?? plain.UpBlockTypes,
            OnlyCrossAttention = List(json, "only_cross_attention", Flag) ?? plain.OnlyCrossAttention,
            BlockOutChannels = List(json, "block_out_channels", Whole) ?? plain.BlockOutChannels,
            LayersPerBlock = List(json, "layers_per_block", Whole) ?? plain.LayersPerBlock,
            DownsamplePadding = members.Integer("downsample_padding", 1, atLeast: 0),
            MidBlockScaleFactor = members.Number("mid_block_scale_factor", 1),
            NormNumGroups = members.Integer("norm_num_groups", plain.NormNumGroups),
            NormEps = members.Number("norm_eps", plain.NormEps),
            CrossAttentionDim = json.ContainsKey("cross_attention_dim")
                ? List(json, "cross_attention_dim", Whole)
                : plain.CrossAttentionDim,
            TransformerLayersPerBlock = Nested(json, "transformer_layers_per_block") ?? plain.TransformerLayersPerBlock,
            ReverseTransformerLayersPerBlock = Nested(json, "reverse_transformer_layers_per_block"),
            AttentionHeadDim = List(json, "attention_head_dim", Whole) ?? plain.AttentionHeadDim,
            UseLinearProjection = members.Boolean("use_linear_projection", false),
            ClassEmbedType = OptionalText("class_embed_type"),
            NumClassEmbeds = members.OptionalInteger("num_class_embeds"),
            AdditionEmbedType = OptionalText("addition_embed_type"),
            AdditionTimeEmbedDim = members.OptionalInteger("addition_time_embed_dim"),
            ProjectionClassEmbeddingsInputDim = members.OptionalInteger("projection_class_embeddings_input_dim"),
            UpcastAttention = members.Boolean("upcast_attention", false),
            ResnetTimeScaleShift = members.Text("resnet_time_scale_shift", "default"),
            TimeEmbeddingDim = members.OptionalInteger("time_embedding_dim"),
            ConvInKernel = members.Integer("conv_in_kernel", 3),
            ConvOutKernel = members.Integer("conv_out_kernel", 3),
        };

        string? OptionalText(string name) => json[name] is null ? null : members.Text(name);

        string Text(string name, JsonNode? node) =>
            As<string>(node, static _ => true) ?? throw members.Wrong(name, "a list of block types");

        int Whole(string name, JsonNode? node) =>
            Number(node, 1) ?? throw members.Wrong(name, "a whole number of at least 1, or a list of them");

        bool Flag(string name, JsonNode? node) =>
            node is JsonValue value && value.TryGetValue<bool>(out var read)
                ? read
                : throw members.Wrong(name, "true, false, or a list of them");

        // 0 is valid for a block without transformers.
        List<IReadOnlyList<int>>? Nested(JsonObject from, string name) =>
            List<IReadOnlyList<int>>(
                from,
                name,
                (_, node) => node is JsonArray array ? [.. array.Select(n => Layers(name, n))] : [Layers(name, node)]
            );

        int Layers(string name, JsonNode? node) =>
            Number(node, 0) ?? throw members.Wrong(name, "a whole number, or a list by block of whole numbers or lists of them");
    }

    public static JsonObject Write(UNet2DConditionConfig config) =>
        new()
        {
            ["_class_name"] = "UNet2DConditionModel",
            ["act_fn"] = "silu",
            ["addition_embed_type"] = config.AdditionEmbedType,
            ["addition_time_embed_dim"] = config.AdditionTimeEmbedDim,
            ["attention_head_dim"] = OneOrAll(config.AttentionHeadDim, static v => JsonValue.Create(v)),
            ["block_out_channels"] = All(config.BlockOutChannels, static v => JsonValue.Create(v)),
            ["center_input_sample"] = config.CenterInputSample,
            ["class_embed_type"] = config.ClassEmbedType,
            ["conv_in_kernel"] = config.ConvInKernel,
            ["conv_out_kernel"] = config.ConvOutKernel,
            ["cross_attention_dim"] = config.CrossAttentionDim is null
                ? null
                : OneOrAll(config.CrossAttentionDim, static v => JsonValue.Create(v)),
            ["down_block_types"] = All(config.DownBlockTypes, static v => JsonValue.Create(v)),
            ["downsample_padding"] = config.DownsamplePadding,
            ["flip_sin_to_cos"] = config.FlipSinToCos,
            ["freq_shift"] = Number(config.FreqShift),
            ["in_channels"] = config.InChannels,
            ["layers_per_block"] = OneOrAll(config.LayersPerBlock, static v => JsonValue.Create(v)),
            ["mid_block_scale_factor"] = Number(config.MidBlockScaleFactor),
            ["mid_block_type"] = config.MidBlockType,
            ["norm_eps"] = config.NormEps,
            ["norm_num_groups"] = config.NormNumGroups,
            ["num_class_embeds"] = config.NumClassEmbeds,
            ["only_cross_attention"] = OneOrAll(config.OnlyCrossAttention, static v => JsonValue.Create(v)),
            ["out_channels"] = config.OutChannels,
            ["projection_class_embeddings_input_dim"] = config.ProjectionClassEmbeddingsInputDim,
            ["resnet_time_scale_shift"] = config.ResnetTimeScaleShift,
            ["reverse_transformer_layers_per_block"] = config.ReverseTransformerLayersPerBlock is null
                ? null
                : OneOrAll(config.ReverseTransformerLayersPerBlock, Layers),
            ["sample_size"] = config.SampleSize,
            ["time_embedding_dim"] = config.TimeEmbeddingDim,
            ["transformer_layers_per_block"] = OneOrAll(config.TransformerLayersPerBlock, Layers),
            ["up_block_types"] = All(config.UpBlockTypes, static v => JsonValue.Create(v)),
            ["upcast_attention"] = config.UpcastAttention,
            ["use_linear_projection"] = config.UseLinearProjection,
        };

    private static void CheckFixed(JsonObject json, JsonMembers members)
    {
        if (members.Text("act_fn", "silu") is not ("silu" or "swish"))
            throw members.Wrong("act_fn", "silu, the only supported activation");
        if (json["num_attention_heads"] is not null)
            throw members.Wrong(
                "num_attention_heads",
                "null: diffusers reads the number of heads from attention_head_dim, despite its name"
            );
        if (json.ContainsKey("norm_num_groups") && json["norm_num_groups"] is null)
            throw members.Wrong("norm_num_groups", "a whole number: a U-Net without normalisation at its output is not supported");
        foreach (var (name, only) in Fixed)
        {
            // Numeric comparison: 0 and 0.0 are equal.
            var fits =
                only is JsonValue value && value.TryGetValue<int>(out var number)
                    ? members.Number(name, number) == number
                    : JsonNode.DeepEquals(json[name] ?? only, only);
            if (!fits)
                throw members.Wrong(name, $"{only?.ToJsonString() ?? "null"}: no other value is supported");
        }
    }

    private static List<T>? List<T>(JsonObject json, string name, Func<string, JsonNode?, T> read) =>
        json[name] switch
        {
            null => null,
            JsonArray array => [.. array.Select(node => read(name, node))],
            var one => [read(name, one)],
        };

    private static T? As<T>(JsonNode? node, Func<T, bool> allowed)
        where T : class => node is JsonValue value && value.TryGetValue<T>(out var read) && allowed(read) ? read : null;

    private static int? Number(JsonNode? node, int atLeast) =>
        node is JsonValue value && value.TryGetValue<int>(out var read) && read >= atLeast && read <= JsonMembers.Largest ? read : null;

    /// <summary>
    /// Writes whole numbers without a decimal point, as diffusers does; a parsed node can be read back as any numeric type.
    /// </summary>
    private static JsonNode Number(double value) => JsonNode.Parse(value.ToString("R", CultureInfo.InvariantCulture))!;

    private static JsonNode? Layers(IReadOnlyList<int> layers) => OneOrAll(layers, static v => JsonValue.Create(v));

    private static JsonNode? OneOrAll<T>(IReadOnlyList<T> list, Func<T, JsonNode?> write) =>
        list.Count == 1 ? write(list[0]) : All(list, write);

    private static JsonArray All<T>(IReadOnlyList<T> list, Func<T, JsonNode?> write) => new([.. list.Select(write)]);
}
