using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Autoencoders;

/// <summary>The shape of an <see cref="AutoencoderTiny"/>, with the names that diffusers gives its members in <c>config.json</c>.</summary>
public sealed record AutoencoderTinyConfig
{
    private static readonly string[] Known =
    [
        "_class_name",
        "act_fn",
        "block_out_channels",
        "decoder_block_out_channels",
        "encoder_block_out_channels",
        "force_upcast",
        "in_channels",
        "latent_channels",
        "latent_magnitude",
        "latent_shift",
        "num_decoder_blocks",
        "num_encoder_blocks",
        "out_channels",
        "scaling_factor",
        "shift_factor",
        "upsample_fn",
        "upsampling_scaling_factor",
        "use_midblock_gn",
    ];

    /// <summary>Channels of the images that are encoded.</summary>
    public int InChannels { get; init; } = 3;

    /// <summary>Channels of the images that are decoded.</summary>
    public int OutChannels { get; init; } = 3;

    /// <summary>Channels of the latents.</summary>
    public int LatentChannels { get; init; } = 4;

    /// <summary>Channels of the encoder, the same at every level.</summary>
    public int EncoderChannels { get; init; } = 64;

    /// <summary>Channels of the decoder, the same at every level.</summary>
    public int DecoderChannels { get; init; } = 64;

    /// <summary>Residual blocks of each level of the encoder, from the image's resolution downwards.</summary>
    public IReadOnlyList<int> NumEncoderBlocks { get; init; } = [1, 3, 3, 3];

    /// <summary>Residual blocks of each level of the decoder, from the latent's resolution upwards.</summary>
    public IReadOnlyList<int> NumDecoderBlocks { get; init; } = [3, 3, 3, 1];

    /// <summary>Latents up to this magnitude fit into the range that they are stored as bytes in.</summary>
    public double LatentMagnitude { get; init; } = 3;

    /// <summary>Where zero lies in that range.</summary>
    public double LatentShift { get; init; } = 0.5;

    /// <summary>
    /// What latents are multiplied with for the denoiser; 1 in the published ones, whose latents have unit variance already.
    /// </summary>
    public double ScalingFactor { get; init; } = 1;

    /// <summary>What is taken off the encoder's output before scaling.</summary>
    public double ShiftFactor { get; init; }

    /// <summary>Whether the network overflows in float16.</summary>
    public bool ForceUpcast { get; init; }

    /// <summary>
    /// Whether the blocks of the lowest resolution normalise first, as the network for FLUX.2's latents (taef2) does. diffusers has no such
    /// blocks; the member stands in <c>config.json</c> only where it is true.
    /// </summary>
    public bool UseMidblockGroupNorm { get; init; }

    /// <summary>Members that say nothing about the network, kept as they were read.</summary>
    public JsonObject Extra { get; init; } = [];

    /// <summary>How many pixels of the image one pixel of the latent stands for, in each direction.</summary>
    public int Downsampling => 1 << (NumEncoderBlocks.Count - 1);

    /// <summary>Reads a <c>config.json</c>; missing members take diffusers' defaults.</summary>
    /// <param name="json">The object.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">A member is of another kind, or asks for what this network has not.</exception>
    public static AutoencoderTinyConfig FromJson(JsonObject json, string origin = "config.json")
    {
        ArgumentNullException.ThrowIfNull(json);
        var members = new JsonMembers(json, origin);
        if (members.Text("_class_name", "AutoencoderTiny") != "AutoencoderTiny")
            throw members.Wrong("_class_name", "AutoencoderTiny");
        if (members.Text("act_fn", "relu") != "relu")
            throw members.Wrong("act_fn", "relu, the only activation that tiny autoencoders are published with");
        if (members.Text("upsample_fn", "nearest") != "nearest")
            throw members.Wrong("upsample_fn", "nearest");
        if (members.Integer("upsampling_scaling_factor", 2) != 2)
            throw members.Wrong("upsampling_scaling_factor", "2");
        var config = new AutoencoderTinyConfig
        {
            InChannels = members.Integer("in_channels", 3),
            OutChannels = members.Integer("out_channels", 3),
            LatentChannels = members.Integer("latent_channels", 4),
            NumEncoderBlocks = Blocks(members, json, "num_encoder_blocks") ?? [1, 3, 3, 3],
            NumDecoderBlocks = Blocks(members, json, "num_decoder_blocks") ?? [3, 3, 3, 1],
            LatentMagnitude = members.Number("latent_magnitude", 3),
            LatentShift = members.Number("latent_shift", 0.5),
            ScalingFactor = members.Number("scaling_factor", 1),
            ShiftFactor = members.Number("shift_factor", 0),
            ForceUpcast = members.Boolean("force_upcast", false),
            UseMidblockGroupNorm = members.Boolean("use_midblock_gn", false),
            Extra = new JsonObject(
                json.Where(static pair => !Known.Contains(pair.Key))
                    .Select(static pair => KeyValuePair.Create(pair.Key, pair.Value?.DeepClone()))
            ),
        };
        config = config with
        {
            EncoderChannels = Channels(members, json, "encoder_block_out_channels", config.NumEncoderBlocks.Count),
            DecoderChannels = Channels(members, json, "decoder_block_out_channels", config.NumDecoderBlocks.Count),
        };
        config.Validate(origin);
        return config;
    }

    /// <summary>The members as diffusers writes them, <see cref="Extra"/> included, in alphabetical order.</summary>
    public JsonObject ToJson()
    {
        var json = new JsonObject
        {
            ["_class_name"] = "AutoencoderTiny",
            ["act_fn"] = "relu",
            ["block_out_channels"] = Array(Enumerable.Repeat(DecoderChannels, NumDecoderBlocks.Count)),
            ["decoder_block_out_channels"] = Array(Enumerable.Repeat(DecoderChannels, NumDecoderBlocks.Count)),
            ["encoder_block_out_channels"] = Array(Enumerable.Repeat(EncoderChannels, NumEncoderBlocks.Count)),
            ["force_upcast"] = ForceUpcast,
            ["in_channels"] = InChannels,
            ["latent_channels"] = LatentChannels,
            ["latent_magnitude"] = LatentMagnitude,
            ["latent_shift"] = LatentShift,
            ["num_decoder_blocks"] = Array(NumDecoderBlocks),
            ["num_encoder_blocks"] = Array(NumEncoderBlocks),
            ["out_channels"] = OutChannels,
            ["scaling_factor"] = ScalingFactor,
            ["shift_factor"] = ShiftFactor,
            ["upsample_fn"] = "nearest",
            ["upsampling_scaling_factor"] = 2,
        };
        if (UseMidblockGroupNorm)
            json["use_midblock_gn"] = true;
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
        if (NumEncoderBlocks.Count is 0 or > 8 || NumEncoderBlocks.Count != NumDecoderBlocks.Count)
            throw new InputException(
                $"'{origin}': num_encoder_blocks has {NumEncoderBlocks.Count} levels and num_decoder_blocks "
                    + $"{NumDecoderBlocks.Count}; they must have the same number, from 1 to 8."
            );
        if (ScalingFactor is 0 || !double.IsFinite(ScalingFactor) || !double.IsFinite(ShiftFactor))
            throw new InputException(
                $"'{origin}': with scaling_factor {ScalingFactor} and shift_factor {ShiftFactor} latents cannot be scaled back."
            );
        if (LatentMagnitude is not > 0)
            throw new InputException($"'{origin}': latent_magnitude is {LatentMagnitude}, expected a number above 0.");
    }

    private static List<int>? Blocks(JsonMembers members, JsonObject json, string name)
    {
        const int Most = 64;
        const string Expected = "a list of numbers of blocks from 1 to 64";
        if (json[name] is null)
            return null;
        if (json[name] is not JsonArray array)
            throw members.Wrong(name, Expected);
        return
        [
            .. array.Select(node =>
                node is JsonValue value && value.TryGetValue<int>(out var read) && read is >= 1 and <= Most
                    ? read
                    : throw members.Wrong(name, Expected)
            ),
        ];
    }

    /// <summary>The one number of channels that a half has: its convolutions between levels keep it.</summary>
    private static int Channels(JsonMembers members, JsonObject json, string name, int levels)
    {
        var expected = $"the same number of channels {levels} times, once for each level";
        if (json[name] is null)
            return 64;
        if (
            json[name] is not JsonArray { Count: > 0 } array
            || array.Count != levels
            || array[0] is not JsonValue first
            || !first.TryGetValue<int>(out var channels)
            || channels < 1
            || array.Any(node => node is not JsonValue value || !value.TryGetValue<int>(out var other) || other != channels)
        )
        {
            throw members.Wrong(name, expected);
        }

        return channels;
    }

    private static JsonArray Array(IEnumerable<int> values) => new([.. values.Select(static v => (JsonNode?)JsonValue.Create(v))]);
}
