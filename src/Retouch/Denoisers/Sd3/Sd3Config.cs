using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Denoisers.Sd3;

/// <summary>
/// The shape of an <see cref="Sd3Transformer2D"/>, with the names that diffusers gives its members in <c>config.json</c>.
/// </summary>
public sealed record Sd3Config
{
    /// <summary>Attention heads.</summary>
    public int NumAttentionHeads { get; init; } = 18;

    /// <summary>Channels of a head; heads times this is the width of a token.</summary>
    public int AttentionHeadDim { get; init; } = 64;

    /// <summary>Channels of the latents.</summary>
    public int InChannels { get; init; } = 16;

    /// <summary>Channels put out; those of the latents.</summary>
    public int OutChannels { get; init; } = 16;

    /// <summary>Blocks of joint attention.</summary>
    public int NumLayers { get; init; } = 18;

    /// <summary>Side of the latents that positions are counted for.</summary>
    public int SampleSize { get; init; } = 128;

    /// <summary>Side of the squares of latent pixels that become one token.</summary>
    public int PatchSize { get; init; } = 2;

    /// <summary>Width of the prompt's embeddings.</summary>
    public int JointAttentionDim { get; init; } = 4096;

    /// <summary>Width of the prompt's one vector.</summary>
    public int PooledProjectionDim { get; init; } = 2048;

    /// <summary>Tokens a side of the stored position table.</summary>
    public int PosEmbedMaxSize { get; init; } = 96;

    /// <summary>Normalisation of queries and keys within a head: none (null), or <c>rms_norm</c> (SD 3.5).</summary>
    public string? QkNorm { get; init; }

    /// <summary>Blocks with a second attention among the image tokens (SD 3.5 medium), counted from 0.</summary>
    public IReadOnlyList<int> DualAttentionLayers { get; init; } = [];

    /// <summary>Width of a token.</summary>
    public int Width => NumAttentionHeads * AttentionHeadDim;

    /// <summary>
    /// Reads the members of a <c>config.json</c>; missing ones take diffusers' defaults, those of other networks are passed over.
    /// </summary>
    /// <param name="json">The object.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">A member is of another kind, or asks for what is not supported.</exception>
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
            throw members.Wrong("caption_projection_dim", $"{config.Width}, the width of a token, which the prompt is projected to");
        config.Validate(origin);
        return config;
    }

    /// <summary>The members as diffusers writes them.</summary>
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
        // Versions of diffusers before SD 3.5 do not know the member.
        if (DualAttentionLayers.Count > 0)
            json["dual_attention_layers"] = new JsonArray([.. DualAttentionLayers.Select(static k => (JsonNode)k)]);
        return json;
    }

    /// <summary>Checks what no single member can show.</summary>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">Members do not fit each other.</exception>
    public void Validate(string origin)
    {
        if (OutChannels != InChannels)
            throw new InputException(
                $"'{origin}': out_channels is {OutChannels}; it must equal in_channels ({InChannels}): this network learns no variance."
            );
        TransformerShape.Check(origin, SampleSize, PatchSize, Width);
        if (PosEmbedMaxSize < SampleSize / PatchSize)
            throw new InputException(
                $"'{origin}': pos_embed_max_size {PosEmbedMaxSize} is less than the {SampleSize / PatchSize} tokens a side of "
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
