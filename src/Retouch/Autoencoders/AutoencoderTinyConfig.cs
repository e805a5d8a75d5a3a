using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Autoencoders;

/// <summary>Configuration of an <see cref="AutoencoderTiny"/>; members as in diffusers' <c>config.json</c>.</summary>
public sealed record AutoencoderTinyConfig
{
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
        var config = ConfigMembers.Read<AutoencoderTinyConfig>(json, origin, Map);
        config.Validate(origin);
        return config;
    }

    /// <summary>Members as written by diffusers, <see cref="Extra"/> included, in alphabetical order.</summary>
    public JsonObject ToJson() => ConfigMembers.Write(this, Map);

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

    /// <summary>Channel count of the encoder or decoder, which must be equal at every level.</summary>
    private static int Channels(ConfigMembers members, string name, int value, int levels) =>
        members.Member(
            name,
            value,
            v => Repeat(v, levels),
            node =>
                node is null ? value
                : node is JsonArray { Count: > 0 } list
                && list.Count == levels
                && list[0] is JsonValue one
                && one.TryGetValue<int>(out var read)
                && read >= 1
                && JsonNode.DeepEquals(list, Repeat(read, levels))
                    ? read
                : throw members.Wrong(name, $"the same channel count {levels} times, once per level")
        );

    private static JsonArray Repeat(int value, int times) => new([.. Enumerable.Repeat(value, times).Select(static v => (JsonNode)v)]);

    private static AutoencoderTinyConfig Map(ConfigMembers members, AutoencoderTinyConfig config)
    {
        const string Expected = "a list of block counts from 1 to 64";
        members.Only("_class_name", "AutoencoderTiny");
        members.Only("act_fn", "relu", "the only supported activation of tiny autoencoders");
        members.Only("upsample_fn", "nearest");
        members.Only("upsampling_scaling_factor", 2);
        config = config with
        {
            ForceUpcast = members.Boolean("force_upcast", config.ForceUpcast),
            InChannels = members.Integer("in_channels", config.InChannels),
            LatentChannels = members.Integer("latent_channels", config.LatentChannels),
            LatentMagnitude = members.Number("latent_magnitude", config.LatentMagnitude),
            LatentShift = members.Number("latent_shift", config.LatentShift),
            NumDecoderBlocks = members.List("num_decoder_blocks", config.NumDecoderBlocks, Expected, static b => b is >= 1 and <= 64),
            NumEncoderBlocks = members.List("num_encoder_blocks", config.NumEncoderBlocks, Expected, static b => b is >= 1 and <= 64),
            OutChannels = members.Integer("out_channels", config.OutChannels),
            ScalingFactor = members.Number("scaling_factor", config.ScalingFactor),
            ShiftFactor = members.Number("shift_factor", config.ShiftFactor),
            UseMidblockGroupNorm = members.Boolean("use_midblock_gn", config.UseMidblockGroupNorm),
        };
        members.OmitIf(!config.UseMidblockGroupNorm, "use_midblock_gn");
        members.Written("block_out_channels", Repeat(config.DecoderChannels, config.NumDecoderBlocks.Count));
        return config with
        {
            EncoderChannels = Channels(members, "encoder_block_out_channels", config.EncoderChannels, config.NumEncoderBlocks.Count),
            DecoderChannels = Channels(members, "decoder_block_out_channels", config.DecoderChannels, config.NumDecoderBlocks.Count),
            Extra = members.Others(config.Extra),
        };
    }
}
