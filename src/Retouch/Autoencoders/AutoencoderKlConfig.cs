using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Autoencoders;

/// <summary>Configuration of an <see cref="AutoencoderKl"/>; members as in diffusers' <c>config.json</c>.</summary>
public sealed record AutoencoderKlConfig
{
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
        var config = ConfigMembers.Read<AutoencoderKlConfig>(json, origin, Map);
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

    private static AutoencoderKlConfig Map(ConfigMembers members, AutoencoderKlConfig config)
    {
        members.Only("_class_name", "AutoencoderKL");
        members.Only("act_fn", "silu", "the only supported activation of KL autoencoders", also: "swish");
        config = config with
        {
            BlockOutChannels = members.List("block_out_channels", config.BlockOutChannels, ConfigMembers.Counts, static c => c >= 1),
            ForceUpcast = members.Boolean("force_upcast", config.ForceUpcast),
            InChannels = members.Integer("in_channels", config.InChannels),
            LatentChannels = members.Integer("latent_channels", config.LatentChannels),
            LatentsMean = members.List("latents_mean", config.LatentsMean, "a list of numbers", double.IsFinite),
            LatentsStd = members.List("latents_std", config.LatentsStd, "a list of positive numbers", static s => s > 0),
            LayersPerBlock = members.Integer("layers_per_block", config.LayersPerBlock),
            MidBlockAddAttention = members.Boolean("mid_block_add_attention", config.MidBlockAddAttention),
            NormNumGroups = members.Integer("norm_num_groups", config.NormNumGroups),
            OutChannels = members.Integer("out_channels", config.OutChannels),
            ScalingFactor = members.Number("scaling_factor", config.ScalingFactor),
            ShiftFactor = members.Number("shift_factor", config.ShiftFactor),
            UsePostQuantConv = members.Boolean("use_post_quant_conv", config.UsePostQuantConv),
            UseQuantConv = members.Boolean("use_quant_conv", config.UseQuantConv),
        };
        members.Repeated("down_block_types", "DownEncoderBlock2D", config.BlockOutChannels.Count, "once for each of block_out_channels");
        members.Repeated("up_block_types", "UpDecoderBlock2D", config.BlockOutChannels.Count, "once for each of block_out_channels");
        return config with { Extra = members.Others(config.Extra) };
    }
}
