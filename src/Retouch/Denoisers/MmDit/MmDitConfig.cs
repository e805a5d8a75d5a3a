using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;
using Retouch.Denoisers.Sd3;

namespace Retouch.Denoisers.MmDit;

/// <summary>The shape of an <see cref="MmDitTransformer2D"/>, with the names of its members in <c>config.json</c>.</summary>
public sealed record MmDitConfig
{
    /// <summary>The value of <c>_class_name</c>.</summary>
    public const string ClassName = "RetouchMMDiTTransformer2DModel";

    /// <summary>Attention heads.</summary>
    public int NumAttentionHeads { get; init; } = 24;

    /// <summary>Channels of a head; heads times this is the width of a token.</summary>
    public int AttentionHeadDim { get; init; } = 64;

    /// <summary>Channels of the latents, in and out.</summary>
    public int InChannels { get; init; } = 4;

    /// <summary>Blocks of joint attention.</summary>
    public int NumLayers { get; init; } = 28;

    /// <summary>Side of the latents that positions are counted for.</summary>
    public int SampleSize { get; init; } = 32;

    /// <summary>Side of the squares of latent pixels that become one token.</summary>
    public int PatchSize { get; init; } = 2;

    /// <summary>Tokens a side of the stored position table; null stands for those of <see cref="SampleSize"/>.</summary>
    public int? PosEmbedMaxSize { get; init; }

    /// <summary>Classes; one more row in the table stands for "no class".</summary>
    public int NumClasses { get; init; } = 1000;

    /// <summary>Width of a class's embedding.</summary>
    public int ClassEmbeddingDim { get; init; } = 256;

    /// <summary>
    /// Whether image and class tokens share each block's weights, and modulations scale the embedding channel by channel (28 blocks of
    /// width 1536 have 800 million parameters then); or have weights and modulation layers of their own, as in SD 3 (2.4 thousand million).
    /// </summary>
    public bool SharedStreams { get; init; }

    /// <summary>Normalisation of queries and keys within a head: none (null), or <c>rms_norm</c>.</summary>
    public string? QkNorm { get; init; }

    /// <summary>Width of a token.</summary>
    public int Width => NumAttentionHeads * AttentionHeadDim;

    /// <summary>Tokens a side of the stored position table.</summary>
    public int PositionSide => PosEmbedMaxSize ?? SampleSize / PatchSize;

    /// <summary>Reads the members of a <c>config.json</c>; missing ones take the defaults above.</summary>
    /// <param name="json">The object.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">A member is of another kind, or members do not fit each other.</exception>
    public static MmDitConfig FromJson(JsonObject json, string origin = "config.json")
    {
        var members = new JsonMembers(json, origin);
        var config = new MmDitConfig
        {
            NumAttentionHeads = members.Integer("num_attention_heads", 24),
            AttentionHeadDim = members.Integer("attention_head_dim", 64),
            InChannels = members.Integer("in_channels", 4),
            NumLayers = members.Integer("num_layers", 28),
            SampleSize = members.Integer("sample_size", 32),
            PatchSize = members.Integer("patch_size", 2),
            PosEmbedMaxSize = members.OptionalInteger("pos_embed_max_size"),
            NumClasses = members.Integer("num_classes", 1000),
            ClassEmbeddingDim = members.Integer("class_embedding_dim", 256),
            SharedStreams = members.Boolean("shared_streams", false),
            QkNorm = json["qk_norm"] is null ? null : members.Text("qk_norm"),
        };
        config.Validate(origin);
        return config;
    }

    /// <summary>The members as they are written.</summary>
    public JsonObject ToJson() =>
        new()
        {
            ["_class_name"] = ClassName,
            ["attention_head_dim"] = AttentionHeadDim,
            ["class_embedding_dim"] = ClassEmbeddingDim,
            ["in_channels"] = InChannels,
            ["num_attention_heads"] = NumAttentionHeads,
            ["num_classes"] = NumClasses,
            ["num_layers"] = NumLayers,
            ["patch_size"] = PatchSize,
            ["pos_embed_max_size"] = PosEmbedMaxSize,
            ["qk_norm"] = QkNorm,
            ["sample_size"] = SampleSize,
            ["shared_streams"] = SharedStreams,
        };

    /// <summary>Checks what no single member can show.</summary>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">Members do not fit each other.</exception>
    public void Validate(string origin) => AsSd3().Validate(origin);

    internal JointShape Shape() => AsSd3().Shape() with { Network = "MM-DiT", SharedStreams = SharedStreams };

    /// <summary>The text-conditional network that this one is, but for where its context comes from and for shared streams.</summary>
    internal Sd3Config AsSd3() =>
        new()
        {
            NumAttentionHeads = NumAttentionHeads,
            AttentionHeadDim = AttentionHeadDim,
            InChannels = InChannels,
            OutChannels = InChannels,
            NumLayers = NumLayers,
            SampleSize = SampleSize,
            PatchSize = PatchSize,
            PosEmbedMaxSize = PositionSide,
            JointAttentionDim = ClassEmbeddingDim,
            PooledProjectionDim = ClassEmbeddingDim,
            QkNorm = QkNorm,
        };
}
