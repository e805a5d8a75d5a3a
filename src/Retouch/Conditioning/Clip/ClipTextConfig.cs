using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Conditioning.Clip;

/// <summary>Configuration of a <see cref="ClipTextModel"/>; members as in transformers' <c>config.json</c>.</summary>
public sealed record ClipTextConfig
{
    /// <summary>Class name of a model without projection.</summary>
    public const string PlainClass = "CLIPTextModel";

    /// <summary>Class name of a model with projection.</summary>
    public const string ProjectionClass = "CLIPTextModelWithProjection";

    /// <summary>End-of-text id of older configurations; the actual id is then the largest of the vocabulary.</summary>
    internal const int LegacyEndOfText = 2;

    /// <summary>Whether the pooled state is projected; read from the class in <c>architectures</c>.</summary>
    public bool WithProjection { get; init; }

    /// <summary>Number of token ids.</summary>
    public int VocabSize { get; init; } = 49408;

    /// <summary>Token width.</summary>
    public int HiddenSize { get; init; } = 512;

    /// <summary>Hidden width of the feed-forward network.</summary>
    public int IntermediateSize { get; init; } = 2048;

    /// <summary>Width of the projection.</summary>
    public int ProjectionDim { get; init; } = 512;

    /// <summary>Number of transformer layers.</summary>
    public int NumHiddenLayers { get; init; } = 12;

    /// <summary>Number of attention heads.</summary>
    public int NumAttentionHeads { get; init; } = 8;

    /// <summary>Maximum number of tokens.</summary>
    public int MaxPositionEmbeddings { get; init; } = 77;

    /// <summary>Activation of the feed-forward network: <c>quick_gelu</c>, <c>gelu</c>, or <c>gelu_new</c> and
    /// <c>gelu_pytorch_tanh</c> (the tanh approximation).</summary>
    public string HiddenAct { get; init; } = "quick_gelu";

    /// <summary>ε of the layer normalisations.</summary>
    public double LayerNormEps { get; init; } = 1e-5;

    /// <summary>Id whose first position is pooled; 2 for the largest id of the prompt, as in files from before 2023.</summary>
    public int EosTokenId { get; init; } = 49407;

    /// <summary>Whether pipelines pass the padding mask to the encoder; most do not.</summary>
    public bool UseAttentionMask { get; init; }

    /// <summary>Reads a <c>config.json</c>; missing members take transformers' defaults.</summary>
    /// <param name="json">Contents of the file.</param>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">A member has the wrong type or an unsupported value.</exception>
    public static ClipTextConfig FromJson(JsonObject json, string origin = "config.json")
    {
        var config = ConfigMembers.Read<ClipTextConfig>(json, origin, Map);
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
    }

    private static ClipTextConfig Map(ConfigMembers members, ClipTextConfig config)
    {
        members.Written("model_type", "clip_text_model");
        config = config with
        {
            WithProjection = members.Member(
                "architectures",
                config.WithProjection,
                static projects => new JsonArray(projects ? ProjectionClass : PlainClass),
                static node => node is JsonArray { Count: > 0 } classes && classes[0]?.ToString() == ProjectionClass
            ),
            EosTokenId = members.Integer("eos_token_id", config.EosTokenId, atLeast: 0),
            HiddenAct = members.Text("hidden_act", config.HiddenAct, ClipLayerShape.Activations),
            HiddenSize = members.Integer("hidden_size", config.HiddenSize),
            IntermediateSize = members.Integer("intermediate_size", config.IntermediateSize),
            LayerNormEps = members.Number("layer_norm_eps", config.LayerNormEps),
            MaxPositionEmbeddings = members.Integer("max_position_embeddings", config.MaxPositionEmbeddings),
            NumAttentionHeads = members.Integer("num_attention_heads", config.NumAttentionHeads),
            NumHiddenLayers = members.Integer("num_hidden_layers", config.NumHiddenLayers),
            ProjectionDim = members.Integer("projection_dim", config.ProjectionDim),
            UseAttentionMask = members.Boolean("use_attention_mask", config.UseAttentionMask),
            VocabSize = members.Integer("vocab_size", config.VocabSize),
        };
        members.OmitIf(!config.UseAttentionMask, "use_attention_mask");
        return config;
    }
}
