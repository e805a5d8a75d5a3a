using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Conditioning.Clip;

/// <summary>
/// The shape of a <see cref="ClipVisionModel"/>, with the names that transformers gives its members in <c>config.json</c>.
/// </summary>
public sealed record ClipVisionConfig
{
    /// <summary>Its class.</summary>
    public const string ClassName = "CLIPVisionModelWithProjection";

    /// <summary>Width of a token.</summary>
    public int HiddenSize { get; init; } = 768;

    /// <summary>Width within a feed-forward network.</summary>
    public int IntermediateSize { get; init; } = 3072;

    /// <summary>Width of the projection.</summary>
    public int ProjectionDim { get; init; } = 512;

    /// <summary>Transformer layers.</summary>
    public int NumHiddenLayers { get; init; } = 12;

    /// <summary>Attention heads.</summary>
    public int NumAttentionHeads { get; init; } = 12;

    /// <summary>Channels of the images.</summary>
    public int NumChannels { get; init; } = 3;

    /// <summary>Side of the images in pixels.</summary>
    public int ImageSize { get; init; } = 224;

    /// <summary>Side of the squares that become one token, in pixels.</summary>
    public int PatchSize { get; init; } = 32;

    /// <summary>The feed-forward network's nonlinearity: <c>quick_gelu</c>, <c>gelu</c>, <c>gelu_new</c>.</summary>
    public string HiddenAct { get; init; } = "quick_gelu";

    /// <summary>Added to the variance in normalisations.</summary>
    public double LayerNormEps { get; init; } = 1e-5;

    /// <summary>Tokens: the class token and one for each patch.</summary>
    public int Tokens => 1 + (ImageSize / PatchSize * (ImageSize / PatchSize));

    /// <summary>Reads the members of a <c>config.json</c>; missing ones take transformers' defaults.</summary>
    /// <param name="json">The object.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">A member is of another kind or not supported.</exception>
    public static ClipVisionConfig FromJson(JsonObject json, string origin = "config.json")
    {
        var members = new JsonMembers(json, origin);
        var config = new ClipVisionConfig
        {
            HiddenSize = members.Integer("hidden_size", 768),
            IntermediateSize = members.Integer("intermediate_size", 3072),
            ProjectionDim = members.Integer("projection_dim", 512),
            NumHiddenLayers = members.Integer("num_hidden_layers", 12),
            NumAttentionHeads = members.Integer("num_attention_heads", 12),
            NumChannels = members.Integer("num_channels", 3),
            ImageSize = members.Integer("image_size", 224),
            PatchSize = members.Integer("patch_size", 32),
            HiddenAct = members.Text("hidden_act", "quick_gelu"),
            LayerNormEps = members.Number("layer_norm_eps", 1e-5),
        };
        config.Validate(origin);
        return config;
    }

    /// <summary>The members as transformers writes them.</summary>
    public JsonObject ToJson() =>
        new()
        {
            ["architectures"] = new JsonArray(ClassName),
            ["hidden_act"] = HiddenAct,
            ["hidden_size"] = HiddenSize,
            ["image_size"] = ImageSize,
            ["intermediate_size"] = IntermediateSize,
            ["layer_norm_eps"] = LayerNormEps,
            ["model_type"] = "clip_vision_model",
            ["num_attention_heads"] = NumAttentionHeads,
            ["num_channels"] = NumChannels,
            ["num_hidden_layers"] = NumHiddenLayers,
            ["patch_size"] = PatchSize,
            ["projection_dim"] = ProjectionDim,
        };

    /// <summary>Checks what no single member can show.</summary>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">Members do not fit each other.</exception>
    public void Validate(string origin)
    {
        ClipLayerShape.Validate(HiddenSize, NumAttentionHeads, HiddenAct, origin);
        if (PatchSize > ImageSize || ImageSize > 16384)
            throw new InputException($"'{origin}': image_size {ImageSize} must lie between patch_size {PatchSize} and 16384.");
    }
}
