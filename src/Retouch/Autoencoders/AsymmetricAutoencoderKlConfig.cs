using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Autoencoders;

/// <summary>
/// Configuration of an <see cref="AsymmetricAutoencoderKl"/>; members as in diffusers' <c>config.json</c>.
/// </summary>
public sealed record AsymmetricAutoencoderKlConfig
{
    private static readonly string[] Known =
    [
        "_class_name",
        "act_fn",
        "block_out_channels",
        "down_block_out_channels",
        "down_block_types",
        "force_upcast",
        "in_channels",
        "latent_channels",
        "layers_per_down_block",
        "layers_per_up_block",
        "norm_num_groups",
        "out_channels",
        "scaling_factor",
        "up_block_out_channels",
        "up_block_types",
    ];

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
        ArgumentNullException.ThrowIfNull(json);
        var members = new JsonMembers(json, origin);
        if (members.Text("_class_name", "AsymmetricAutoencoderKL") != "AsymmetricAutoencoderKL")
            throw members.Wrong("_class_name", "AsymmetricAutoencoderKL");
        var (encoder, decoder) = (Half(json, origin, "down"), Half(json, origin, "up"));
        var config = new AsymmetricAutoencoderKlConfig
        {
            InChannels = encoder.InChannels,
            OutChannels = encoder.OutChannels,
            LatentChannels = encoder.LatentChannels,
            DownBlockOutChannels = encoder.BlockOutChannels,
            UpBlockOutChannels = decoder.BlockOutChannels,
            LayersPerDownBlock = encoder.LayersPerBlock,
            LayersPerUpBlock = decoder.LayersPerBlock,
            NormNumGroups = encoder.NormNumGroups,
            ScalingFactor = encoder.ScalingFactor,
            ForceUpcast = members.Boolean("force_upcast", false),
            Extra = new JsonObject(
                json.Where(static pair => !Known.Contains(pair.Key))
                    .Select(static pair => KeyValuePair.Create(pair.Key, pair.Value?.DeepClone()))
            ),
        };
        config.Validate(origin);
        return config;
    }

    /// <summary>Members as written by diffusers, <see cref="Extra"/> included, in alphabetical order.</summary>
    public JsonObject ToJson()
    {
        var json = new JsonObject
        {
            ["_class_name"] = "AsymmetricAutoencoderKL",
            ["act_fn"] = "silu",
            ["block_out_channels"] = Array(UpBlockOutChannels),
            ["down_block_out_channels"] = Array(DownBlockOutChannels),
            ["down_block_types"] = Array(Enumerable.Repeat("DownEncoderBlock2D", DownBlockOutChannels.Count)),
            ["force_upcast"] = ForceUpcast,
            ["in_channels"] = InChannels,
            ["latent_channels"] = LatentChannels,
            ["layers_per_down_block"] = LayersPerDownBlock,
            ["layers_per_up_block"] = LayersPerUpBlock,
            ["norm_num_groups"] = NormNumGroups,
            ["out_channels"] = OutChannels,
            ["scaling_factor"] = ScalingFactor,
            ["up_block_out_channels"] = Array(UpBlockOutChannels),
            ["up_block_types"] = Array(Enumerable.Repeat("UpDecoderBlock2D", UpBlockOutChannels.Count)),
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
        Encoder.Validate(origin);
        Decoder.Validate(origin);
        if (DownBlockOutChannels.Count != UpBlockOutChannels.Count)
            throw new InputException(
                $"'{origin}': down_block_out_channels has {DownBlockOutChannels.Count} levels, up_block_out_channels "
                    + $"{UpBlockOutChannels.Count}; they must have the same number."
            );
    }

    /// <summary>Configuration of the encoder or decoder, read as that of a symmetric autoencoder.</summary>
    /// <param name="json">Contents of the file.</param>
    /// <param name="origin">File name for error messages.</param>
    /// <param name="half"><c>down</c> for the encoder, <c>up</c> for the decoder.</param>
    private static AutoencoderKlConfig Half(JsonObject json, string origin, string half)
    {
        string[] shared =
        [
            "act_fn",
            "in_channels",
            "out_channels",
            "latent_channels",
            "norm_num_groups",
            "scaling_factor",
            $"{half}_block_types",
        ];
        var part = new JsonObject(shared.Where(json.ContainsKey).Select(name => KeyValuePair.Create(name, json[name]?.DeepClone())))
        {
            ["block_out_channels"] = json[$"{half}_block_out_channels"]?.DeepClone(),
            ["layers_per_block"] = json[$"layers_per_{half}_block"]?.DeepClone(),
        };
        return AutoencoderKlConfig.FromJson(part, origin);
    }

    private static JsonArray Array<T>(IEnumerable<T> values) => new([.. values.Select(static v => (JsonNode?)JsonValue.Create(v))]);
}
