using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Denoisers.PixArt;

/// <summary>
/// The shape of a <see cref="PixArtTransformer2D"/>, with the names that diffusers gives its members in <c>config.json</c>.
/// </summary>
public sealed record PixArtConfig
{
    /// <summary>Attention heads.</summary>
    public int NumAttentionHeads { get; init; } = 16;

    /// <summary>Channels of a head; heads times this is the width of a token.</summary>
    public int AttentionHeadDim { get; init; } = 72;

    /// <summary>Channels of the latents.</summary>
    public int InChannels { get; init; } = 4;

    /// <summary>
    /// Channels put out: those of the latents, or twice as many where a variance is learned. Null stands for <see cref="InChannels"/>.
    /// </summary>
    public int? OutChannels { get; init; } = 8;

    /// <summary>Transformer blocks.</summary>
    public int NumLayers { get; init; } = 28;

    /// <summary>Whether query, key and value have biases.</summary>
    public bool AttentionBias { get; init; } = true;

    /// <summary>Side of the latents that positions are counted for.</summary>
    public int SampleSize { get; init; } = 128;

    /// <summary>Side of the squares of latent pixels that become one token.</summary>
    public int PatchSize { get; init; } = 2;

    /// <summary>The feed-forward network's nonlinearity: <c>gelu-approximate</c> (the tanh form) or <c>gelu</c>.</summary>
    public string ActivationFn { get; init; } = "gelu-approximate";

    /// <summary>Whether attention computes in float32 whatever the weights' type.</summary>
    public bool UpcastAttention { get; init; }

    /// <summary>Added to the variance in the blocks' normalisations.</summary>
    public double NormEps { get; init; } = 1e-6;

    /// <summary>Width of the text encoder's embeddings.</summary>
    public int CaptionChannels { get; init; } = 4096;

    /// <summary>Divides positions; null stands for the latents' side over 64, rounded down, and 1 at least.</summary>
    public double? InterpolationScale { get; init; }

    /// <summary>
    /// Whether the network is told the picture's size and aspect ratio; null stands for yes where <see cref="SampleSize"/> is 128.
    /// </summary>
    public bool? UseAdditionalConditions { get; init; }

    /// <summary>Width of a token.</summary>
    public int Width => NumAttentionHeads * AttentionHeadDim;

    /// <summary>Channels put out.</summary>
    public int Outputs => OutChannels ?? InChannels;

    /// <summary>What positions are divided by.</summary>
    public double Interpolation => InterpolationScale ?? Math.Max(SampleSize / 64, 1);

    /// <summary>Whether the network is told the picture's size and aspect ratio.</summary>
    public bool TakesSize => UseAdditionalConditions ?? SampleSize == 128;

    /// <summary>
    /// Reads the members of a <c>config.json</c>; missing ones take diffusers' defaults, those of other networks are passed over.
    /// </summary>
    /// <param name="json">The object.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">A member is of another kind, or asks for what PixArt has not.</exception>
    public static PixArtConfig FromJson(JsonObject json, string origin = "config.json")
    {
        var members = new JsonMembers(json, origin);
        if (members.Text("norm_type", "ada_norm_single") != "ada_norm_single")
            throw members.Wrong("norm_type", "ada_norm_single: that of PixArt");
        if (members.Text("attention_type", "default") != "default")
            throw members.Wrong("attention_type", "default");
        if (members.Boolean("norm_elementwise_affine", false))
            throw members.Wrong("norm_elementwise_affine", "false: modulation takes the place of a learned scale and shift");
        if (members.Number("dropout", 0) != 0)
            throw members.Wrong("dropout", "0: no published PixArt drops activations, and this one does not either");
        var config = new PixArtConfig
        {
            NumAttentionHeads = members.Integer("num_attention_heads", 16),
            AttentionHeadDim = members.Integer("attention_head_dim", 72),
            InChannels = members.Integer("in_channels", 4),
            // Null and missing differ: diffusers' class has a default of its own.
            OutChannels = json.ContainsKey("out_channels") ? members.OptionalInteger("out_channels") : 8,
            NumLayers = members.Integer("num_layers", 28),
            AttentionBias = members.Boolean("attention_bias", true),
            SampleSize = members.Integer("sample_size", 128),
            PatchSize = members.Integer("patch_size", 2),
            ActivationFn = members.Text("activation_fn", "gelu-approximate"),
            UpcastAttention = members.Boolean("upcast_attention", false),
            NormEps = members.Number("norm_eps", 1e-6),
            CaptionChannels = members.Integer("caption_channels"),
            InterpolationScale = json["interpolation_scale"] is null ? null : members.Number("interpolation_scale"),
            UseAdditionalConditions = json["use_additional_conditions"] is null ? null : members.Boolean("use_additional_conditions"),
        };
        if (members.Integer("cross_attention_dim", config.Width) != config.Width)
            throw members.Wrong("cross_attention_dim", $"{config.Width}, the width of a token, which the caption is projected to");
        config.Validate(origin);
        return config;
    }

    /// <summary>The members as diffusers writes them.</summary>
    public JsonObject ToJson() =>
        new()
        {
            ["_class_name"] = "PixArtTransformer2DModel",
            ["activation_fn"] = ActivationFn,
            ["attention_bias"] = AttentionBias,
            ["attention_head_dim"] = AttentionHeadDim,
            ["attention_type"] = "default",
            ["caption_channels"] = CaptionChannels,
            ["cross_attention_dim"] = Width,
            ["dropout"] = 0.0,
            ["in_channels"] = InChannels,
            ["interpolation_scale"] = InterpolationScale,
            ["norm_elementwise_affine"] = false,
            ["norm_eps"] = NormEps,
            ["norm_type"] = "ada_norm_single",
            ["num_attention_heads"] = NumAttentionHeads,
            ["num_layers"] = NumLayers,
            ["out_channels"] = OutChannels,
            ["patch_size"] = PatchSize,
            ["sample_size"] = SampleSize,
            ["upcast_attention"] = UpcastAttention,
            ["use_additional_conditions"] = UseAdditionalConditions,
        };

    /// <summary>Checks what no single member can show.</summary>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">Members do not fit each other.</exception>
    public void Validate(string origin)
    {
        TransformerShape.CheckOutputs(origin, InChannels, Outputs);
        TransformerShape.Check(origin, SampleSize, PatchSize, Width);
        if (TakesSize && Width % 3 != 0)
            throw new InputException(
                $"'{origin}': num_attention_heads times attention_head_dim is {Width}; use_additional_conditions needs a multiple of 3."
            );
        if (!(Interpolation > 0))
            throw new InputException($"'{origin}': interpolation_scale is {Interpolation}; it must be positive.");
        TransformerShape.CheckActivation(origin, ActivationFn);
    }
}
