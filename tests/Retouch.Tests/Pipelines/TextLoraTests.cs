using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Denoisers.UNet;
using Retouch.Pipelines.Diffusers;
using Retouch.Pipelines.Lora;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Torch.Safetensors;
using Retouch.Training.Caching;

namespace Retouch.Tests.Pipelines;

/// <summary>Adapter files with parts for text encoders, and those with the original code's names for the U-Net.</summary>
public sealed class TextLoraTests : IDisposable
{
    private const string Layer = "text_model.encoder.layers.0.self_attn.q_proj";
    private const string Attention = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k";

    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-text-lora-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("text_encoder.{0}.lora_A.weight", "text_encoder.{0}.lora_B.weight", false)]
    [InlineData("text_encoder.{0}.lora_linear_layer.down.weight", "text_encoder.{0}.lora_linear_layer.up.weight", false)]
    [InlineData("lora_te_{0}.lora_down.weight", "lora_te_{0}.lora_up.weight", true)]
    [InlineData("lora_te1_{0}.lora_down.weight", "lora_te1_{0}.lora_up.weight", true)]
    public void Text_encoder_adapters_change_prompts_and_are_saved(string down, string up, bool underscores)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var model = Model();
        var (a, b) = Factors(TextPipelineFolder.Width, TextPipelineFolder.Width);
        var name = underscores ? Layer.Replace('.', '_') : Layer;
        var file = Write((string.Format(null, down, name), a), (string.Format(null, up, name), b));
        using var pipeline = LatentDiffusionPipeline.Load(model, Device.Cpu);
        var before = Encode(pipeline);
        var denoiser = pipeline.Denoiser.Parameters.All[3].Value.ToArray<float>();
        pipeline.Merge(file, 0.5);
        Assert.Equal(denoiser, pipeline.Denoiser.Parameters.All[3].Value.ToArray<float>());

        // Expected: the same encoder with 0.5·B·A added to that layer's weight.
        var expected = Path.Combine(_folder, "expected");
        Copy(model, expected);
        var weights = Path.Combine(expected, "text_encoder", "model.safetensors");
        List<KeyValuePair<string, Tensor>> changed;
        using (var stored = SafetensorsFile.Open(weights))
            changed =
            [
                .. stored.Names.Select(n =>
                    KeyValuePair.Create(n, n == Layer + ".weight" ? stored.Read(n) + (b.Matmul(a) * 0.5) : stored.Read(n).Clone())
                ),
            ];
        SafetensorsWriter.Write(weights, changed);
        using var other = LatentDiffusionPipeline.Load(expected, Device.Cpu);
        var merged = Encode(pipeline);
        Near(Encode(other), merged, 1e-6);
        Assert.True(before.Zip(merged).Max(static p => Math.Abs(p.First - p.Second)) > 1e-3);

        var saved = Path.Combine(_folder, "saved");
        pipeline.Save(saved);
        using var again = LatentDiffusionPipeline.Load(saved, Device.Cpu);
        Near(merged, Encode(again), 1e-6);
        Assert.Empty(again.TextAdapters);
        Assert.Equal(
            File.ReadAllText(Path.Combine(model, "text_encoder", "config.json")),
            File.ReadAllText(Path.Combine(saved, "text_encoder", "config.json"))
        );
        // Encoded prompts are cached by adapter and scale.
        Assert.NotEqual(ComponentHash.Of(pipeline.TextAdapters[0]), ComponentHash.Of(pipeline.TextAdapters[0] with { Strength = 1 }));
    }

    [Fact]
    public void A_file_with_both_parts_changes_both_networks()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var (a, b) = Factors(TextPipelineFolder.Width, TextPipelineFolder.Width);
        var (c, d) = Factors(TextPipelineFolder.Width, 32);
        var file = Write(
            ($"text_encoder.{Layer}.lora_A.weight", a),
            ($"text_encoder.{Layer}.lora_B.weight", b),
            ($"unet.{Attention}.lora_A.weight", c),
            ($"unet.{Attention}.lora_B.weight", d)
        );
        using var pipeline = LatentDiffusionPipeline.Load(Model(), Device.Cpu);
        var before = Encode(pipeline);
        var weight = pipeline.Denoiser.Parameters.Find(Attention + ".weight")!;
        var expected = (weight.Value + d.Matmul(c)).ToArray<float>();
        pipeline.Merge(file);
        Near(expected, weight.Value.ToArray<float>(), 1e-6);
        Assert.NotEqual(before, Encode(pipeline));
        Assert.Equal([null, "text_encoder"], LoraFile.PartsOf(file));
    }

    [Fact]
    public void Original_names_of_a_U_Net_are_read()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var pipeline = LatentDiffusionPipeline.Load(Model(), Device.Cpu);
        // input_blocks.1 is the first layer after conv_in; its second part is the transformer.
        var (a, b) = Factors(TextPipelineFolder.Width, 32);
        var weight = pipeline.Denoiser.Parameters.Find(Attention + ".weight")!;
        var convolution = pipeline.Denoiser.Parameters.Find("down_blocks.0.resnets.0.conv1.weight")!;
        var (c, d) = (Ops.Ones([2, 32, 3, 3]) * 0.1, Ops.Ones([32, 2, 1, 1]) * 0.1);
        var expected = (weight.Value + b.Matmul(a)).ToArray<float>();
        var expectedConvolution = (convolution.Value + 0.02).ToArray<float>();
        pipeline.Merge(
            Write(
                ("lora_unet_input_blocks_1_1_transformer_blocks_0_attn2_to_k.lora_down.weight", a),
                ("lora_unet_input_blocks_1_1_transformer_blocks_0_attn2_to_k.lora_up.weight", b),
                ("lora_unet_input_blocks_1_0_in_layers_2.lora_down.weight", c),
                ("lora_unet_input_blocks_1_0_in_layers_2.lora_up.weight", d)
            )
        );
        Near(expected, weight.Value.ToArray<float>(), 1e-6);
        Near(expectedConvolution, convolution.Value.ToArray<float>(), 1e-6);
    }

    [Fact]
    public void Mismatched_parts_are_rejected_without_effect()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var pipeline = LatentDiffusionPipeline.Load(Model(), Device.Cpu);
        var (a, b) = Factors(TextPipelineFolder.Width, TextPipelineFolder.Width);
        var (c, d) = Factors(TextPipelineFolder.Width, 32);
        var before = pipeline.Denoiser.Parameters.Find(Attention + ".weight")!.Value.ToArray<float>();
        foreach (
            var (key, words) in ((string, string)[])
                [
                    ($"lora_te2_{Layer.Replace('.', '_')}", "text_encoder_2, which this model does not have"),
                    ("text_encoder.text_model.encoder.layers.7.mlp.fc1", "not a layer of this network"),
                ]
        )
        {
            var file = Write(
                ($"{key}.lora_down.weight", a),
                ($"{key}.lora_up.weight", b),
                ($"unet.{Attention}.lora_A.weight", c),
                ($"unet.{Attention}.lora_B.weight", d)
            );
            Assert.Contains(words, Assert.Throws<InputException>(() => pipeline.Merge(file)).Message, StringComparison.Ordinal);
        }

        Assert.Equal(before, pipeline.Denoiser.Parameters.Find(Attention + ".weight")!.Value.ToArray<float>());
        Assert.Empty(pipeline.TextAdapters);
    }

    private static (Tensor Down, Tensor Up) Factors(long inputs, long outputs)
    {
        using var generator = Generator.Create(Device.Cpu, (ulong)(inputs + (100 * outputs)));
        return (Ops.Randn([2, inputs], generator), Ops.Randn([outputs, 2], generator) * 0.3);
    }

    private static float[] Encode(LatentDiffusionPipeline pipeline)
    {
        using var encoders = pipeline.LoadPromptEncoders(Device.Cpu);
        return encoders.Encoder.Encode(["a red ball"]).Condition.Text!.ToArray<float>();
    }

    private static void Near(float[] expected, float[] found, double tolerance)
    {
        Assert.Equal(expected.Length, found.Length);
        Assert.True(expected.Zip(found).Max(static p => Math.Abs(p.First - p.Second)) <= tolerance);
    }

    private static void Copy(string from, string to)
    {
        foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
    }

    private string Write(params (string Key, Tensor Value)[] tensors)
    {
        var file = Path.Combine(_folder, "lora.safetensors");
        SafetensorsWriter.Write(file, tensors.Select(static t => KeyValuePair.Create(t.Key, t.Value)));
        return file;
    }

    /// <summary>A U-Net and a text encoder with random weights.</summary>
    private string Model()
    {
        var (texts, model) = (Path.Combine(_folder, "text"), Path.Combine(_folder, "model"));
        TextPipelineFolder.Write(texts);
        using var golden = GoldenCase.Open("autoencoder_kl_2level");
        using var generator = Generator.Create(Device.Cpu, 3);
        var autoencoder = new AutoencoderKl(AutoencoderKlConfig.FromJson(golden.ReadObject("config.json")));
        golden.LoadInto(autoencoder.Parameters);
        var denoiser = new UNet2DCondition(
            UNet2DConditionConfig.FromJson(
                JsonNode
                    .Parse(
                        """
                        { "_class_name": "UNet2DConditionModel", "sample_size": 8, "in_channels": 4, "out_channels": 4,
                        "block_out_channels": [32, 64], "layers_per_block": 1, "norm_num_groups": 8,
                          "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D",
                          "CrossAttnUpBlock2D"], "cross_attention_dim": 16, "attention_head_dim": 4 }
                        """
                    )!
                    .AsObject()
            )
        );
        denoiser.Parameters.Initialise(generator, Device.Cpu);
        var scheduler = new JsonObject
        {
            ["_class_name"] = "DDIMScheduler",
            ["beta_start"] = 0.00085,
            ["beta_end"] = 0.012,
            ["beta_schedule"] = "scaled_linear",
        };
        using var pipeline = LatentDiffusionPipeline.Create(autoencoder, denoiser, scheduler, promptsFrom: texts);
        pipeline.Save(model);
        return model;
    }
}
