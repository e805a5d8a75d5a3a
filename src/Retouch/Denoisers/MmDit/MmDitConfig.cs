using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;
using Retouch.Denoisers.Sd3;

namespace Retouch.Denoisers.MmDit;

/// <summary>Configuration of an <see cref="MmDitTransformer2D"/>; members as in <c>config.json</c>.</summary>
public sealed record MmDitConfig
{
    /// <summary>Value of <c>_class_name</c>.</summary>
    public const string ClassName = "RetouchMMDiTTransformer2DModel";

    /// <summary>Number of attention heads.</summary>
    public int NumAttentionHeads { get; init; } = 24;

    /// <summary>Channels per head; heads times this is the token width.</summary>
    public int AttentionHeadDim { get; init; } = 64;

    /// <summary>Channels of input and output latents.</summary>
    public int InChannels { get; init; } = 4;

    /// <summary>Number of joint attention blocks.</summary>
    public int NumLayers { get; init; } = 28;

    /// <summary>Latent side of the position units.</summary>
    public int SampleSize { get; init; } = 32;

    /// <summary>Patch side in latent pixels.</summary>
    public int PatchSize { get; init; } = 2;

    /// <summary>Tokens per side of the stored position table; null for those of <see cref="SampleSize"/>.</summary>
    public int? PosEmbedMaxSize { get; init; }

    /// <summary>Number of classes; the embedding table has one more row for "no class".</summary>
    public int NumClasses { get; init; } = 1000;

    /// <summary>Width of a class embedding.</summary>
    public int ClassEmbeddingDim { get; init; } = 256;

    /// <summary>
    /// Whether image and class tokens share each block's weights and modulations are diagonal (at 28 blocks and width 1536: 800 million
    /// parameters), instead of separate weights and full modulation layers as in SD 3 (2.4 billion).
    /// </summary>
    public bool SharedStreams { get; init; }

    /// <summary>Per-head normalisation of queries and keys: null for none, or <c>rms_norm</c>.</summary>
    public string? QkNorm { get; init; }

    /// <summary>Token width.</summary>
    public int Width => NumAttentionHeads * AttentionHeadDim;

    /// <summary>Tokens per side of the stored position table.</summary>
    public int PositionSide => PosEmbedMaxSize ?? SampleSize / PatchSize;

    /// <summary>Reads a <c>config.json</c>; missing members take the defaults above.</summary>
    /// <param name="json">Contents of the file.</param>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">A member has the wrong type, or members are inconsistent.</exception>
    public static MmDitConfig FromJson(JsonObject json, string origin = "config.json")
    {
        var config = ConfigMembers.Read<MmDitConfig>(json, origin, Map);
        config.Validate(origin);
        return config;
    }

    /// <summary>Members of the <c>config.json</c>.</summary>
    public JsonObject ToJson() => ConfigMembers.Write(this, Map);

    /// <summary>Validates the members against each other.</summary>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">Members are inconsistent.</exception>
    public void Validate(string origin) => AsSd3().Validate(origin);

    internal JointShape Shape() => AsSd3().Shape() with { Network = "MM-DiT", SharedStreams = SharedStreams };

    /// <summary>The equivalent text-conditional configuration, except for the context's source and shared streams.</summary>
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

    private static MmDitConfig Map(ConfigMembers members, MmDitConfig config)
    {
        members.Written("_class_name", ClassName);
        return config with
        {
            AttentionHeadDim = members.Integer("attention_head_dim", config.AttentionHeadDim),
            ClassEmbeddingDim = members.Integer("class_embedding_dim", config.ClassEmbeddingDim),
            InChannels = members.Integer("in_channels", config.InChannels),
            NumAttentionHeads = members.Integer("num_attention_heads", config.NumAttentionHeads),
            NumClasses = members.Integer("num_classes", config.NumClasses),
            NumLayers = members.Integer("num_layers", config.NumLayers),
            PatchSize = members.Integer("patch_size", config.PatchSize),
            PosEmbedMaxSize = members.Integer("pos_embed_max_size", config.PosEmbedMaxSize),
            QkNorm = members.OptionalText("qk_norm", config.QkNorm, "rms_norm"),
            SampleSize = members.Integer("sample_size", config.SampleSize),
            SharedStreams = members.Boolean("shared_streams", config.SharedStreams),
        };
    }
}
