using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Autoencoders;

/// <summary>Configuration of an <see cref="AutoencoderKl"/>; members as in diffusers' <c>config.json</c>.</summary>
public sealed record AutoencoderKlConfig
{
    private static readonly string[] Known =
    [
        "_class_name",
        "act_fn",
        "block_out_channels",
        "down_block_types",
        "force_upcast",
        "in_channels",
        "latent_channels",
        "latents_mean",
        "latents_std",
        "layers_per_block",
        "mid_block_add_attention",
        "norm_num_groups",
        "out_channels",
        "scaling_factor",
        "shift_factor",
        "up_block_types",
        "use_post_quant_conv",
        "use_quant_conv",
    ];

    /// <summary>Channels of the input images.</summary>
    public int InChannels { get; init; } = 3;

    /// <summary>Channels of the decoded images.</summary>
    public int OutChannels { get; init; } = 3;

    /// <summary>Channels of the latents.</summary>
    public int LatentChannels { get; init; } = 4;

    /// <summary>Channels of each level, from the image resolution downwards; every level but the last halves the resolution.</summary>
    public IReadOnlyList<int> BlockOutChannels { get; init; } = [64];

    /// <summary>Residual blocks per encoder level; decoder levels have one more.</summary>
    public int LayersPerBlock { get; init; } = 1;

    /// <summary>Number of groups of every group normalisation.</summary>
    public int NormNumGroups { get; init; } = 32;

    /// <summary>Whether the mid blocks contain self-attention.</summary>
    public bool MidBlockAddAttention { get; init; } = true;

    /// <summary>Whether the encoder ends with a 1×1 convolution.</summary>
    public bool UseQuantConv { get; init; } = true;

    /// <summary>Whether the decoder starts with a 1×1 convolution.</summary>
    public bool UsePostQuantConv { get; init; } = true;

    /// <summary>Scaling factor of the shifted latents to about unit variance.</summary>
    public double ScalingFactor { get; init; } = 0.18215;

    /// <summary>Shift subtracted from the encoder output before scaling; null for none.</summary>
    public double? ShiftFactor { get; init; }

    /// <summary>Per-channel mean subtracted before scaling, or null.</summary>
    public IReadOnlyList<double>? LatentsMean { get; init; }

    /// <summary>Per-channel standard deviation, a divisor before scaling; null exactly if <see cref="LatentsMean"/> is null.</summary>
    public IReadOnlyList<double>? LatentsStd { get; init; }

    /// <summary>Whether the network overflows in float16.</summary>
    public bool ForceUpcast { get; init; } = true;

    /// <summary>Members unrelated to the network, kept unchanged.</summary>
    public JsonObject Extra { get; init; } = [];

    /// <summary>Image pixels per latent pixel along each axis.</summary>
    public int Downsampling => 1 << (BlockOutChannels.Count - 1);

    /// <summary>Reads a <c>config.json</c>; missing members take diffusers' defaults.</summary>
    /// <param name="json">Contents of the file.</param>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">A member has the wrong type or an unsupported value.</exception>
    public static AutoencoderKlConfig FromJson(JsonObject json, string origin = "config.json")
    {
        ArgumentNullException.ThrowIfNull(json);
        var members = new JsonMembers(json, origin);
        if (members.Text("_class_name", "AutoencoderKL") != "AutoencoderKL")
            throw members.Wrong("_class_name", "AutoencoderKL");
        if (members.Text("act_fn", "silu") is not ("silu" or "swish"))
            throw members.Wrong("act_fn", "silu, the only supported activation of KL autoencoders");
        var config = new AutoencoderKlConfig
        {
            InChannels = members.Integer("in_channels", 3),
            OutChannels = members.Integer("out_channels", 3),
            LatentChannels = members.Integer("latent_channels", 4),
            BlockOutChannels =
                List<int>(members, json, "block_out_channels", "a list of whole numbers of at least 1", static c => c >= 1) ?? [64],
            LayersPerBlock = members.Integer("layers_per_block", 1),
            NormNumGroups = members.Integer("norm_num_groups", 32),
            MidBlockAddAttention = members.Boolean("mid_block_add_attention", true),
            UseQuantConv = members.Boolean("use_quant_conv", true),
            UsePostQuantConv = members.Boolean("use_post_quant_conv", true),
            ScalingFactor = members.Number("scaling_factor", 0.18215),
            ShiftFactor = json["shift_factor"] is null ? null : members.Number("shift_factor"),
            LatentsMean = List<double>(members, json, "latents_mean", "a list of numbers", double.IsFinite),
            LatentsStd = List<double>(members, json, "latents_std", "a list of positive numbers", static s => s > 0),
            ForceUpcast = members.Boolean("force_upcast", true),
            Extra = new JsonObject(
                json.Where(static pair => !Known.Contains(pair.Key))
                    .Select(static pair => KeyValuePair.Create(pair.Key, pair.Value?.DeepClone()))
            ),
        };
        CheckBlocks(members, json, "down_block_types", "DownEncoderBlock2D", config.BlockOutChannels.Count);
        CheckBlocks(members, json, "up_block_types", "UpDecoderBlock2D", config.BlockOutChannels.Count);
        config.Validate(origin);
        return config;
    }

    /// <summary>Members as written by diffusers, <see cref="Extra"/> included, in alphabetical order.</summary>
    public JsonObject ToJson()
    {
        var levels = BlockOutChannels.Count;
        var json = new JsonObject
        {
            ["_class_name"] = "AutoencoderKL",
            ["act_fn"] = "silu",
            ["block_out_channels"] = Array(BlockOutChannels),
            ["down_block_types"] = Array(Enumerable.Repeat("DownEncoderBlock2D", levels)),
            ["force_upcast"] = ForceUpcast,
            ["in_channels"] = InChannels,
            ["latent_channels"] = LatentChannels,
            ["latents_mean"] = LatentsMean is null ? null : Array(LatentsMean),
            ["latents_std"] = LatentsStd is null ? null : Array(LatentsStd),
            ["layers_per_block"] = LayersPerBlock,
            ["mid_block_add_attention"] = MidBlockAddAttention,
            ["norm_num_groups"] = NormNumGroups,
            ["out_channels"] = OutChannels,
            ["scaling_factor"] = ScalingFactor,
            ["shift_factor"] = ShiftFactor,
            ["up_block_types"] = Array(Enumerable.Repeat("UpDecoderBlock2D", levels)),
            ["use_post_quant_conv"] = UsePostQuantConv,
            ["use_quant_conv"] = UseQuantConv,
        };
        foreach (var (name, value) in Extra)
            json[name] = value?.DeepClone();
        return new JsonObject(
            json.OrderBy(static pair => pair.Key, StringComparer.Ordinal)
                .Select(static pair => KeyValuePair.Create(pair.Key, pair.Value?.DeepClone()))
        );
    }

    /// <summary>Validates the members against each other.</summary>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">Members are inconsistent.</exception>
    public void Validate(string origin = "config.json")
    {
        if (BlockOutChannels.Count is 0 or > 8)
            throw new InputException($"'{origin}': block_out_channels has {BlockOutChannels.Count} levels; from 1 to 8 are supported.");
        if (BlockOutChannels.FirstOrDefault(c => c % NormNumGroups != 0) is var odd and not 0)
            throw new InputException($"'{origin}': block_out_channels {odd} is not divisible by norm_num_groups {NormNumGroups}.");
        if (ScalingFactor is 0 || !double.IsFinite(ScalingFactor))
            throw new InputException($"'{origin}': scaling_factor is {ScalingFactor}; it must be a finite number other than 0.");
        if ((LatentsMean is null) != (LatentsStd is null))
            throw new InputException($"'{origin}': latents_mean and latents_std must be set together; only one of them is present.");
        if (LatentsMean is not null && (LatentsMean.Count != LatentChannels || LatentsStd!.Count != LatentChannels))
            throw new InputException($"'{origin}': latents_mean and latents_std must have latent_channels ({LatentChannels}) entries.");
        if (LatentsMean is not null && ShiftFactor is not null)
            throw new InputException($"'{origin}': shift_factor and latents_mean both shift the latents; set one of them to null.");
    }

    private static void CheckBlocks(JsonMembers members, JsonObject json, string name, string type, int levels)
    {
        if (
            json[name] is not null
            && (json[name] is not JsonArray list || list.Count != levels || list.Any(node => node?.ToString() != type))
        )
            throw members.Wrong(name, $"{type} {levels} times, once for each of block_out_channels");
    }

    private static List<T>? List<T>(JsonMembers members, JsonObject json, string name, string expected, Func<T, bool> allowed)
    {
        if (json[name] is null)
            return null;
        if (json[name] is not JsonArray array)
            throw members.Wrong(name, expected);
        return
        [
            .. array.Select(node =>
                node is JsonValue value && value.TryGetValue<T>(out var read) && allowed(read) ? read : throw members.Wrong(name, expected)
            ),
        ];
    }

    private static JsonArray Array<T>(IEnumerable<T> values) => new([.. values.Select(static v => (JsonNode?)JsonValue.Create(v))]);
}
