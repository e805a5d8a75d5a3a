using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Autoencoders;

/// <summary>
/// The shape of an <see cref="AsymmetricAutoencoderKl"/>, with the names that diffusers gives its members in <c>config.json</c>.
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

    /// <summary>Channels of the images that are encoded.</summary>
    public int InChannels { get; init; } = 3;

    /// <summary>Channels of the images that are decoded.</summary>
    public int OutChannels { get; init; } = 3;

    /// <summary>Channels of the latents.</summary>
    public int LatentChannels { get; init; } = 4;

    /// <summary>Channels of the encoder's levels, from the image's resolution downwards.</summary>
    public IReadOnlyList<int> DownBlockOutChannels { get; init; } = [64];

    /// <summary>Channels of the decoder's levels, from the image's resolution downwards.</summary>
    public IReadOnlyList<int> UpBlockOutChannels { get; init; } = [64];

    /// <summary>Residual blocks of a level of the encoder.</summary>
    public int LayersPerDownBlock { get; init; } = 1;

    /// <summary>One less than the residual blocks of a level of the decoder.</summary>
    public int LayersPerUpBlock { get; init; } = 1;

    /// <summary>Groups of every group normalisation.</summary>
    public int NormNumGroups { get; init; } = 32;

    /// <summary>What latents are multiplied with, so that they have about unit variance.</summary>
    public double ScalingFactor { get; init; } = 0.18215;

    /// <summary>Whether the network overflows in float16.</summary>
    public bool ForceUpcast { get; init; }

    /// <summary>Members that say nothing about the network, kept as they were read.</summary>
    public JsonObject Extra { get; init; } = [];

    /// <summary>The encoder's shape, as that of an autoencoder with equal halves.</summary>
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

    /// <summary>The decoder's shape, as that of an autoencoder with equal halves.</summary>
    public AutoencoderKlConfig Decoder => Encoder with { BlockOutChannels = UpBlockOutChannels, LayersPerBlock = LayersPerUpBlock };

    /// <summary>Whether the mask encoder, which is made for four levels, has a map for each level of the decoder.</summary>
    internal bool TakesMasks =>
        UpBlockOutChannels.Count == 4 && MaskConditionEncoder.Widths(Decoder).Take(4).SequenceEqual(UpBlockOutChannels);

    /// <summary>Reads a <c>config.json</c>; missing members take diffusers' defaults.</summary>
    /// <param name="json">The object.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">A member is of another kind, or asks for what this network has not.</exception>
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

    /// <summary>The members as diffusers writes them, <see cref="Extra"/> included, in alphabetical order.</summary>
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

    /// <summary>Checks what no single member can show.</summary>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">Members do not fit each other.</exception>
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

    /// <summary>One half, read by the rules of the autoencoder with equal halves.</summary>
    /// <param name="json">The object.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <param name="half"><c>down</c> or <c>up</c>.</param>
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
