using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Autoencoders;

/// <summary>The shape of an <see cref="AutoencoderKl"/>, with the names that diffusers gives its members in <c>config.json</c>.</summary>
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

    /// <summary>Channels of the images that are encoded.</summary>
    public int InChannels { get; init; } = 3;

    /// <summary>Channels of the images that are decoded.</summary>
    public int OutChannels { get; init; } = 3;

    /// <summary>Channels of the latents.</summary>
    public int LatentChannels { get; init; } = 4;

    /// <summary>Channels of each level, from the image's resolution downwards; each level but the last halves the resolution.</summary>
    public IReadOnlyList<int> BlockOutChannels { get; init; } = [64];

    /// <summary>Residual blocks of a level of the encoder; the decoder has one more.</summary>
    public int LayersPerBlock { get; init; } = 1;

    /// <summary>Groups of every group normalisation.</summary>
    public int NormNumGroups { get; init; } = 32;

    /// <summary>Whether the middle blocks have an attention layer.</summary>
    public bool MidBlockAddAttention { get; init; } = true;

    /// <summary>Whether a 1×1 convolution follows the encoder.</summary>
    public bool UseQuantConv { get; init; } = true;

    /// <summary>Whether a 1×1 convolution precedes the decoder.</summary>
    public bool UsePostQuantConv { get; init; } = true;

    /// <summary>What shifted latents are multiplied with, so that they have about unit variance.</summary>
    public double ScalingFactor { get; init; } = 0.18215;

    /// <summary>What is taken off the encoder's output before scaling; null for nothing.</summary>
    public double? ShiftFactor { get; init; }

    /// <summary>Mean of every latent channel, taken off before scaling; null where only <see cref="ShiftFactor"/> counts.</summary>
    public IReadOnlyList<double>? LatentsMean { get; init; }

    /// <summary>Standard deviation of every latent channel, divided by; goes with <see cref="LatentsMean"/>.</summary>
    public IReadOnlyList<double>? LatentsStd { get; init; }

    /// <summary>Whether the network overflows in float16.</summary>
    public bool ForceUpcast { get; init; } = true;

    /// <summary>Members that say nothing about the network, kept as they were read.</summary>
    public JsonObject Extra { get; init; } = [];

    /// <summary>How many pixels of the image one pixel of the latent stands for, in each direction.</summary>
    public int Downsampling => 1 << (BlockOutChannels.Count - 1);

    /// <summary>Reads a <c>config.json</c>; missing members take diffusers' defaults.</summary>
    /// <param name="json">The object.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">A member is of another kind, or asks for what this network has not.</exception>
    public static AutoencoderKlConfig FromJson(JsonObject json, string origin = "config.json")
    {
        ArgumentNullException.ThrowIfNull(json);
        var members = new JsonMembers(json, origin);
        if (members.Text("_class_name", "AutoencoderKL") != "AutoencoderKL")
            throw members.Wrong("_class_name", "AutoencoderKL");
        if (members.Text("act_fn", "silu") is not ("silu" or "swish"))
            throw members.Wrong("act_fn", "silu, the only activation that KL autoencoders are published with");
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

    /// <summary>The members as diffusers writes them, <see cref="Extra"/> included, in alphabetical order.</summary>
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

    /// <summary>Checks what no single member can show.</summary>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">Members do not fit each other.</exception>
    public void Validate(string origin = "config.json")
    {
        if (BlockOutChannels.Count is 0 or > 8)
            throw new InputException($"'{origin}': block_out_channels has {BlockOutChannels.Count} levels; from 1 to 8 are supported.");
        if (BlockOutChannels.FirstOrDefault(c => c % NormNumGroups != 0) is var odd and not 0)
            throw new InputException($"'{origin}': block_out_channels has {odd}, which norm_num_groups {NormNumGroups} does not divide.");
        if (ScalingFactor is 0 || !double.IsFinite(ScalingFactor))
            throw new InputException($"'{origin}': scaling_factor is {ScalingFactor}; latents cannot be scaled back.");
        if ((LatentsMean is null) != (LatentsStd is null))
            throw new InputException($"'{origin}': latents_mean and latents_std go together; only one of them is there.");
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
