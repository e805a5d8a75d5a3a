using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Conditioning.Clip;

/// <summary>
/// Configuration of a <see cref="ClipVisionModel"/>; members as in transformers' <c>config.json</c>.
/// </summary>
public sealed record ClipVisionConfig
{
    /// <summary>Class name in transformers.</summary>
    public const string ClassName = "CLIPVisionModelWithProjection";

    /// <summary>Token width.</summary>
    public int HiddenSize { get; init; } = 768;

    /// <summary>Hidden width of the feed-forward network.</summary>
    public int IntermediateSize { get; init; } = 3072;

    /// <summary>Width of the projection.</summary>
    public int ProjectionDim { get; init; } = 512;

    /// <summary>Number of transformer layers.</summary>
    public int NumHiddenLayers { get; init; } = 12;

    /// <summary>Number of attention heads.</summary>
    public int NumAttentionHeads { get; init; } = 12;

    /// <summary>Image channels.</summary>
    public int NumChannels { get; init; } = 3;

    /// <summary>Image side in pixels.</summary>
    public int ImageSize { get; init; } = 224;

    /// <summary>Patch side in pixels.</summary>
    public int PatchSize { get; init; } = 32;

    /// <summary>Activation of the feed-forward network: <c>quick_gelu</c>, <c>gelu</c>, or <c>gelu_new</c> and
    /// <c>gelu_pytorch_tanh</c> (the tanh approximation).</summary>
    public string HiddenAct { get; init; } = "quick_gelu";

    /// <summary>ε of the layer normalisations.</summary>
    public double LayerNormEps { get; init; } = 1e-5;

    /// <summary>Number of tokens: the class token and one per patch.</summary>
    public int Tokens => 1 + (ImageSize / PatchSize * (ImageSize / PatchSize));

    /// <summary>Reads a <c>config.json</c>; missing members take transformers' defaults.</summary>
    /// <param name="json">Contents of the file.</param>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">A member has the wrong type or an unsupported value.</exception>
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

    /// <summary>Members as written by transformers.</summary>
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

    /// <summary>Validates the members against each other.</summary>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">Members are inconsistent or unsupported.</exception>
    public void Validate(string origin)
    {
        ClipLayerShape.Validate(HiddenSize, NumAttentionHeads, HiddenAct, origin);
        if (PatchSize > ImageSize || ImageSize > 16384)
            throw new InputException($"'{origin}': image_size {ImageSize} must lie between patch_size {PatchSize} and 16384.");
    }
}
