using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Conditioning.T5;

/// <summary>Configuration of a <see cref="T5Encoder"/>; members as in transformers' <c>config.json</c>.</summary>
public sealed record T5Config
{
    /// <summary>Class name in transformers.</summary>
    public const string ClassName = "T5EncoderModel";

    /// <summary>Number of token ids.</summary>
    public int VocabSize { get; init; } = 32128;

    /// <summary>Token width.</summary>
    public int DModel { get; init; } = 512;

    /// <summary>Channels per head; heads times this can differ from the token width.</summary>
    public int DKv { get; init; } = 64;

    /// <summary>Hidden width of the feed-forward network.</summary>
    public int DFf { get; init; } = 2048;

    /// <summary>Number of blocks.</summary>
    public int NumLayers { get; init; } = 6;

    /// <summary>Number of attention heads.</summary>
    public int NumHeads { get; init; } = 8;

    /// <summary>Number of relative position buckets, half of them for keys after the query.</summary>
    public int RelativeAttentionNumBuckets { get; init; } = 32;

    /// <summary>Distance in tokens from which all distances share a bucket.</summary>
    public int RelativeAttentionMaxDistance { get; init; } = 128;

    /// <summary>ε of the RMS normalisations.</summary>
    public double LayerNormEpsilon { get; init; } = 1e-6;

    /// <summary>Feed-forward network: <c>relu</c> (T5) or <c>gated-gelu</c> (T5 1.1, tanh approximation).</summary>
    public string FeedForwardProj { get; init; } = "relu";

    /// <summary>Whether the feed-forward network is gated.</summary>
    public bool IsGated => FeedForwardProj == "gated-gelu";

    /// <summary>Reads a <c>config.json</c>; missing members take transformers' defaults.</summary>
    /// <param name="json">Contents of the file.</param>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">A member has the wrong type or an unsupported value.</exception>
    public static T5Config FromJson(JsonObject json, string origin = "config.json")
    {
        var members = new JsonMembers(json, origin);
        var config = new T5Config
        {
            VocabSize = members.Integer("vocab_size", 32128),
            DModel = members.Integer("d_model", 512),
            DKv = members.Integer("d_kv", 64),
            DFf = members.Integer("d_ff", 2048),
            NumLayers = members.Integer("num_layers", 6),
            NumHeads = members.Integer("num_heads", 8),
            RelativeAttentionNumBuckets = members.Integer("relative_attention_num_buckets", 32),
            RelativeAttentionMaxDistance = members.Integer("relative_attention_max_distance", 128),
            LayerNormEpsilon = members.Number("layer_norm_epsilon", 1e-6),
            FeedForwardProj = members.Text("feed_forward_proj", "relu"),
        };
        config.Validate(origin);
        return config;
    }

    /// <summary>Members as written by transformers.</summary>
    public JsonObject ToJson() =>
        new()
        {
            ["architectures"] = new JsonArray(ClassName),
            ["d_ff"] = DFf,
            ["d_kv"] = DKv,
            ["d_model"] = DModel,
            ["feed_forward_proj"] = FeedForwardProj,
            ["layer_norm_epsilon"] = LayerNormEpsilon,
            ["model_type"] = "t5",
            ["num_heads"] = NumHeads,
            ["num_layers"] = NumLayers,
            ["relative_attention_max_distance"] = RelativeAttentionMaxDistance,
            ["relative_attention_num_buckets"] = RelativeAttentionNumBuckets,
            ["vocab_size"] = VocabSize,
        };

    /// <summary>Validates the members against each other.</summary>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">Members are inconsistent or unsupported.</exception>
    public void Validate(string origin)
    {
        if (FeedForwardProj is not ("relu" or "gated-gelu"))
            throw new InputException($"'{origin}': feed_forward_proj is '{FeedForwardProj}'; relu and gated-gelu are supported.");
        if (RelativeAttentionNumBuckets % 4 != 0 || RelativeAttentionMaxDistance <= RelativeAttentionNumBuckets / 4)
        {
            throw new InputException(
                $"'{origin}': relative_attention_num_buckets {RelativeAttentionNumBuckets} must be a multiple of 4, "
                    + $"and relative_attention_max_distance {RelativeAttentionMaxDistance} more than a quarter of it."
            );
        }
    }
}
