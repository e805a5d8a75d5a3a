using System.Text.Json.Nodes;
using Retouch.Conditioning.Clip;
using Retouch.Core.Errors;
using Retouch.Torch.Nn;

namespace Retouch.Pipelines.SingleFile;

/// <summary>
/// Text encoders of single files: CLIP with transformers' names, or OpenCLIP (Cherti et al. 2023), which stores query, key and value in one
/// tensor. No network is built: keys and configuration follow from the tensors.
/// </summary>
internal static class OriginalText
{
    private const int HeadWidth = 64;

    /// <summary>A text encoder of a file.</summary>
    /// <param name="Config">config.json in transformers format.</param>
    /// <param name="Keys">transformers' keys and their origins.</param>
    public sealed record Encoder(JsonObject Config, IReadOnlyList<KeyValuePair<string, TensorOrigin>> Keys);

    /// <summary>CLIP with transformers' names.</summary>
    /// <param name="source">The file.</param>
    /// <param name="prefix">Prefix of the names.</param>
    /// <param name="origin">File name for messages.</param>
    public static Encoder Clip(ITensorSource source, string prefix, string origin)
    {
        // transformers 5.6 and later save it without the wrapper.
        var stored = source.Names.Any(n => n.StartsWith($"{prefix}.{ClipTextKeys.Wrapper}", StringComparison.Ordinal))
            ? $"{prefix}.{ClipTextKeys.Wrapper}"
            : prefix + ".";
        // Older files store position indices; transformers computes them.
        var keys = source
            .Names.Where(n => n.StartsWith(stored, StringComparison.Ordinal) && !n.EndsWith(".position_ids", StringComparison.Ordinal))
            .Select(n => KeyValuePair.Create(ClipTextKeys.Wrapper + n[stored.Length..], new TensorOrigin(n)))
            .ToList();
        var layers = 0;
        while (keys.Exists(k => k.Key == $"text_model.encoder.layers.{layers}.mlp.fc1.weight"))
            layers++;
        return new Encoder(Config(source, stored + "embeddings", stored + "encoder.layers.0.mlp.fc1.weight", layers, null, origin), keys);
    }

    /// <summary>OpenCLIP.</summary>
    /// <param name="source">The file.</param>
    /// <param name="prefix">Prefix of the names.</param>
    /// <param name="projects">Whether the pooled text embedding is projected, as in SDXL. Stable Diffusion 2 uses the tokens before the
    /// last layer, which is then left out.</param>
    /// <param name="origin">File name for messages.</param>
    public static Encoder OpenClip(ITensorSource source, string prefix, bool projects, string origin)
    {
        var names = source.Names.ToHashSet(StringComparer.Ordinal);
        var stored = 0;
        while (names.Contains($"{prefix}.transformer.resblocks.{stored}.mlp.c_fc.weight"))
            stored++;
        var layers = projects ? stored : stored - 1;
        if (layers < 1)
            throw new InputException($"'{origin}' has no layers of a text encoder under {prefix}.transformer.resblocks.");
        var keys = new List<KeyValuePair<string, TensorOrigin>>();
        Add("text_model.embeddings.token_embedding.weight", "token_embedding.weight");
        Add("text_model.embeddings.position_embedding.weight", "positional_embedding");
        for (var k = 0; k < layers; k++)
        {
            var (layer, block) = ($"text_model.encoder.layers.{k}", $"transformer.resblocks.{k}");
            foreach (var kind in (string[])["weight", "bias"])
            {
                Add($"{layer}.self_attn.q_proj.{kind}", $"{block}.attn.in_proj_{kind}", TensorForm.Query);
                Add($"{layer}.self_attn.k_proj.{kind}", $"{block}.attn.in_proj_{kind}", TensorForm.Key);
                Add($"{layer}.self_attn.v_proj.{kind}", $"{block}.attn.in_proj_{kind}", TensorForm.Value);
                Add($"{layer}.self_attn.out_proj.{kind}", $"{block}.attn.out_proj.{kind}");
                Add($"{layer}.layer_norm1.{kind}", $"{block}.ln_1.{kind}");
                Add($"{layer}.layer_norm2.{kind}", $"{block}.ln_2.{kind}");
                Add($"{layer}.mlp.fc1.{kind}", $"{block}.mlp.c_fc.{kind}");
                Add($"{layer}.mlp.fc2.{kind}", $"{block}.mlp.c_proj.{kind}");
            }
        }

        Add("text_model.final_layer_norm.weight", "ln_final.weight");
        Add("text_model.final_layer_norm.bias", "ln_final.bias");
        int? projection = null;
        if (projects)
        {
            Add("text_projection.weight", "text_projection", TensorForm.Transposed);
            projection = source.Size($"{prefix}.text_projection", 1, origin);
        }

        return new Encoder(
            Config(source, prefix, $"{prefix}.transformer.resblocks.0.mlp.c_fc.weight", layers, (projects, projection), origin),
            keys
        );

        void Add(string key, string original, TensorForm form = TensorForm.Same) =>
            keys.Add(new(key, new TensorOrigin($"{prefix}.{original}", form)));
    }

    /// <summary>config.json; <paramref name="open"/> is null for CLIP, whose activation differs.</summary>
    private static JsonObject Config(
        ITensorSource source,
        string embeddings,
        string expansion,
        int layers,
        (bool Projects, int? Projection)? open,
        string origin
    )
    {
        var (tokens, positions) = open is null
            ? ("token_embedding.weight", "position_embedding.weight")
            : ("token_embedding.weight", "positional_embedding");
        var width = source.Size($"{embeddings}.{tokens}", 1, origin);
        return new JsonObject
        {
            ["architectures"] = new JsonArray(open is { Projects: true } ? "CLIPTextModelWithProjection" : "CLIPTextModel"),
            ["attention_dropout"] = 0.0,
            ["bos_token_id"] = 0,
            ["dropout"] = 0.0,
            ["eos_token_id"] = 2,
            ["hidden_act"] = open is null ? "quick_gelu" : "gelu",
            ["hidden_size"] = width,
            ["initializer_factor"] = 1.0,
            ["initializer_range"] = 0.02,
            ["intermediate_size"] = source.Size(expansion, 0, origin),
            ["layer_norm_eps"] = 1e-05,
            ["max_position_embeddings"] = source.Size($"{embeddings}.{positions}", 0, origin),
            ["model_type"] = "clip_text_model",
            ["num_attention_heads"] = Math.Max(1, width / HeadWidth),
            ["num_hidden_layers"] = layers,
            ["pad_token_id"] = 1,
            // Without a projection the value has no effect; these are the values of published files.
            ["projection_dim"] =
                open is { Projection: { } projection } ? projection
                : open is null ? 768
                : 512,
            ["vocab_size"] = source.Size($"{embeddings}.{tokens}", 0, origin),
        };
    }
}
