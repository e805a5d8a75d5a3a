using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Denoisers;
using Retouch.Pipelines.Diffusers;
using Retouch.Pipelines.Lora;
using Retouch.Tests.Goldens;
using Retouch.Tests.Pipelines;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Torch.Safetensors;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.State;

namespace Retouch.Tests.Training.Lora;

/// <summary>Runs that train adapters of a frozen denoiser: interrupted, resumed, saved and loaded.</summary>
public sealed class LoraRunTests : IDisposable
{
    private const string DiT = """
        { "_class_name": "DiTTransformer2DModel", "num_attention_heads": 2, "attention_head_dim": 8, "in_channels": 4, "out_channels": 4,
        "num_layers": 2,
          "sample_size": 4, "patch_size": 2, "num_embeds_ada_norm": 10, "norm_num_groups": 1 }
        """;

    private const string UNet = """
        { "_class_name": "UNet2DConditionModel", "sample_size": 4, "in_channels": 4, "out_channels": 4, "block_out_channels": [8, 16],
        "layers_per_block": 1,
          "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"], "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
          "cross_attention_dim": 16,
          "attention_head_dim": 2, "norm_num_groups": 4 }
        """;

    private const string PixArt = """
        { "_class_name": "PixArtTransformer2DModel", "num_attention_heads": 2, "attention_head_dim": 8, "cross_attention_dim": 16,
        "caption_channels": 16, "in_channels": 4, "out_channels": 8,
          "num_layers": 2, "sample_size": 4, "patch_size": 2, "norm_num_groups": 1, "use_additional_conditions": false }
        """;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [Trait("speed", "slow")]
    [InlineData(DiT, "transformer", """["attention"]""", false)]
    [InlineData(DiT, "transformer", """["all"]""", true)]
    [InlineData(UNet, "unet", """["attention", "conv1"]""", true)]
    [InlineData(PixArt, "transformer", """["all-linear"]""", false)]
    public void A_run_trains_adapters_only_and_resumes_to_the_same_bytes(string config, string component, string targets, bool checkpoint)
    {
        Base(config);
        var before = Bytes(_folder["base"]);
        var options = Options(
            $$"""
            { "lora": { "rank": 2, "alpha": 4, "targets": {{targets}} },
            "model.checkpointActivations": {{(checkpoint ? "true" : "false")}} }
            """
        );
        var whole = Train(options, "whole", null);
        Assert.Throws<OperationCanceledException>(() => Train(options, "parts", 3));
        using (var resumed = TrainingRun.Resume(_folder["parts"], null, TimeProvider.System))
            resumed.Train(new ProgressProbe(), default);
        var (expected, actual) = (TinyRun.WeightFiles(whole.Run), TinyRun.WeightFiles(_folder["parts"]));
        // Checkpoints of five tensor files would contain a copy of the denoiser; models are one file each.
        string[] names = ["model", "model-average-0.5"];
        foreach (
            var name in names
                .Select(static n => $"{n}/{LoraFile.Name}")
                .Concat(new[] { "weights", "optimiser", "average-0.5" }.Select(static n => $"checkpoints/step-00000006/{n}.safetensors"))
        )
            Assert.True(expected[name].AsSpan().SequenceEqual(actual[name]), $"{name} differs");
        Assert.Equal(TinyRun.Metrics(whole.Run), TinyRun.Metrics(_folder["parts"]));
        foreach (var name in names)
            Assert.Equal(
                [AdapterFolder.ConfigName, LoraFile.Name],
                Directory.EnumerateFileSystemEntries(Path.Combine(whole.Run, name)).Select(Path.GetFileName).Order(StringComparer.Ordinal)
            );
        using (var weights = SafetensorsFile.Open(Path.Combine(new CheckpointStore(whole.Run).FolderOf(6), "weights.safetensors")))
            Assert.All(weights.Names, static n => Assert.Contains(".lora_", n, StringComparison.Ordinal));
        Assert.Equal(before, Bytes(_folder["base"]));

        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var merged = LatentDiffusionPipeline.Load(whole.Models[0], Device.Cpu);
        using var plain = LatentDiffusionPipeline.Load(_folder["base"], Device.Cpu);
        var without = Predict(plain.Denoiser);
        using var adapters = LoraFile.Attach(whole.Models[0], plain.Denoiser.Parameters, Device.Cpu);
        Assert.All(adapters.Parameters.All, static p => Assert.True(p.Shape.Contains(2)));
        var with = Predict(plain.Denoiser);
        var change = Distance(without, with);
        Assert.True(change > 1e-4, $"the adapters change the prediction by {change} only");
        Assert.True(Distance(with, Predict(merged.Denoiser)) < 1e-3 * change);
        using var average = LatentDiffusionPipeline.Load(whole.Models[1], Device.Cpu);
        Assert.InRange(Distance(without, Predict(average.Denoiser)), 1e-3 * change, change);
        using var file = SafetensorsFile.Open(Path.Combine(whole.Models[0], LoraFile.Name));
        Assert.All(file.Names, n => Assert.StartsWith(component + ".", n, StringComparison.Ordinal));
    }

    /// <summary>
    /// New adapters have no effect, so that the first loss equals that of full training; a frozen network has no gradients, and less is
    /// saved.
    /// </summary>
    [Fact]
    public void The_first_step_equals_full_training_with_less_memory()
    {
        Base(DiT);
        using var full = TrainingRun.Start(Options("{}"), null, TimeProvider.System);
        using var lora = TrainingRun.Start(Options("""{ "lora.rank": 2 }"""), null, TimeProvider.System);
        var (large, small) = (full.Plan(default), lora.Plan(default));
        Assert.Null(large.FrozenParameters);
        Assert.Equal(large.TrainedParameters, small.FrozenParameters);
        // Four attention layers in each of two blocks, 16 by 16.
        Assert.Equal(2 * 4 * 2 * (16 + 16), small.TrainedParameters);
        Assert.Equal(small.TrainedParameters * 4 * 5, small.StateBytes);
        Train(Options("""{ "steps": 1 }"""), "full", null);
        Train(Options("""{ "steps": 1, "lora.rank": 2 }"""), "lora", null);
        Assert.Equal(Loss("full"), Loss("lora"));
    }

    [Fact]
    public void Stacked_adapters_and_another_formulation_survive_a_round_trip()
    {
        Base(DiT);
        var first = Train(Options("""{ "lora.rank": 1 }"""), "first", null).Models[0];
        var scheduler = """
            { "_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
            "num_train_timesteps": 1000, "prediction_type": "sample" }
            """;
        var second = Train(
            Options($$"""{ "lora.rank": 2, "model.path": "{{first}}", "model.scheduler": {{scheduler}} }"""),
            "second",
            null
        ).Models[0];
        Assert.Equal(_folder["base"], AdapterFolder.RootOf(second));
        Assert.Equal([second, first], AdapterFolder.Stack(second).Select(static a => a.Folder));
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var both = LatentDiffusionPipeline.Load(second, Device.Cpu);
        Assert.Equal("sample", (string?)both.SchedulerConfig["prediction_type"]);
        using var one = LatentDiffusionPipeline.Load(first, Device.Cpu);
        Assert.Equal("v_prediction", (string?)one.SchedulerConfig["prediction_type"]);
        one.Merge(second);
        Assert.Equal(Predict(one.Denoiser), Predict(both.Denoiser));
        Assert.Equal(16, LatentDiffusionPipeline.NativeSizeOf(second));
    }

    [Fact]
    public void Errors_are_named()
    {
        Base(DiT);
        Assert.Contains(
            "No layer is called 'to_z'",
            Assert
                .Throws<UsageException>(() =>
                    TrainingRun.Start(Options("""{ "lora": { "targets": ["to_z"] } }"""), null, TimeProvider.System)
                )
                .Message,
            StringComparison.Ordinal
        );
        var error = Assert.Throws<UsageException>(() =>
            Options("""{ "lora": { "rank": 0, "alpha": -1, "targets": ["all", "to_q", "to_q"] } }""").Validate()
        );
        foreach (var words in (string[])["lora.rank is 0", "lora.alpha is -1", "contains a target twice", "beside all"])
            Assert.Contains(words, error.Message, StringComparison.Ordinal);
        Assert.Contains(
            "model.path",
            Assert.Throws<UsageException>(() => TinyRun.Denoiser(set: """{ "lora.rank": 2 }""").Validate()).Message,
            StringComparison.Ordinal
        );

        var model = Train(Options("""{ "steps": 1, "lora.rank": 2 }"""), "run", null).Models[0];
        Base(
            DiT.Replace("\"attention_head_dim\": 8", "\"attention_head_dim\": 12", StringComparison.Ordinal)
                .Replace("\"num_layers\": 2", "\"num_layers\": 1", StringComparison.Ordinal),
            "other"
        );
        using var other = LatentDiffusionPipeline.Load(_folder["other"], Device.Cpu);
        var misfit = Assert.Throws<InputException>(() => other.Merge(model)).Message;
        // The existing block has eight factors, seven of another width (no layer's B is [24, 2]); the missing one has eight.
        Assert.Contains("16 problems", misfit, StringComparison.Ordinal);
        Assert.Contains(
            "not a layer of this network: transformer.transformer_blocks.1.attn1.to_q.lora_A.weight",
            misfit,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "wrong shape: transformer.transformer_blocks.0.attn1.to_q.lora_A.weight is [2, 16], this network's layer needs [2, 24]",
            misfit,
            StringComparison.Ordinal
        );

        // Another base of the same shapes is detected; the same one in another type is accepted.
        using (var pipeline = LatentDiffusionPipeline.Load(_folder["base"], Device.Cpu))
            pipeline.Save(_folder["narrow"], DType.BFloat16);
        var config = Path.Combine(model, AdapterFolder.ConfigName);
        var written = JsonNode.Parse(File.ReadAllText(config))!.AsObject();
        string[] WarningsOn(string name)
        {
            written["base_model"] = _folder[name];
            File.WriteAllText(config, written.ToJsonString());
            using var loaded = LatentDiffusionPipeline.Load(model, Device.Cpu);
            return [.. loaded.Warnings];
        }

        Assert.Empty(WarningsOn("base"));
        Assert.Empty(WarningsOn("narrow"));
        using (var pipeline = LatentDiffusionPipeline.Load(_folder["base"], Device.Cpu))
        {
            using var scope = TensorScope.Enter();
            using var quiet = Autograd.NoGrad();
            foreach (var parameter in pipeline.Denoiser.Parameters.All)
                parameter.Value.MulInPlace(1.02);
            pipeline.Save(_folder["tuned"]);
        }

        Assert.Contains("weights other than", Assert.Single(WarningsOn("tuned")), StringComparison.Ordinal);
        written["base_sample"] = new JsonArray("one");
        File.WriteAllText(config, written.ToJsonString());
        Assert.Contains("base_sample", Refused(), StringComparison.Ordinal);
        File.WriteAllText(config, """{ "base_model": "nowhere" }""");
        Assert.Contains("which does not exist", Refused(), StringComparison.Ordinal);
        File.WriteAllText(config, """{ "base_model": "." }""");
        Assert.Contains("its own base_model", Refused(), StringComparison.Ordinal);
        File.WriteAllText(config, """{ "base_model": "../../base", "scheduler": 3 }""");
        Assert.Contains("scheduler is 3", Refused(), StringComparison.Ordinal);
        File.Delete(config);
        Assert.Contains("--lora", Refused(), StringComparison.Ordinal);
        File.WriteAllText(config, """{ "base_model": "../../base" }""");
        LatentDiffusionPipeline.Load(model, Device.Cpu).Dispose();

        string Refused() => Assert.Throws<InputException>(() => LatentDiffusionPipeline.Load(model, Device.Cpu)).Message;
    }

    private static float[] Predict(IDenoiser denoiser)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 4);
        var latents = Ops.Randn([2, 4, 4, 4], generator);
        var condition = denoiser.TextWidth is { } width
            ? new Condition { Text = Ops.Randn([2, 5, width], generator) }
            : new Condition(Tensor.From([1L, 7]));
        return denoiser.Predict(latents, Tensor.From([100L, 700]), condition).Value.ToArray<float>();
    }

    private static double Distance(float[] a, float[] b) => Math.Sqrt(a.Zip(b).Sum(static p => Math.Pow(p.First - p.Second, 2)) / a.Length);

    private static SortedDictionary<string, int> Bytes(string folder)
    {
        var files = Directory
            .EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Where(static f => f.EndsWith(".safetensors", StringComparison.Ordinal));
        return new(
            files.ToDictionary(static f => f, static f => (int)File.ReadAllBytes(f).Aggregate(17u, static (h, b) => (h * 31) + b)),
            StringComparer.Ordinal
        );
    }

    private string Loss(string run) =>
        TinyRun.Metrics(_folder[run])[0].Split(", ").Single(static v => v.Contains("loss/total=", StringComparison.Ordinal));

    /// <summary>Saves a pipeline with random weights; none is zero, so that every adapter has a gradient.</summary>
    private void Base(string config, string name = "base")
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var generator = Generator.Create(Device.Cpu, 2);
        var json = JsonNode.Parse(config)!.AsObject();
        var denoiser = (IDenoiser)ComponentRegistry.Find(json, "test").Create(json, "test");
        denoiser.Parameters.Initialise(generator, Device.Cpu);
        foreach (var parameter in denoiser.Parameters.Trained)
            parameter.Value.AddInPlace(Ops.Randn(parameter.Shape, generator) * 0.1);
        var text = denoiser.TextWidth is null ? null : _folder["text"];
        if (text is not null)
            TextPipelineFolder.Write(text);
        var scheduler = JsonNode
            .Parse(
                """
                { "_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
                "num_train_timesteps": 1000, "prediction_type": "v_prediction" }
                """
            )!
            .AsObject();
        using var pipeline = LatentDiffusionPipeline.Create(TinyModel.Autoencoder(), denoiser, scheduler, null, text);
        pipeline.Save(_folder[name]);
    }

    private TrainingOptions Options(string set)
    {
        var json = JsonNode
            .Parse(
                """
                {
                  "seed": 5, "steps": 6, "objective": { "perceptual": { "weight": 1 } }, "data": { "sceneCount": 9, "size": 16 },
                  "batch": { "size": 3 },
                  "optimiser": { "learningRate": 0.01 }, "averages": [ { "decay": 0.5 } ], "samples": { "every": 3, "count": 2, "steps": 2,
                  "guidance": 2 }, "checkpoints": { "every": 2 }
                }
                """
            )!
            .AsObject();
        json["model"] = new JsonObject { ["path"] = _folder["base"] };
        foreach (var (path, value) in JsonNode.Parse(set)!.AsObject())
            OptionsFile.Set(json, path, value?.DeepClone());
        return OptionsFile.Bind<TrainingOptions>(json, "test");
    }

    private TrainingOutcome Train(TrainingOptions options, string name, int? stopAfter)
    {
        using var source = new CancellationTokenSource();
        using var run = TrainingRun.Start(options, _folder[name], TimeProvider.System);
        using var probe = new ProgressProbe(p =>
        {
            if (p.Step == stopAfter)
                source.Cancel();
        });
        var outcome = run.Train(probe, source.Token);
        if (options.Lora is not null)
            Assert.Contains(probe.Notes, static n => n.Contains("adapters of rank", StringComparison.Ordinal));
        return outcome;
    }
}
