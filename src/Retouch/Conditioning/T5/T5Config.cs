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
        var config = ConfigMembers.Read<T5Config>(json, origin, Map);
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
        if (RelativeAttentionNumBuckets % 4 != 0 || RelativeAttentionMaxDistance <= RelativeAttentionNumBuckets / 4)
            throw new InputException(
                $"'{origin}': relative_attention_num_buckets {RelativeAttentionNumBuckets} must be a multiple of 4, "
                    + $"and relative_attention_max_distance {RelativeAttentionMaxDistance} more than a quarter of it."
            );
    }

    private static T5Config Map(ConfigMembers members, T5Config config)
    {
        members.Written("architectures", new JsonArray(ClassName));
        members.Written("model_type", "t5");
        return config with
        {
            DFf = members.Integer("d_ff", config.DFf),
            DKv = members.Integer("d_kv", config.DKv),
            DModel = members.Integer("d_model", config.DModel),
            FeedForwardProj = members.Text("feed_forward_proj", config.FeedForwardProj, "relu", "gated-gelu"),
            LayerNormEpsilon = members.Number("layer_norm_epsilon", config.LayerNormEpsilon),
            NumHeads = members.Integer("num_heads", config.NumHeads),
            NumLayers = members.Integer("num_layers", config.NumLayers),
            RelativeAttentionMaxDistance = members.Integer("relative_attention_max_distance", config.RelativeAttentionMaxDistance),
            RelativeAttentionNumBuckets = members.Integer("relative_attention_num_buckets", config.RelativeAttentionNumBuckets),
            VocabSize = members.Integer("vocab_size", config.VocabSize),
        };
    }
}
