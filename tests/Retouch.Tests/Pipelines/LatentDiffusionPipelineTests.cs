using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Denoisers.Dit;
using Retouch.Diffusion;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Goldens;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;

namespace Retouch.Tests.Pipelines;

/// <summary>Whole pipelines in diffusers' layout.</summary>
public sealed class LatentDiffusionPipelineTests : IDisposable
{
    private const string Index = """
        {
          "_class_name": "DiTPipeline",
          "_diffusers_version": "0.30.3",
          "id2label": {"0": "tench, Tinca tinca", "1": "caf\u00e9"},
          "scheduler": ["diffusers", "DDIMScheduler"],
          "text_encoder": ["transformers", "CLIPTextModel"],
          "safety_checker": [null, null],
          "tokenizer": ["transformers", "CLIPTokenizer"],
          "transformer": ["diffusers", "DiTTransformer2DModel"],
          "vae": ["diffusers", "AutoencoderKL"]
        }

        """;

    private const string Scheduler =
        """{"_class_name": "DDIMScheduler", "beta_end": 2e-02, "prediction_type": "epsilon", "of_the_future": [1.50]}""";

    private readonly TemporaryFolder _folder = new();

    public LatentDiffusionPipelineTests()
    {
        CopyComponent("autoencoder_kl_2level", "vae");
        CopyComponent("dit", "transformer");
        Write("scheduler/scheduler_config.json", Scheduler);
        Write("model_index.json", Index);
        Write("text_encoder/inner/weights.bin", "not ours");
        File.SetAttributes(Path.Combine(Model, "text_encoder", "inner", "weights.bin"), FileAttributes.ReadOnly);
    }

    private string Model => _folder["model"];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("""{"0": ["tench", "Tinca tinca"], "1": "dog"}""")]
    [InlineData("""[["tench", "Tinca tinca"], "dog"]""")]
    public void Class_names_are_read_in_other_forms_and_kept(string names)
    {
        Write("model_index.json", Index.Replace("""{"0": "tench, Tinca tinca", "1": "caf\u00e9"}""", names, StringComparison.Ordinal));
        using var pipeline = LatentDiffusionPipeline.Load(Model, Device.Cpu);
        Assert.Equal(("tench, Tinca tinca", "dog"), (pipeline.Labels[0], pipeline.Labels[1]));
        pipeline.Save(_folder["copy"]);
        Assert.Contains(names, File.ReadAllText(_folder["copy/model_index.json"]), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("7")]
    [InlineData("""{"x": "tench"}""")]
    [InlineData("""{"0": [1]}""")]
    public void Other_class_names_are_rejected(string names)
    {
        Write("model_index.json", Index.Replace("""{"0": "tench, Tinca tinca", "1": "caf\u00e9"}""", names, StringComparison.Ordinal));
        Assert.Contains(
            "id2label",
            Assert.Throws<InputException>(() => LatentDiffusionPipeline.Load(Model, Device.Cpu)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void A_pipeline_survives_a_round_trip()
    {
        using (var pipeline = LatentDiffusionPipeline.Load(Model, Device.Cpu))
        {
            Assert.Equal("café", pipeline.Labels[1]);
            Assert.Equal((4, 4, 10), (pipeline.Autoencoder.LatentChannels, pipeline.Denoiser.LatentChannels, pipeline.Denoiser.ClassCount));
            pipeline.Save(_folder["copy"]);
        }

        AssertSame(_folder["copy"]);
        Assert.False(Directory.Exists(Path.Combine(_folder["copy"], "tokenizer")));
    }

    [Fact]
    public void A_pipeline_folder_can_be_overwritten_by_itself()
    {
        var copy = _folder["before"];
        using var pipeline = LatentDiffusionPipeline.Load(Model, Device.Cpu);
        pipeline.Save(copy);
        pipeline.Save(Model);
        pipeline.Save(Model);
        AssertSame(copy);
        Assert.Equal([copy, Model], Directory.EnumerateFileSystemEntries(_folder.Path).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Changes_are_written_and_other_files_are_unchanged()
    {
        using var pipeline = LatentDiffusionPipeline.Load(Model, Device.Cpu);
        Assert.Equal(PredictionType.Epsilon, Assert.IsType<DdpmFormulation>(pipeline.CreateFormulation()).Prediction);
        pipeline.SchedulerConfig["_class_name"] = "DDPMScheduler";
        pipeline.SchedulerConfig["prediction_type"] = "v_prediction";
        pipeline.Labels = new Dictionary<int, string> { [0] = "cat", [10] = "dog" };
        using var average = Ops.Full([32], 0.25);
        pipeline.Save(_folder["copy"], DType.BFloat16, [KeyValuePair.Create("pos_embed.proj.bias", average)]);
        Assert.Equal(
            "{\n  \"_class_name\": \"DDPMScheduler\",\n  \"beta_end\": 2e-02,\n  \"prediction_type\": \"v_prediction\",\n  "
                + "\"of_the_future\": [1.50]\n}\n",
            File.ReadAllText(Path.Combine(_folder["copy"], "scheduler", "scheduler_config.json"))
        );
        using var again = LatentDiffusionPipeline.Load(_folder["copy"], Device.Cpu, dtype: null);
        Assert.Equal(pipeline.Labels.OrderBy(static p => p.Key), again.Labels.OrderBy(static p => p.Key));
        Assert.Equal(PredictionType.VPrediction, Assert.IsType<DdpmFormulation>(again.CreateFormulation()).Prediction);
        pipeline.SchedulerConfig["_class_name"] = "KarrasVeScheduler";
        Assert.Contains(
            Path.Combine(Model, "scheduler", "scheduler_config.json"),
            Assert.Throws<InputException>(() => pipeline.CreateFormulation()).Message,
            StringComparison.Ordinal
        );
        var bias = again.Denoiser.Parameters.Find("pos_embed.proj.bias")!.Value;
        Assert.Equal(DType.BFloat16, bias.DType);
        Assert.All(bias.ToArray<float>(), static v => Assert.Equal(0.25f, v));
        var index = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder["copy"], "model_index.json")))!;
        Assert.Equal("DDPMScheduler", (string?)index["scheduler"]![1]);
        Assert.Equal("CLIPTokenizer", (string?)index["tokenizer"]![1]);
    }

    [Fact]
    public void A_new_pipeline_is_read_back()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var generator = Generator.Create(Device.Cpu, 1);
        var autoencoder = new AutoencoderKl(new AutoencoderKlConfig { BlockOutChannels = [8], NormNumGroups = 4 });
        var denoiser = new DiTTransformer2D(
            new DiTConfig
            {
                NumAttentionHeads = 1,
                AttentionHeadDim = 8,
                NumLayers = 1,
                SampleSize = 4,
                NumEmbedsAdaNorm = 2,
            }
        );
        using var made = LatentDiffusionPipeline.Create(
            autoencoder,
            denoiser,
            JsonNode.Parse(Scheduler)!.AsObject(),
            new Dictionary<int, string> { [0] = "cat", [1] = "dog" }
        );
        autoencoder.Parameters.Initialise(generator, Device.Cpu);
        denoiser.Parameters.Initialise(generator, Device.Cpu);
        made.Save(_folder["made"]);
        using var again = LatentDiffusionPipeline.Load(_folder["made"], Device.Cpu);
        Assert.Equal("dog", again.Labels[1]);
        var latent = Ops.Randn([1, 4, 4, 4], generator);
        Assert.Equal(
            autoencoder.Decode(new Latent(latent)).ToArray<float>(),
            again.Autoencoder.Decode(new Latent(latent)).ToArray<float>()
        );
        var condition = new Condition(Tensor.From([1L]));
        Assert.Equal(
            denoiser.Predict(latent, condition.ClassLabels!, condition).Value.ToArray<float>(),
            again.Denoiser.Predict(latent, condition.ClassLabels!, condition).Value.ToArray<float>()
        );
    }

    [Fact]
    public void All_missing_files_are_named_at_once()
    {
        Directory.Move(Path.Combine(Model, "transformer"), Path.Combine(Model, "transfomer"));
        File.Delete(Path.Combine(Model, "scheduler", "scheduler_config.json"));
        var error = Assert.Throws<InputException>(() => LatentDiffusionPipeline.Load(Model, Device.Cpu)).Message;
        Assert.Contains("lacks scheduler/scheduler_config.json, transformer/ or unet/", error, StringComparison.Ordinal);
        Assert.Contains("transfomer", error, StringComparison.Ordinal);
        Assert.Contains(
            "whole pipeline",
            Assert.Throws<InputException>(() => LatentDiffusionPipeline.Load(Path.Combine(Model, "vae"), Device.Cpu)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Incompatible_components_are_rejected()
    {
        Directory.Delete(Path.Combine(Model, "vae"), recursive: true);
        CopyComponent("autoencoder_kl_16ch_noquant", "vae");
        Assert.Contains(
            "16 latent channels, the denoiser 4",
            Assert.Throws<InputException>(() => LatentDiffusionPipeline.Load(Model, Device.Cpu)).Message,
            StringComparison.Ordinal
        );
        Directory.Delete(Path.Combine(Model, "vae"), recursive: true);
        CopyComponent("dit", "vae");
        Assert.Contains(
            "but an autoencoder is needed there",
            Assert.Throws<InputException>(() => LatentDiffusionPipeline.Load(Model, Device.Cpu)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void A_vanished_component_fails_the_save_and_keeps_the_old_folder()
    {
        using var pipeline = LatentDiffusionPipeline.Load(Model, Device.Cpu);
        pipeline.Save(_folder["copy"]);
        Directory.Delete(Path.Combine(Model, "text_encoder"), recursive: true);
        Assert.Contains(
            "text_encoder",
            Assert.Throws<InputException>(() => pipeline.Save(_folder["copy"])).Message,
            StringComparison.Ordinal
        );
        Assert.Equal("not ours", File.ReadAllText(Path.Combine(_folder["copy"], "text_encoder", "inner", "weights.bin")));
    }

    private void AssertSame(string copy)
    {
        foreach (
            var name in (string[])
                [
                    "model_index.json",
                    "scheduler/scheduler_config.json",
                    "vae/config.json",
                    "transformer/config.json",
                    "text_encoder/inner/weights.bin",
                ]
        )
            Assert.Equal(File.ReadAllText(Path.Combine(Model, name)), File.ReadAllText(Path.Combine(copy, name)));
        foreach (var name in (string[])["vae", "transformer"])
            ComponentFolderTests.AssertSameTensors(
                Path.Combine(Model, name, "diffusion_pytorch_model.safetensors"),
                Path.Combine(copy, name, "diffusion_pytorch_model.safetensors")
            );
    }

    private void CopyComponent(string golden, string name)
    {
        using var source = GoldenCase.Open(golden);
        Directory.CreateDirectory(Path.Combine(Model, name));
        foreach (var file in (string[])["config.json", "diffusion_pytorch_model.safetensors"])
            File.Copy(source.PathOf(file), Path.Combine(Model, name, file));
    }

    private void Write(string name, string text)
    {
        var path = Path.Combine(Model, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }
}
