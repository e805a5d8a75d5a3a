using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Conditioning.Clip;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;

namespace Retouch.Tests.Pipelines;

/// <summary>
/// A pipeline folder with only a small text encoder of random weights and a tokenizer that spells; used as the prompt encoder of new
/// models.
/// </summary>
internal static class TextPipelineFolder
{
    /// <summary>Width of a token's embedding.</summary>
    public const int Width = 16;

    /// <summary>Number of tokens of a prompt.</summary>
    public const int Tokens = 12;

    private const string Start = "<|startoftext|>";
    private const string End = "<|endoftext|>";

    /// <summary>Writes the folder.</summary>
    /// <param name="folder">Output folder, new.</param>
    /// <param name="seed">Seed of the encoder's weights.</param>
    public static void Write(string folder, ulong seed = 1)
    {
        var letters = Enumerable.Range('!', '~' - '!' + 1).Select(static c => ((char)c).ToString()).ToArray();
        string[] tokens = [.. letters, .. letters.Select(static l => l + "</w>"), Start, End];
        var tokenizer = Directory.CreateDirectory(Path.Combine(folder, "tokenizer")).FullName;
        File.WriteAllText(
            Path.Combine(tokenizer, "vocab.json"),
            new JsonObject(tokens.Select(static (t, k) => KeyValuePair.Create(t, (JsonNode?)k))).ToJsonString()
        );
        File.WriteAllText(Path.Combine(tokenizer, "merges.txt"), "#version: 0.2\n");
        File.WriteAllText(
            Path.Combine(tokenizer, "tokenizer_config.json"),
            JsonSerializer.Serialize(
                new
                {
                    tokenizer_class = "CLIPTokenizer",
                    model_max_length = Tokens,
                    bos_token = Start,
                    eos_token = End,
                    pad_token = End,
                    unk_token = End,
                }
            )
        );

        using var generator = Generator.Create(Device.Cpu, seed);
        using var encoder = Component.Create(
            new ClipTextModel(
                ClipTextConfig.FromJson(
                    JsonNode
                        .Parse(
                            $$"""
                            { "architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "vocab_size": {{tokens.Length}},
                            "hidden_size": {{Width}}, "intermediate_size": 32, "num_hidden_layers": 1,
                              "num_attention_heads": 2, "max_position_embeddings": {{Tokens}}, "hidden_act": "quick_gelu",
                              "layer_norm_eps": 1e-5, "eos_token_id": {{tokens.Length
                                - 1}}, "projection_dim": {{Width}} }
                            """
                        )!
                        .AsObject(),
                    "test"
                )
            )
        );
        ((ClipTextModel)encoder.Network).Parameters.Initialise(generator, Device.Cpu);
        ComponentFolder.Save(Path.Combine(folder, "text_encoder"), encoder);
        File.WriteAllText(
            Path.Combine(folder, "model_index.json"),
            """
            { "_class_name": "StableDiffusionPipeline", "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers",
            "CLIPTokenizer"] }
            """
        );
    }
}
