using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Denoisers.Dit;
using Retouch.Denoisers.UNet;
using Retouch.Pipelines.Lora;
using Retouch.Pipelines.SingleFile;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Fuzz;

/// <summary>Readers of low-rank adapters and of checkpoints in the original layout.</summary>
internal static class CheckpointTargets
{
    public static IReadOnlyList<FuzzTarget> All(string goldens)
    {
        var network = new Lazy<DiTTransformer2D>(() => Network(goldens));
        return
        [
            new(
                "low-rank adapters",
                [.. Adapters()],
                (bytes, folder) =>
                {
                    using var adapters = LoraFile.Attach(
                        FuzzTarget.Write(folder, LoraFile.Name, bytes),
                        network.Value.Parameters,
                        Device.Cpu
                    );
                }
            ),
            // Keys and shapes only, one per line: the file format is fuzzed as safetensors.
            new(
                "single file",
                [SingleFile(goldens)],
                static (bytes, _) => SingleFileModel.Read(new Listing(Encoding.UTF8.GetString(bytes)), "model.safetensors")
            )
            {
                Share = 10,
            },
        ];
    }

    private static DiTTransformer2D Network(string goldens)
    {
        var network = new DiTTransformer2D(DiTConfig.FromJson(Json(goldens, "dit")));
        using var generator = Generator.Create(Device.Cpu, 1);
        network.Parameters.Initialise(generator, Device.Cpu);
        return network;
    }

    private static JsonObject Json(string goldens, string name) =>
        JsonNode.Parse(File.ReadAllText(Path.Combine(goldens, name, "config.json")))!.AsObject();

    private static IEnumerable<byte[]> Adapters()
    {
        const string Query = "transformer_blocks.0.attn1.to_q";
        foreach (
            var (down, up, alpha) in ((string, string, string?)[])
                [
                    ($"transformer.{Query}.lora_A.weight", $"transformer.{Query}.lora_B.weight", null),
                    ($"{Query}.lora.down.weight", $"{Query}.lora.up.weight", $"{Query}.alpha"),
                    (
                        $"lora_unet_{Query.Replace('.', '_')}.lora_down.weight",
                        $"lora_unet_{Query.Replace('.', '_')}.lora_up.weight",
                        $"lora_unet_{Query.Replace('.', '_')}.alpha"
                    ),
                ]
        )
        {
            var header = $$"""
                {"{{down}}":{"dtype":"F16","shape":[2,32],"data_offsets":[0,128]},"{{up}}":{"dtype":"F16","shape":[32,2],
                "data_offsets":[128,256]}
                """;
            yield return FuzzTarget.Safetensors(
                header + (alpha is null ? "}" : $",\"{alpha}\":{{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[256,260]}}}}"),
                alpha is null ? 256 : 260
            );
        }
    }

    private static byte[] SingleFile(string goldens)
    {
        // Minimum number of layers of such files; groups always have 32 channels.
        var unet = UNet2DConditionConfig.FromJson(Json(goldens, "unet_sd15")) with
        {
            BlockOutChannels = [32, 64],
            LayersPerBlock = [1],
            DownBlockTypes = [UNet2DConditionConfig.CrossDown, UNet2DConditionConfig.PlainDown],
            UpBlockTypes = [UNet2DConditionConfig.PlainUp, UNet2DConditionConfig.CrossUp],
            NormNumGroups = 32,
            AttentionHeadDim = [8],
        };
        var autoencoder = AutoencoderKlConfig.FromJson(Json(goldens, "autoencoder_kl_2level")) with
        {
            BlockOutChannels = [32, 64],
            LayersPerBlock = 1,
            NormNumGroups = 32,
        };
        var lines = new List<string>();
        using (var network = new UNet2DCondition(unet))
            lines.AddRange(Lines(network.Parameters, OriginalUNet.Keys(unet)));
        using (var network = new AutoencoderKl(autoencoder))
            lines.AddRange(Lines(network.Parameters, OriginalAutoencoder.Keys(autoencoder)));
        const string Text = "cond_stage_model.transformer.text_model";
        lines.AddRange([
            $"{Text}.embeddings.token_embedding.weight 1000 64",
            $"{Text}.embeddings.position_embedding.weight 77 64",
            $"{Text}.embeddings.position_ids 1 77",
            $"{Text}.final_layer_norm.weight 64",
        ]);
        foreach (
            var layer in (string[])["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "mlp.fc1", "mlp.fc2"]
        )
            lines.Add($"{Text}.encoder.layers.0.{layer}.weight {(layer == "mlp.fc1" ? 256 : 64)} {(layer == "mlp.fc2" ? 256 : 64)}");
        return Encoding.UTF8.GetBytes(string.Join('\n', lines));
    }

    private static IEnumerable<string> Lines(ParameterStore parameters, KeyPrefixes keys) =>
        parameters.All.Select(p =>
        {
            var origin = keys.Find(p.Name);
            long[] shape = origin.Form == TensorForm.Linear ? [.. p.Shape, 1, 1] : p.Shape;
            return $"{origin.Key} {string.Join(' ', shape.Take(p.Shape.Length == 1 ? 1 : 4))}";
        });

    /// <summary>Keys and shapes without values.</summary>
    private sealed class Listing : ITensorSource
    {
        private readonly Dictionary<string, long[]> _shapes = new(StringComparer.Ordinal);

        public Listing(string text)
        {
            foreach (var line in text.Split('\n'))
            {
                var parts = line.Split(' ');
                var sizes = parts[1..]
                    .Select(static s => long.TryParse(s, NumberStyles.None, CultureInfo.InvariantCulture, out var size) ? size : -1)
                    .ToArray();
                // Limits of a file: at most eight sizes, whose product is a length.
                if (
                    sizes.Length <= 8
                    && sizes.All(static s => s >= 0)
                    && sizes.Aggregate((Int128)1, static (a, b) => a > long.MaxValue ? a : a * b) <= long.MaxValue
                )
                    _shapes.TryAdd(parts[0], sizes);
            }
        }

        public IEnumerable<string> Names => _shapes.Keys;

        public long[] ShapeOf(string name) =>
            _shapes.TryGetValue(name, out var shape) ? shape : throw new InputException($"The tensor '{name}' is missing in the listing.");

        public Tensor Read(string name) => throw new InputException("A listing has no values.");

        public Tensor ReadOwned(string name) => Read(name);
    }
}
