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
        var config = ConfigMembers.Read<Sd3Config>(json, origin, Map);
        config.Validate(origin);
        return config;
    }

    /// <summary>Members as written by diffusers.</summary>
    public JsonObject ToJson() => ConfigMembers.Write(this, Map);

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
        if (DualAttentionLayers.Any(k => k < 0 || k >= NumLayers))
            throw new InputException(
                $"'{origin}': dual_attention_layers [{string.Join(", ", DualAttentionLayers)}] must lie between 0 and "
                    + $"{NumLayers - 1} (num_layers {NumLayers})."
            );
        ConfigMembers.Check(this, Map, origin);
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

    private static Sd3Config Map(ConfigMembers members, Sd3Config config)
    {
        members.Written("_class_name", "SD3Transformer2DModel");
        config = config with
        {
            AttentionHeadDim = members.Integer("attention_head_dim", config.AttentionHeadDim),
            DualAttentionLayers = members.List("dual_attention_layers", config.DualAttentionLayers, "a list of whole numbers"),
            InChannels = members.Integer("in_channels", config.InChannels),
            JointAttentionDim = members.Integer("joint_attention_dim", config.JointAttentionDim),
            NumAttentionHeads = members.Integer("num_attention_heads", config.NumAttentionHeads),
            NumLayers = members.Integer("num_layers", config.NumLayers),
            PatchSize = members.Integer("patch_size", config.PatchSize),
            PooledProjectionDim = members.Integer("pooled_projection_dim", config.PooledProjectionDim),
            PosEmbedMaxSize = members.Integer("pos_embed_max_size", config.PosEmbedMaxSize),
            QkNorm = members.OptionalText("qk_norm", config.QkNorm, "rms_norm"),
            SampleSize = members.Integer("sample_size", config.SampleSize),
        };
        // A missing or null number of output channels is that of the latents.
        config = config with
        {
            OutChannels = members.Integer("out_channels", members.IsWriting ? config.OutChannels : config.InChannels),
        };
        members.Only("caption_projection_dim", config.Width, "the token width, to which the prompt is projected");
        // diffusers versions before SD 3.5 do not know this member.
        members.OmitIf(config.DualAttentionLayers.Count == 0, "dual_attention_layers");
        return config;
    }
}
