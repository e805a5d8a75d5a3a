using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Denoisers.Dit;

/// <summary>The shape of a <see cref="DiTTransformer2D"/>, with the names that diffusers gives its members in <c>config.json</c>.</summary>
public sealed record DiTConfig
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
    public int? OutChannels { get; init; }

    /// <summary>Transformer blocks.</summary>
    public int NumLayers { get; init; } = 28;

    /// <summary>Whether query, key and value have biases.</summary>
    public bool AttentionBias { get; init; } = true;

    /// <summary>Side of the latents that the position table was made for.</summary>
    public int SampleSize { get; init; } = 32;

    /// <summary>Side of the squares of latent pixels that become one token.</summary>
    public int PatchSize { get; init; } = 2;

    /// <summary>The feed-forward network's nonlinearity: <c>gelu-approximate</c> (the tanh form) or <c>gelu</c>.</summary>
    public string ActivationFn { get; init; } = "gelu-approximate";

    /// <summary>Classes; one more row in the label tables stands for "no class".</summary>
    public int NumEmbedsAdaNorm { get; init; } = 1000;

    /// <summary>Whether attention computes in float32 whatever the weights' type.</summary>
    public bool UpcastAttention { get; init; }

    /// <summary>Whether the normalisation before the feed-forward network has a scale and shift of its own.</summary>
    public bool NormElementwiseAffine { get; init; }

    /// <summary>Added to the variance before the feed-forward network.</summary>
    public double NormEps { get; init; } = 1e-5;

    /// <summary>Width of a token.</summary>
    public int Width => NumAttentionHeads * AttentionHeadDim;

    /// <summary>Channels put out.</summary>
    public int Outputs => OutChannels ?? InChannels;

    /// <summary>
    /// Reads the members of a <c>config.json</c>; missing ones take diffusers' defaults, those of other networks are passed over.
    /// </summary>
    /// <param name="json">The object.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">A member is of another kind, or asks for what DiT has not.</exception>
    public static DiTConfig FromJson(JsonObject json, string origin = "config.json")
    {
        var members = new JsonMembers(json, origin);
        // Published DiT folders call themselves Transformer2DModel, a class that stands for several networks: these members tell them
        // apart.
        if (members.Text("norm_type", "ada_norm_zero") != "ada_norm_zero")
            throw members.Wrong("norm_type", "ada_norm_zero: only class-conditional DiT is read here");
        foreach (var foreign in (string[])["cross_attention_dim", "num_vector_embeds", "caption_channels"])
        {
            if (json[foreign] is not null)
                throw members.Wrong(foreign, "null: only class-conditional DiT is read here");
        }

        if (members.Number("dropout", 0) != 0)
            throw members.Wrong("dropout", "0: no published DiT drops activations, and this one does not either");
        var config = new DiTConfig
        {
            NumAttentionHeads = members.Integer("num_attention_heads", 16),
            AttentionHeadDim = members.Integer("attention_head_dim", 72),
            InChannels = members.Integer("in_channels", 4),
            OutChannels = members.OptionalInteger("out_channels"),
            NumLayers = members.Integer("num_layers", 28),
            AttentionBias = members.Boolean("attention_bias", true),
            SampleSize = members.Integer("sample_size", 32),
            PatchSize = members.Integer("patch_size", 2),
            ActivationFn = members.Text("activation_fn", "gelu-approximate"),
            NumEmbedsAdaNorm = members.Integer("num_embeds_ada_norm", 1000),
            UpcastAttention = members.Boolean("upcast_attention", false),
            NormElementwiseAffine = members.Boolean("norm_elementwise_affine", false),
            NormEps = members.Number("norm_eps", 1e-5),
        };
        config.Validate(origin);
        return config;
    }

    /// <summary>The members as diffusers writes them.</summary>
    public JsonObject ToJson() =>
        new()
        {
            ["_class_name"] = "DiTTransformer2DModel",
            ["activation_fn"] = ActivationFn,
            ["attention_bias"] = AttentionBias,
            ["attention_head_dim"] = AttentionHeadDim,
            ["dropout"] = 0.0,
            ["in_channels"] = InChannels,
            ["norm_elementwise_affine"] = NormElementwiseAffine,
            ["norm_eps"] = NormEps,
            ["norm_type"] = "ada_norm_zero",
            ["num_attention_heads"] = NumAttentionHeads,
            ["num_embeds_ada_norm"] = NumEmbedsAdaNorm,
            ["num_layers"] = NumLayers,
            ["out_channels"] = OutChannels,
            ["patch_size"] = PatchSize,
            ["sample_size"] = SampleSize,
            ["upcast_attention"] = UpcastAttention,
        };

    /// <summary>Checks what no single member can show.</summary>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">Members do not fit each other.</exception>
    public void Validate(string origin)
    {
        TransformerShape.CheckOutputs(origin, InChannels, Outputs);
        TransformerShape.Check(origin, SampleSize, PatchSize, Width);
        TransformerShape.CheckActivation(origin, ActivationFn);
    }
}
