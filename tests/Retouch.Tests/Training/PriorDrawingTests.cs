using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Denoisers;
using Retouch.Denoisers.UNet;
using Retouch.Images;
using Retouch.Pipelines.Diffusers;
using Retouch.Samplers;
using Retouch.Tests.Goldens;
using Retouch.Tests.Pipelines;
using Retouch.Tests.Training.Distributed;
using Retouch.Tests.Training.Prompts;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.Telemetry;

namespace Retouch.Tests.Training;

/// <summary>Prior pictures that a run draws itself.</summary>
public sealed class PriorDrawingTests : IDisposable
{
    private const string Scheduler = """
        { "_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
          "num_train_timesteps": 1000, "prediction_type": "epsilon", "clip_sample": false, "set_alpha_to_one": false, "steps_offset": 1 }
        """;

    private readonly TemporaryFolder _folder = new();

    public PriorDrawingTests()
    {
        TextPipelineFolder.Write(_folder["text"]);
        Save("model", 3);
        for (var k = 0; k < 4; k++)
        {
            _folder.Add($"own/{k}.png", PictureFile.Encode(Picture.Filled(16, 16, new Rgb((byte)(60 * k), 0, 0)), PictureFormat.Png));
            _folder.Add($"own/{k}.txt", $"my dog {k}");
        }
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Pictures_are_samples_of_the_initial_model()
    {
        using var probe = new ProgressProbe();
        var run = TinyRun.Train(Options(), _folder["run"], probe);
        Assert.Contains(
            $"prior    5 pictures of 'a dog' in {run}/prior, drawn with the initial model before the first step (3 sampler steps, "
                + "guidance 2)",
            probe.Notes
        );
        var lines = File.ReadAllLines(Path.Combine(run, "prior/metadata.jsonl")).Select(static l => JsonNode.Parse(l)!).ToArray();
        Assert.Equal(["a dog"], lines.Select(static l => (string?)l["text"]).Distinct());
        var seeds = lines.Select(static l => (ulong)l["seed"]!).ToArray();
        Assert.Equal([0ul, 1, 2, 3, 4], seeds.Select(s => s - seeds[0]));
        using var scope = TensorScope.Enter();
        using var pipeline = LatentDiffusionPipeline.Load(_folder["model"], Device.Cpu);
        var request = pipeline.Request(seeds, 16, 16) with { Steps = 3, Guidance = new(2), BatchSize = 3 };
        var expected = PipelineSampler.Sample(pipeline, pipeline.Prompted(request, ["a dog"], Device.Cpu), Device.Cpu);
        Assert.Equal(5, expected.Count);
        for (var k = 0; k < 5; k++)
            Assert.True(expected[k].SameAs(PictureFile.Load(Path.Combine(run, $"prior/{k:D5}.png"))), $"{k}");
        // The folder is a data set with captions.
        Assert.Equal("a dog", ImageFolder.Open(Path.Combine(run, "prior"))[4].Caption);
        var records = MetricsReader.Read(Path.Combine(run, "metrics.jsonl"));
        Assert.Contains(records, static r => r.Values.Any(static v => v.Key == "loss/prior/raw" && v.Value > 0));
    }

    [Fact]
    [Trait("speed", "slow")]
    public void An_interrupted_run_draws_the_rest_and_a_complete_one_nothing()
    {
        var whole = TinyRun.Train(Options(), _folder["whole"]);
        // In the second of two batches.
        TinyRun.TrainUntil(Options(), _folder["cut"], static p => p.Unit == "sampler step" && p.Step == 4);
        Assert.Equal(3, Directory.GetFiles(_folder["cut/prior"], "*.png").Length);
        var first = File.GetLastWriteTimeUtc(_folder["cut/prior/00000.png"]);
        using var rest = new ProgressProbe();
        TinyRun.Resume(_folder["cut"], rest);
        Assert.Equal([1, 2, 3], rest.Steps.Where(static p => p.Unit == "sampler step").Select(static p => p.Step));
        Assert.Contains(
            rest.Notes,
            static n =>
                n.StartsWith("prior ", StringComparison.Ordinal)
                && n.Contains("3 drawn before and 2 drawn with the initial model", StringComparison.Ordinal)
        );
        Assert.Equal(first, File.GetLastWriteTimeUtc(_folder["cut/prior/00000.png"]));
        foreach (var file in Directory.GetFiles(Path.Combine(whole, "prior")))
            Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(Path.Combine(_folder["cut/prior"], Path.GetFileName(file))));
        Assert.Equal(TinyRun.WeightFiles(whole), TinyRun.WeightFiles(_folder["cut"]));
        // Also in another place.
        Directory.Move(_folder["cut"], _folder["moved"]);
        using var more = new ProgressProbe();
        TinyRun.Resume(_folder["moved"], more, steps: 8);
        Assert.DoesNotContain(more.Steps, static p => p.Unit == "sampler step");
        Assert.Contains(
            more.Notes,
            static n => n.StartsWith("prior ", StringComparison.Ordinal) && n.EndsWith("all drawn before", StringComparison.Ordinal)
        );
        Assert.Equal(8, more.Steps[^1].Step);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_given_folder_is_used_by_later_runs_with_the_same_settings()
    {
        var given = new JsonObject { ["data.prior.folder"] = _folder["dogs"] };
        TinyRun.Train(Options(given), _folder["a"]);
        Assert.False(Directory.Exists(_folder["a/prior"]));
        var before = File.ReadAllBytes(_folder["dogs/00004.png"]);
        // Another seed of the run; two more pictures, with the seeds that follow.
        given["seed"] = 6;
        given["data.prior.count"] = 7;
        using var probe = new ProgressProbe();
        TinyRun.Train(Options(given), _folder["b"], probe);
        Assert.Contains(probe.Notes, static n => n.Contains("5 drawn before and 2 drawn with the initial model", StringComparison.Ordinal));
        Assert.Equal(before, File.ReadAllBytes(_folder["dogs/00004.png"]));
        var seeds = File.ReadAllLines(_folder["dogs/metadata.jsonl"]).Select(static l => (ulong)JsonNode.Parse(l)!["seed"]!).ToArray();
        Assert.Equal([0ul, 1, 2, 3, 4, 5, 6], seeds.Select(s => s - seeds[0]));
        // Fewer than there are.
        given["data.prior.count"] = 2;
        Assert.Equal(0, Plan(given));
        given["data.prior.prompt"] = "a cat";
        Assert.Contains("prompt was \"a dog\" and is \"a cat\"", Assert.Throws<InputException>(() => Plan(given)).Message);
        given.Remove("data.prior.prompt");
        Save("other", 4);
        given["model.path"] = _folder["other"];
        Assert.Contains("another model", Assert.Throws<InputException>(() => Plan(given)).Message);
        // Other pictures.
        given["data.prior.folder"] = _folder["own"];
        Assert.Contains("has no prior.json", Assert.Throws<UsageException>(() => Plan(given)).Message);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_plan_names_the_number_of_pictures_and_draws_none()
    {
        Assert.Equal(5, Plan([]));
        Assert.Equal(5, Plan(new() { ["data.prior.folder"] = _folder["dogs"] }));
        Assert.False(Directory.Exists(_folder["dogs"]));
    }

    [Fact]
    public void Pictures_of_a_class_have_its_label()
    {
        using (var pipeline = TinyModel.Pipeline(JsonNode.Parse(Scheduler)!.AsObject()))
            pipeline.Save(_folder["classes"]);
        _folder.Add("data/2/a.png", File.ReadAllBytes(_folder["own/0.png"]));
        _folder.Add("data/1/a.png", File.ReadAllBytes(_folder["own/1.png"]));
        var set = $$"""
            { "model": { "path": "{{_folder["classes"]}}" }, "data": { "folder": "{{_folder["data"]}}", "size": 16,
              "prior": { "count": 2, "class": "3", "steps": 2 } }, "steps": 1 }
            """;
        using var probe = new ProgressProbe();
        var run = TinyRun.Train(TinyRun.Denoiser("{}", set: set), _folder["run"], probe);
        Assert.Contains(probe.Notes, static n => n.StartsWith("prior    2 pictures of '3' in", StringComparison.Ordinal));
        var lines = File.ReadAllLines(Path.Combine(run, "prior/metadata.jsonl"));
        Assert.Equal([3, 3], lines.Select(static l => (int)JsonNode.Parse(l)!["label"]!));
        Assert.Contains(
            "data.prior.class is missing",
            Assert
                .Throws<UsageException>(() =>
                    TrainingRun.Start(TinyRun.Denoiser("{}", set: set.Replace("\"class\": \"3\",", "")), null, TimeProvider.System)
                )
                .Message
        );
    }

    [Theory]
    [InlineData("data.prior", """{ "prompt": "a dog" }""", "data.prior.folder is missing")]
    [InlineData("data.prior", """{ "folder": "x", "steps": 20 }""", "they have no effect without count")]
    [InlineData("data.prior", """{ "count": 2, "prompt": "a", "class": "b" }""", "data.prior.class and prompt exclude each other")]
    [InlineData("data.prior.count", "0", "data.prior.count is 0")]
    [InlineData("data.prior.folder", "\"\"", "data.prior.folder is empty")]
    public void Options_without_meaning_are_errors(string path, string value, string message) =>
        Assert.Contains(message, Assert.Throws<UsageException>(Options(new() { [path] = JsonNode.Parse(value) }).Validate).Message);

    [Fact]
    public void Drawing_needs_a_model_and_a_prompt()
    {
        var scratch = PromptRun.Options(
            _folder["text"],
            new()
            {
                ["data.prior"] = new JsonObject { ["count"] = 2, ["prompt"] = "a dog" },
            }
        );
        Assert.Contains("data.prior.count draws pictures with an existing model", Assert.Throws<UsageException>(scratch.Validate).Message);
        foreach (
            var (prior, message) in ((string, string)[])
                [
                    ("""{ "count": 2 }""", "data.prior.prompt is missing"),
                    ("""{ "count": 2, "class": "x" }""", "data.prior.class has no effect"),
                ]
        )
            Assert.Contains(message, Assert.Throws<UsageException>(() => Plan(new() { ["data.prior"] = JsonNode.Parse(prior) })).Message);
    }

    /// <summary>Plans a run; returns the number of pictures to draw.</summary>
    [Fact]
    [Trait("speed", "slow")]
    public void Several_processes_draw_the_pictures_of_one()
    {
        var options = Options(
            new()
            {
                ["batch.size"] = 2,
                ["batch.accumulate"] = 2,
                ["steps"] = 1,
            }
        );
        TinyRun.Train(options, _folder["alone"]);
        Worlds.Run(
            2,
            world =>
            {
                using var run = TrainingRun.Start(options, _folder["shared"], TimeProvider.System, world);
                run.Train();
            }
        );
        var files = Directory.GetFiles(_folder["alone/prior"]).Select(f => Path.GetFileName(f)).Order().ToArray();
        Assert.Equal(5 + 2, files.Length);
        Assert.Equal(files, Directory.GetFiles(_folder["shared/prior"]).Select(f => Path.GetFileName(f)).Order());
        foreach (var file in files)
            Assert.Equal(File.ReadAllBytes(_folder[$"alone/prior/{file}"]), File.ReadAllBytes(_folder[$"shared/prior/{file}"]));
    }

    private int? Plan(JsonObject set)
    {
        using var run = TrainingRun.Start(Options(set), null, TimeProvider.System);
        return run.Plan(default).DrawnPictures;
    }

    private TrainingOptions Options(JsonObject? set = null)
    {
        var all = new JsonObject
        {
            ["model"] = new JsonObject { ["path"] = _folder["model"] },
            ["data"] = new JsonObject
            {
                ["folder"] = _folder["own"],
                ["size"] = 16,
                ["prior"] = new JsonObject
                {
                    ["count"] = 5,
                    ["prompt"] = "a dog",
                    ["steps"] = 3,
                    ["guidance"] = 2,
                },
            },
            ["objective"] = new JsonObject(),
            ["samples.every"] = 0,
        };
        foreach (var (path, value) in set ?? [])
            all[path] = value?.DeepClone();
        return PromptRun.Options(_folder["text"], all);
    }

    /// <summary>Saves a text-conditional pipeline of random weights.</summary>
    private void Save(string name, ulong seed)
    {
        IDenoiser denoiser = new UNet2DCondition(UNet2DConditionConfig.FromJson(PromptRun.Network(TextPipelineFolder.Width)));
        using (var generator = Generator.Create(Device.Cpu, seed))
            denoiser.Parameters.Initialise(generator, Device.Cpu);
        using var pipeline = LatentDiffusionPipeline.Create(
            TinyModel.Autoencoder(),
            denoiser,
            JsonNode.Parse(Scheduler)!.AsObject(),
            promptsFrom: _folder["text"]
        );
        pipeline.Save(_folder[name]);
    }
}
