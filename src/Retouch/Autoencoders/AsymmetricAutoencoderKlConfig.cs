using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Autoencoders;

/// <summary>
/// Configuration of an <see cref="AsymmetricAutoencoderKl"/>; members as in diffusers' <c>config.json</c>.
/// </summary>
public sealed record AsymmetricAutoencoderKlConfig
{
    /// <summary>Channels of the input images.</summary>
    public int InChannels { get; init; } = 3;

    /// <summary>Channels of the decoded images.</summary>
    public int OutChannels { get; init; } = 3;

    /// <summary>Channels of the latents.</summary>
    public int LatentChannels { get; init; } = 4;

    /// <summary>Channels of the encoder levels, from the image resolution downwards.</summary>
    public IReadOnlyList<int> DownBlockOutChannels { get; init; } = [64];

    /// <summary>Channels of the decoder levels, from the image resolution downwards.</summary>
    public IReadOnlyList<int> UpBlockOutChannels { get; init; } = [64];

    /// <summary>Residual blocks per encoder level.</summary>
    public int LayersPerDownBlock { get; init; } = 1;

    /// <summary>Residual blocks per decoder level, minus one.</summary>
    public int LayersPerUpBlock { get; init; } = 1;

    /// <summary>Number of groups of every group normalisation.</summary>
    public int NormNumGroups { get; init; } = 32;

    /// <summary>Scaling factor of the latents to about unit variance.</summary>
    public double ScalingFactor { get; init; } = 0.18215;

    /// <summary>Whether the network overflows in float16.</summary>
    public bool ForceUpcast { get; init; }

    /// <summary>Members unrelated to the network, kept unchanged.</summary>
    public JsonObject Extra { get; init; } = [];

    /// <summary>Encoder configuration as that of a symmetric autoencoder.</summary>
    public AutoencoderKlConfig Encoder =>
        new()
        {
            InChannels = InChannels,
            OutChannels = OutChannels,
            LatentChannels = LatentChannels,
            BlockOutChannels = DownBlockOutChannels,
            LayersPerBlock = LayersPerDownBlock,
            NormNumGroups = NormNumGroups,
            ScalingFactor = ScalingFactor,
            ForceUpcast = ForceUpcast,
        };

    /// <summary>Decoder configuration as that of a symmetric autoencoder.</summary>
    public AutoencoderKlConfig Decoder => Encoder with { BlockOutChannels = UpBlockOutChannels, LayersPerBlock = LayersPerUpBlock };

    /// <summary>Whether the mask encoder, designed for four levels, has a feature map for each decoder level.</summary>
    internal bool TakesMasks =>
        UpBlockOutChannels.Count == 4 && MaskConditionEncoder.Widths(Decoder).Take(4).SequenceEqual(UpBlockOutChannels);

    /// <summary>Reads a <c>config.json</c>; missing members take diffusers' defaults.</summary>
    /// <param name="json">Contents of the file.</param>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">A member has the wrong type or an unsupported value.</exception>
    public static AsymmetricAutoencoderKlConfig FromJson(JsonObject json, string origin = "config.json")
    {
        var config = ConfigMembers.Read<AsymmetricAutoencoderKlConfig>(json, origin, Map);
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
        Encoder.Validate(origin);
        Decoder.Validate(origin);
        if (DownBlockOutChannels.Count != UpBlockOutChannels.Count)
            throw new InputException(
                $"'{origin}': down_block_out_channels has {DownBlockOutChannels.Count} levels, up_block_out_channels "
                    + $"{UpBlockOutChannels.Count}; they must have the same number."
            );
    }

    private static AsymmetricAutoencoderKlConfig Map(ConfigMembers members, AsymmetricAutoencoderKlConfig config)
    {
        members.Only("_class_name", "AsymmetricAutoencoderKL");
        members.Only("act_fn", "silu", "the only supported activation of KL autoencoders", also: "swish");
        config = config with
        {
            DownBlockOutChannels = members.List(
                "down_block_out_channels",
                config.DownBlockOutChannels,
                ConfigMembers.Counts,
                static c => c >= 1
            ),
            ForceUpcast = members.Boolean("force_upcast", config.ForceUpcast),
            InChannels = members.Integer("in_channels", config.InChannels),
            LatentChannels = members.Integer("latent_channels", config.LatentChannels),
            LayersPerDownBlock = members.Integer("layers_per_down_block", config.LayersPerDownBlock),
            LayersPerUpBlock = members.Integer("layers_per_up_block", config.LayersPerUpBlock),
            NormNumGroups = members.Integer("norm_num_groups", config.NormNumGroups),
            OutChannels = members.Integer("out_channels", config.OutChannels),
            ScalingFactor = members.Number("scaling_factor", config.ScalingFactor),
            UpBlockOutChannels = members.List("up_block_out_channels", config.UpBlockOutChannels, ConfigMembers.Counts, static c => c >= 1),
        };
        var (down, up) = (config.DownBlockOutChannels, config.UpBlockOutChannels);
        members.Written("block_out_channels", new JsonArray([.. up.Select(static c => (JsonNode)c)]));
        members.Repeated("down_block_types", "DownEncoderBlock2D", down.Count, "once for each of down_block_out_channels");
        members.Repeated("up_block_types", "UpDecoderBlock2D", up.Count, "once for each of up_block_out_channels");
        return config with { Extra = members.Others(config.Extra) };
    }
}
