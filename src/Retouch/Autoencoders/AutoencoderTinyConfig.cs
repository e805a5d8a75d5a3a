using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Autoencoders;

/// <summary>Configuration of an <see cref="AutoencoderTiny"/>; members as in diffusers' <c>config.json</c>.</summary>
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

    /// <summary>Channels of the input images.</summary>
    public int InChannels { get; init; } = 3;

    /// <summary>Channels of the decoded images.</summary>
    public int OutChannels { get; init; } = 3;

    /// <summary>Channels of the latents.</summary>
    public int LatentChannels { get; init; } = 4;

    /// <summary>Channels of every encoder level.</summary>
    public int EncoderChannels { get; init; } = 64;

    /// <summary>Channels of every decoder level.</summary>
    public int DecoderChannels { get; init; } = 64;

    /// <summary>Residual blocks of each encoder level, from the image resolution downwards.</summary>
    public IReadOnlyList<int> NumEncoderBlocks { get; init; } = [1, 3, 3, 3];

    /// <summary>Residual blocks of each decoder level, from the latent resolution upwards.</summary>
    public IReadOnlyList<int> NumDecoderBlocks { get; init; } = [3, 3, 3, 1];

    /// <summary>Magnitude of the latents that maps to the ends of the byte storage range.</summary>
    public double LatentMagnitude { get; init; } = 3;

    /// <summary>Position of zero in the byte storage range [0, 1].</summary>
    public double LatentShift { get; init; } = 0.5;

    /// <summary>
    /// Scaling factor of the latents for the denoiser; 1 in published models, whose latents already have unit variance.
    /// </summary>
    public double ScalingFactor { get; init; } = 1;

    /// <summary>Shift subtracted from the encoder output before scaling.</summary>
    public double ShiftFactor { get; init; }

    /// <summary>Whether the network overflows in float16.</summary>
    public bool ForceUpcast { get; init; }

    /// <summary>
    /// Whether blocks of the lowest resolution begin with group normalisation, as in the network for FLUX.2 latents (taef2). diffusers
    /// has no such blocks; the member is written to <c>config.json</c> only if true.
    /// </summary>
    public bool UseMidblockGroupNorm { get; init; }

    /// <summary>Members unrelated to the network, kept unchanged.</summary>
    public JsonObject Extra { get; init; } = [];

    /// <summary>Image pixels per latent pixel along each axis.</summary>
    public int Downsampling => 1 << (NumEncoderBlocks.Count - 1);

    /// <summary>Reads a <c>config.json</c>; missing members take diffusers' defaults.</summary>
    /// <param name="json">Contents of the file.</param>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">A member has the wrong type or an unsupported value.</exception>
    public static AutoencoderTinyConfig FromJson(JsonObject json, string origin = "config.json")
    {
        ArgumentNullException.ThrowIfNull(json);
        var members = new JsonMembers(json, origin);
        if (members.Text("_class_name", "AutoencoderTiny") != "AutoencoderTiny")
            throw members.Wrong("_class_name", "AutoencoderTiny");
        if (members.Text("act_fn", "relu") != "relu")
            throw members.Wrong("act_fn", "relu, the only supported activation of tiny autoencoders");
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

    /// <summary>Members as written by diffusers, <see cref="Extra"/> included, in alphabetical order.</summary>
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

    /// <summary>Validates the members against each other.</summary>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">Members are inconsistent.</exception>
    public void Validate(string origin = "config.json")
    {
        if (NumEncoderBlocks.Count is 0 or > 8 || NumEncoderBlocks.Count != NumDecoderBlocks.Count)
            throw new InputException(
                $"'{origin}': num_encoder_blocks has {NumEncoderBlocks.Count} levels and num_decoder_blocks "
                    + $"{NumDecoderBlocks.Count}; they must have the same number, from 1 to 8."
            );
        if (ScalingFactor is 0 || !double.IsFinite(ScalingFactor) || !double.IsFinite(ShiftFactor))
            throw new InputException(
                $"'{origin}': scaling_factor {ScalingFactor} and shift_factor {ShiftFactor} must be finite, and scaling_factor not 0."
            );
        if (LatentMagnitude is not > 0)
            throw new InputException($"'{origin}': latent_magnitude is {LatentMagnitude}, expected a number above 0.");
    }

    private static List<int>? Blocks(JsonMembers members, JsonObject json, string name)
    {
        const int Most = 64;
        const string Expected = "a list of block counts from 1 to 64";
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

    /// <summary>Channel count of the encoder or decoder, which must be equal at every level.</summary>
    private static int Channels(JsonMembers members, JsonObject json, string name, int levels)
    {
        var expected = $"the same channel count {levels} times, once per level";
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
