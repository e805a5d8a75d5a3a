using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Denoisers.PixArt;

/// <summary>
/// Configuration of a <see cref="PixArtTransformer2D"/>; members as in diffusers' <c>config.json</c>.
/// </summary>
public sealed record PixArtConfig
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
    public int? OutChannels { get; init; } = 8;

    /// <summary>Number of transformer blocks.</summary>
    public int NumLayers { get; init; } = 28;

    /// <summary>Whether query, key and value have biases.</summary>
    public bool AttentionBias { get; init; } = true;

    /// <summary>Latent side of the position units.</summary>
    public int SampleSize { get; init; } = 128;

    /// <summary>Patch side in latent pixels.</summary>
    public int PatchSize { get; init; } = 2;

    /// <summary>Activation of the feed-forward network: <c>gelu-approximate</c> (the tanh approximation) or <c>gelu</c>.</summary>
    public string ActivationFn { get; init; } = "gelu-approximate";

    /// <summary>Whether attention is computed in float32, whatever the weights' dtype.</summary>
    public bool UpcastAttention { get; init; }

    /// <summary>ε of the blocks' normalisations.</summary>
    public double NormEps { get; init; } = 1e-6;

    /// <summary>Width of the text encoder's embeddings.</summary>
    public int CaptionChannels { get; init; } = 4096;

    /// <summary>Divisor of the positions; null for the latent side over 64, rounded down, at least 1.</summary>
    public double? InterpolationScale { get; init; }

    /// <summary>
    /// Whether the network is conditioned on image size and aspect ratio; null for true at <see cref="SampleSize"/> 128, else false.
    /// </summary>
    public bool? UseAdditionalConditions { get; init; }

    /// <summary>Token width.</summary>
    public int Width => NumAttentionHeads * AttentionHeadDim;

    /// <summary>Output channels.</summary>
    public int Outputs => OutChannels ?? InChannels;

    /// <summary>Divisor of the positions.</summary>
    public double Interpolation => InterpolationScale ?? Math.Max(SampleSize / 64, 1);

    /// <summary>Whether the network is conditioned on image size and aspect ratio.</summary>
    public bool TakesSize => UseAdditionalConditions ?? SampleSize == 128;

    /// <summary>
    /// Reads a <c>config.json</c>; missing members take diffusers' defaults, members of other networks are ignored.
    /// </summary>
    /// <param name="json">Contents of the file.</param>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">A member has the wrong type or a value that PixArt does not support.</exception>
    public static PixArtConfig FromJson(JsonObject json, string origin = "config.json")
    {
        var config = ConfigMembers.Read<PixArtConfig>(json, origin, Map);
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
        if (TakesSize && Width % 3 != 0)
            throw new InputException(
                $"'{origin}': num_attention_heads times attention_head_dim is {Width}; use_additional_conditions needs a multiple of 3."
            );
        if (!(Interpolation > 0))
            throw new InputException($"'{origin}': interpolation_scale is {Interpolation}; it must be positive.");
    }

    private static PixArtConfig Map(ConfigMembers members, PixArtConfig config)
    {
        members.Written("_class_name", "PixArtTransformer2DModel");
        members.Only("norm_type", "ada_norm_single");
        members.Only("attention_type", "default");
        members.Only("norm_elementwise_affine", false, "modulation replaces a learned scale and shift");
        members.Only("dropout", 0.0, "dropout is not supported");
        config = config with
        {
            ActivationFn = members.Text("activation_fn", config.ActivationFn, TransformerShape.Activations),
            AttentionBias = members.Boolean("attention_bias", config.AttentionBias),
            AttentionHeadDim = members.Integer("attention_head_dim", config.AttentionHeadDim),
            CaptionChannels = members.Integer("caption_channels", config.CaptionChannels, required: true),
            InChannels = members.Integer("in_channels", config.InChannels),
            InterpolationScale = members.Number("interpolation_scale", config.InterpolationScale),
            NormEps = members.Number("norm_eps", config.NormEps),
            NumAttentionHeads = members.Integer("num_attention_heads", config.NumAttentionHeads),
            NumLayers = members.Integer("num_layers", config.NumLayers),
            OutChannels = members.Integer("out_channels", config.OutChannels),
            PatchSize = members.Integer("patch_size", config.PatchSize),
            SampleSize = members.Integer("sample_size", config.SampleSize),
            UpcastAttention = members.Boolean("upcast_attention", config.UpcastAttention),
            UseAdditionalConditions = members.Boolean("use_additional_conditions", config.UseAdditionalConditions),
        };
        members.Only("cross_attention_dim", config.Width, "the token width, to which the caption is projected");
        return config;
    }
}
