using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Denoisers.Sd3;

/// <summary>
/// Configuration of an <see cref="Sd3Transformer2D"/>; members as in diffusers' <c>config.json</c>.
/// </summary>
public sealed record Sd3Config
{
    /// <summary>Number of attention heads.</summary>
    public int NumAttentionHeads { get; init; } = 18;

    /// <summary>Channels per head; heads times this is the token width.</summary>
    public int AttentionHeadDim { get; init; } = 64;

    /// <summary>Channels of the latents.</summary>
    public int InChannels { get; init; } = 16;

    /// <summary>Output channels; equal to <see cref="InChannels"/>.</summary>
    public int OutChannels { get; init; } = 16;

    /// <summary>Number of joint attention blocks.</summary>
    public int NumLayers { get; init; } = 18;

    /// <summary>Latent side of the position units.</summary>
    public int SampleSize { get; init; } = 128;

    /// <summary>Patch side in latent pixels.</summary>
    public int PatchSize { get; init; } = 2;

    /// <summary>Width of the prompt embeddings.</summary>
    public int JointAttentionDim { get; init; } = 4096;

    /// <summary>Width of the pooled prompt vector.</summary>
    public int PooledProjectionDim { get; init; } = 2048;

    /// <summary>Tokens per side of the stored position table.</summary>
    public int PosEmbedMaxSize { get; init; } = 96;

    /// <summary>Per-head normalisation of queries and keys: null for none, or <c>rms_norm</c> (SD 3.5).</summary>
    public string? QkNorm { get; init; }

    /// <summary>0-based indices of blocks with a second, image-only attention (SD 3.5 medium).</summary>
    public IReadOnlyList<int> DualAttentionLayers { get; init; } = [];

    /// <summary>Token width.</summary>
    public int Width => NumAttentionHeads * AttentionHeadDim;

    /// <summary>
    /// Reads a <c>config.json</c>; missing members take diffusers' defaults, members of other networks are ignored.
    /// </summary>
    /// <param name="json">Contents of the file.</param>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">A member has the wrong type or an unsupported value.</exception>
    public static Sd3Config FromJson(JsonObject json, string origin = "config.json")
    {
        var members = new JsonMembers(json, origin);
        var config = new Sd3Config
        {
            NumAttentionHeads = members.Integer("num_attention_heads", 18),
            AttentionHeadDim = members.Integer("attention_head_dim", 64),
            InChannels = members.Integer("in_channels", 16),
            OutChannels = members.OptionalInteger("out_channels") ?? members.Integer("in_channels", 16),
            NumLayers = members.Integer("num_layers", 18),
            SampleSize = members.Integer("sample_size", 128),
            PatchSize = members.Integer("patch_size", 2),
            JointAttentionDim = members.Integer("joint_attention_dim", 4096),
            PooledProjectionDim = members.Integer("pooled_projection_dim", 2048),
            PosEmbedMaxSize = members.Integer("pos_embed_max_size", 96),
            QkNorm = json["qk_norm"] is null ? null : members.Text("qk_norm"),
            DualAttentionLayers = Layers(json, members),
        };
        if (members.Integer("caption_projection_dim", config.Width) != config.Width)
            throw members.Wrong("caption_projection_dim", $"{config.Width}, the token width, to which the prompt is projected");
        config.Validate(origin);
        return config;
    }

    /// <summary>Members as written by diffusers.</summary>
    public JsonObject ToJson()
    {
        var json = new JsonObject
        {
            ["_class_name"] = "SD3Transformer2DModel",
            ["attention_head_dim"] = AttentionHeadDim,
            ["caption_projection_dim"] = Width,
            ["in_channels"] = InChannels,
            ["joint_attention_dim"] = JointAttentionDim,
            ["num_attention_heads"] = NumAttentionHeads,
            ["num_layers"] = NumLayers,
            ["out_channels"] = OutChannels,
            ["patch_size"] = PatchSize,
            ["pooled_projection_dim"] = PooledProjectionDim,
            ["pos_embed_max_size"] = PosEmbedMaxSize,
            ["qk_norm"] = QkNorm,
            ["sample_size"] = SampleSize,
        };
        // diffusers versions before SD 3.5 do not know this member.
        if (DualAttentionLayers.Count > 0)
            json["dual_attention_layers"] = new JsonArray([.. DualAttentionLayers.Select(static k => (JsonNode)k)]);
        return json;
    }

    /// <summary>Validates the members against each other.</summary>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">Members are inconsistent.</exception>
    public void Validate(string origin)
    {
        if (OutChannels != InChannels)
            throw new InputException(
                $"'{origin}': out_channels is {OutChannels}; it must equal in_channels ({InChannels}), as SD3 has no learned variance."
            );
        TransformerShape.Check(origin, SampleSize, PatchSize, Width);
        if (PosEmbedMaxSize < SampleSize / PatchSize)
            throw new InputException(
                $"'{origin}': pos_embed_max_size {PosEmbedMaxSize} is less than the {SampleSize / PatchSize} tokens per side of "
                    + $"sample_size {SampleSize}."
            );
        if (QkNorm is not (null or "rms_norm"))
            throw new InputException($"'{origin}': qk_norm is '{QkNorm}'; null and rms_norm are supported.");
        if (DualAttentionLayers.Any(k => k < 0 || k >= NumLayers))
            throw new InputException(
                $"'{origin}': dual_attention_layers [{string.Join(", ", DualAttentionLayers)}] must lie between 0 and "
                    + $"{NumLayers - 1} (num_layers {NumLayers})."
            );
    }

    internal JointShape Shape() =>
        new()
        {
            Network = "SD3",
            Heads = NumAttentionHeads,
            HeadDim = AttentionHeadDim,
            Layers = NumLayers,
            Channels = InChannels,
            OutChannels = OutChannels,
            Patch = PatchSize,
            SampleSize = SampleSize,
            PositionSide = PosEmbedMaxSize,
            ContextWidth = JointAttentionDim,
            PooledWidth = PooledProjectionDim,
            NormaliseHeads = QkNorm is not null,
            DualLayers = DualAttentionLayers,
        };

    private static int[] Layers(JsonObject json, JsonMembers members)
    {
        const string Name = "dual_attention_layers";
        if (json[Name] is null)
            return [];
        if (json[Name] is not JsonArray array || !array.All(static n => n is JsonValue v && v.TryGetValue<int>(out _)))
            throw members.Wrong(Name, "a list of whole numbers");
        return [.. array.Select(static n => (int)n!)];
    }
}
