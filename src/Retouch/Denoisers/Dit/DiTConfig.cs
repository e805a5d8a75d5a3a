using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Denoisers.Dit;

/// <summary>Configuration of a <see cref="DiTTransformer2D"/>; members as in diffusers' <c>config.json</c>.</summary>
public sealed record DiTConfig
{
    /// <summary>Number of attention heads.</summary>
    public int NumAttentionHeads { get; init; } = 16;

    /// <summary>Channels per head; heads times this is the token width.</summary>
    public int AttentionHeadDim { get; init; } = 72;

    /// <summary>Channels of the latents.</summary>
    public int InChannels { get; init; } = 4;

    /// <summary>
    /// Output channels: those of the latents, or twice as many with a learned variance. Null for <see cref="InChannels"/>.
    /// </summary>
    public int? OutChannels { get; init; }

    /// <summary>Number of transformer blocks.</summary>
    public int NumLayers { get; init; } = 28;

    /// <summary>Whether query, key and value have biases.</summary>
    public bool AttentionBias { get; init; } = true;

    /// <summary>Latent side of the position table.</summary>
    public int SampleSize { get; init; } = 32;

    /// <summary>Patch side in latent pixels.</summary>
    public int PatchSize { get; init; } = 2;

    /// <summary>Activation of the feed-forward network: <c>gelu-approximate</c> (the tanh approximation) or <c>gelu</c>.</summary>
    public string ActivationFn { get; init; } = "gelu-approximate";

    /// <summary>Number of classes; the label tables have one more row for "no class".</summary>
    public int NumEmbedsAdaNorm { get; init; } = 1000;

    /// <summary>Whether attention is computed in float32, whatever the weights' dtype.</summary>
    public bool UpcastAttention { get; init; }

    /// <summary>Whether the normalisation before the feed-forward network has a learned scale and shift.</summary>
    public bool NormElementwiseAffine { get; init; }

    /// <summary>ε of the normalisation before the feed-forward network.</summary>
    public double NormEps { get; init; } = 1e-5;

    /// <summary>Token width.</summary>
    public int Width => NumAttentionHeads * AttentionHeadDim;

    /// <summary>Output channels.</summary>
    public int Outputs => OutChannels ?? InChannels;

    /// <summary>
    /// Reads a <c>config.json</c>; missing members take diffusers' defaults, members of other networks are ignored.
    /// </summary>
    /// <param name="json">Contents of the file.</param>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">A member has the wrong type or a value that DiT does not support.</exception>
    public static DiTConfig FromJson(JsonObject json, string origin = "config.json")
    {
        var config = ConfigMembers.Read<DiTConfig>(json, origin, Map);
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
        ConfigMembers.Check(this, Map, origin);
        TransformerShape.CheckOutputs(origin, InChannels, Outputs);
        TransformerShape.Check(origin, SampleSize, PatchSize, Width);
    }

    private static DiTConfig Map(ConfigMembers members, DiTConfig config)
    {
        const string Foreign = "only class-conditional DiT is supported";
        members.Written("_class_name", "DiTTransformer2DModel");
        // Published DiT folders have class Transformer2DModel, which covers several networks; these members distinguish them.
        members.Only("norm_type", "ada_norm_zero", Foreign);
        foreach (var name in (string[])["cross_attention_dim", "num_vector_embeds", "caption_channels"])
            members.Only(name, null, Foreign, written: false);
        members.Only("dropout", 0.0, "dropout is not supported");
        return config with
        {
            ActivationFn = members.Text("activation_fn", config.ActivationFn, TransformerShape.Activations),
            AttentionBias = members.Boolean("attention_bias", config.AttentionBias),
            AttentionHeadDim = members.Integer("attention_head_dim", config.AttentionHeadDim),
            InChannels = members.Integer("in_channels", config.InChannels),
            NormElementwiseAffine = members.Boolean("norm_elementwise_affine", config.NormElementwiseAffine),
            NormEps = members.Number("norm_eps", config.NormEps),
            NumAttentionHeads = members.Integer("num_attention_heads", config.NumAttentionHeads),
            NumEmbedsAdaNorm = members.Integer("num_embeds_ada_norm", config.NumEmbedsAdaNorm),
            NumLayers = members.Integer("num_layers", config.NumLayers),
            OutChannels = members.Integer("out_channels", config.OutChannels),
            PatchSize = members.Integer("patch_size", config.PatchSize),
            SampleSize = members.Integer("sample_size", config.SampleSize),
            UpcastAttention = members.Boolean("upcast_attention", config.UpcastAttention),
        };
    }
}
