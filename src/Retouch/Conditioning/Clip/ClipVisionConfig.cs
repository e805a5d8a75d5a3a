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
        var config = ConfigMembers.Read<ClipVisionConfig>(json, origin, Map);
        config.Validate(origin);
        return config;
    }

    /// <summary>Members as written by transformers.</summary>
    public JsonObject ToJson() => ConfigMembers.Write(this, Map);

    /// <summary>Validates the members against each other.</summary>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">Members are inconsistent or unsupported.</exception>
    public void Validate(string origin)
    {
        ConfigMembers.Check(this, Map, origin);
        ClipLayerShape.Validate(HiddenSize, NumAttentionHeads, origin);
        if (PatchSize > ImageSize)
            throw new InputException($"'{origin}': image_size {ImageSize} must lie between patch_size {PatchSize} and 16384.");
    }

    private static ClipVisionConfig Map(ConfigMembers members, ClipVisionConfig config)
    {
        members.Written("architectures", new JsonArray(ClassName));
        members.Written("model_type", "clip_vision_model");
        return config with
        {
            HiddenAct = members.Text("hidden_act", config.HiddenAct, ClipLayerShape.Activations),
            HiddenSize = members.Integer("hidden_size", config.HiddenSize),
            ImageSize = members.Integer("image_size", config.ImageSize, atMost: 16384),
            IntermediateSize = members.Integer("intermediate_size", config.IntermediateSize),
            LayerNormEps = members.Number("layer_norm_eps", config.LayerNormEps),
            NumAttentionHeads = members.Integer("num_attention_heads", config.NumAttentionHeads),
            NumChannels = members.Integer("num_channels", config.NumChannels),
            NumHiddenLayers = members.Integer("num_hidden_layers", config.NumHiddenLayers),
            PatchSize = members.Integer("patch_size", config.PatchSize),
            ProjectionDim = members.Integer("projection_dim", config.ProjectionDim),
        };
    }
}
