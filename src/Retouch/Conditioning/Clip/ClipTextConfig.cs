using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Conditioning.Clip;

/// <summary>The shape of a <see cref="ClipTextModel"/>, with the names that transformers gives its members in <c>config.json</c>.</summary>
public sealed record ClipTextConfig
{
    /// <summary>Class of a network without projection.</summary>
    public const string PlainClass = "CLIPTextModel";

    /// <summary>Class of a network with projection.</summary>
    public const string ProjectionClass = "CLIPTextModelWithProjection";

    /// <summary>Id that older files name as the end of text; the real one is the largest of the vocabulary then.</summary>
    internal const int LegacyEndOfText = 2;

    /// <summary>Whether a projection of the pooled state follows; the class in <c>architectures</c> says so.</summary>
    public bool WithProjection { get; init; }

    /// <summary>Token ids.</summary>
    public int VocabSize { get; init; } = 49408;

    /// <summary>Width of a token.</summary>
    public int HiddenSize { get; init; } = 512;

    /// <summary>Width within a feed-forward network.</summary>
    public int IntermediateSize { get; init; } = 2048;

    /// <summary>Width of the projection.</summary>
    public int ProjectionDim { get; init; } = 512;

    /// <summary>Transformer layers.</summary>
    public int NumHiddenLayers { get; init; } = 12;

    /// <summary>Attention heads.</summary>
    public int NumAttentionHeads { get; init; } = 8;

    /// <summary>Most tokens.</summary>
    public int MaxPositionEmbeddings { get; init; } = 77;

    /// <summary>The feed-forward network's nonlinearity: <c>quick_gelu</c>, <c>gelu</c>, <c>gelu_new</c>.</summary>
    public string HiddenAct { get; init; } = "quick_gelu";

    /// <summary>Added to the variance in normalisations.</summary>
    public double LayerNormEps { get; init; } = 1e-5;

    /// <summary>Id whose first position is pooled; 2 stands for the largest id of the prompt, as files before 2023 have it.</summary>
    public int EosTokenId { get; init; } = 49407;

    /// <summary>Whether pipelines show the encoder which tokens are padding; most do not.</summary>
    public bool UseAttentionMask { get; init; }

    /// <summary>Reads the members of a <c>config.json</c>; missing ones take transformers' defaults.</summary>
    /// <param name="json">The object.</param>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">A member is of another kind or not supported.</exception>
    public static ClipTextConfig FromJson(JsonObject json, string origin = "config.json")
    {
        ArgumentNullException.ThrowIfNull(json);
        var members = new JsonMembers(json, origin);
        var config = new ClipTextConfig
        {
            WithProjection =
                json["architectures"] is JsonArray { Count: > 0 } classes
                && classes[0] is JsonValue name
                && name.TryGetValue<string>(out var text)
                && text == ProjectionClass,
            VocabSize = members.Integer("vocab_size", 49408),
            HiddenSize = members.Integer("hidden_size", 512),
            IntermediateSize = members.Integer("intermediate_size", 2048),
            ProjectionDim = members.Integer("projection_dim", 512),
            NumHiddenLayers = members.Integer("num_hidden_layers", 12),
            NumAttentionHeads = members.Integer("num_attention_heads", 8),
            MaxPositionEmbeddings = members.Integer("max_position_embeddings", 77),
            HiddenAct = members.Text("hidden_act", "quick_gelu"),
            LayerNormEps = members.Number("layer_norm_eps", 1e-5),
            EosTokenId = members.Integer("eos_token_id", 49407, atLeast: 0),
            UseAttentionMask = members.Boolean("use_attention_mask", false),
        };
        config.Validate(origin);
        return config;
    }

    /// <summary>The members as transformers writes them.</summary>
    public JsonObject ToJson()
    {
        var json = new JsonObject
        {
            ["architectures"] = new JsonArray(WithProjection ? ProjectionClass : PlainClass),
            ["eos_token_id"] = EosTokenId,
            ["hidden_act"] = HiddenAct,
            ["hidden_size"] = HiddenSize,
            ["intermediate_size"] = IntermediateSize,
            ["layer_norm_eps"] = LayerNormEps,
            ["max_position_embeddings"] = MaxPositionEmbeddings,
            ["model_type"] = "clip_text_model",
            ["num_attention_heads"] = NumAttentionHeads,
            ["num_hidden_layers"] = NumHiddenLayers,
            ["projection_dim"] = ProjectionDim,
            ["vocab_size"] = VocabSize,
        };
        if (UseAttentionMask)
            json["use_attention_mask"] = true;
        return json;
    }

    /// <summary>Checks what no single member can show.</summary>
    /// <param name="origin">The file's name, for messages.</param>
    /// <exception cref="InputException">Members do not fit each other.</exception>
    public void Validate(string origin) => ClipLayerShape.Validate(HiddenSize, NumAttentionHeads, HiddenAct, origin);
}
