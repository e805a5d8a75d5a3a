using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Data.Pairs;
using Retouch.Data.Scenes;
using Retouch.Tests.Goldens;
using Retouch.Tests.Pipelines;
using Retouch.Tests.Training.Telemetry;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.State;
using Retouch.Training.Telemetry;

namespace Retouch.Tests.Training.HeldOut;

/// <summary>Runs with a validation: their weights, logs, resume and early stop.</summary>
public sealed class HeldOutRunTests : IDisposable
{
    private const string Losses = """{ "perceptual": { "weight": 1 }, "pixel": { "weight": 1 } }""";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_validation_does_not_change_the_weights()
    {
        HeldOutFolder.WriteClasses(_folder["data"], 11, 0);
        HeldOutFolder.WriteClasses(_folder["other"], 4, 100);
        TrainingOptions Options(string validation) =>
            TinyRun.Denoiser(
                Losses,
                set: $$"""
                { "data": { "folder": "{{_folder["data"]}}", "size": 16, "flip": 0.5 }, "conditioning.dropout": 0.3{{validation}} }
                """
            );
        Train(Options(""), "without");
        Train(Options($$""", "validation": { "folder": "{{_folder["other"]}}", "every": 2, "timesteps": 2 }"""), "with");
        var (without, with) = (TinyRun.WeightFiles(_folder["without"]), TinyRun.WeightFiles(_folder["with"]));
        Assert.Equal(without.Keys, with.Keys);
        foreach (var (name, bytes) in without)
            Assert.True(bytes.AsSpan().SequenceEqual(with[name]), $"{name} differs");
        var records = MetricsReader.Read(_folder["with/metrics.jsonl"]);
        Assert.Equal(
            TinyRun.Metrics(_folder["without"]),
            TinyRun.Metrics(_folder["with"]).Where(static line => !line.Contains("validation/", StringComparison.Ordinal))
        );
        // Nine steps, every second one and both ends.
        long[] expected = [0, 2, 4, 6, 8, 9];
        Assert.Equal(expected, records.Where(static r => r.Find("validation/weights/latent") is not null).Select(static r => r.Step));
        foreach (var weights in new[] { "weights", "average-0.9", "average-0.99" })
        foreach (var name in new[] { "latent", "latent/t0-500", "latent/t500-1000", "lpl", "pixel", "pixel/t0-500" })
            Assert.True(records[0].Find($"validation/{weights}/{name}") > 0, $"{weights}/{name}");
        // Before the first step all averages are the weights.
        Assert.Equal(records[0].Find("validation/weights/lpl"), records[0].Find("validation/average-0.9/lpl"));
        Assert.NotEqual(records[^1].Find("validation/weights/latent"), records[^1].Find("validation/average-0.99/latent"));
    }

    [Theory]
    [InlineData(3, 0)] // between validations
    [InlineData(4, 0)] // after a step to be validated, before its validation
    [InlineData(-1, 5)] // within the validation before the first step
    public void A_resumed_run_has_the_same_validations_and_weights(int step, int batch)
    {
        var options = TinyRun.Denoiser(
            Losses,
            set: """{ "steps": 6, "validation": { "count": 3, "every": 2, "timesteps": 2, "stop": { "patience": 9 } } }"""
        );
        Train(options, "whole");
        Assert.Throws<OperationCanceledException>(() =>
            Train(options, "parts", p => p.Unit == "step" ? p.Step == step : batch > 0 && p.Step == batch)
        );
        using (var run = TrainingRun.Resume(_folder["parts"], null, TimeProvider.System))
            run.Train(new ProgressProbe(), CancellationToken.None);
        Assert.Equal(TinyRun.Metrics(_folder["whole"]), TinyRun.Metrics(_folder["parts"]));
        Assert.Equal(State("whole"), State("parts"));
        var (a, b) = (TinyRun.WeightFiles(_folder["whole"]), TinyRun.WeightFiles(_folder["parts"]));
        foreach (var name in a.Keys.Where(static k => k.StartsWith("model", StringComparison.Ordinal)))
            Assert.True(a[name].AsSpan().SequenceEqual(b[name]), $"{name} differs");
    }

    [Fact]
    public void A_run_without_improvement_stops_early_with_its_model()
    {
        // No loss falls by 99 % in two steps.
        var options = TinyRun.Denoiser(
            "{}",
            set: """{ "validation": { "count": 2, "every": 2, "stop": { "patience": 2, "smallestImprovement": 0.99 } } }"""
        );
        var probe = new ProgressProbe();
        TrainingOutcome outcome;
        using (var run = TrainingRun.Start(options, _folder["run"], TimeProvider.System))
            outcome = run.Train(probe, CancellationToken.None);
        Assert.Equal(4, outcome.Steps);
        Assert.True(outcome.Validation!.StoppedEarly);
        Assert.Contains("Stopped early after step 4 of 9: latent has not improved in 2 validations.", probe.Notes);
        Assert.All(outcome.Models, static m => Assert.True(Directory.Exists(m)));
        Assert.True(double.IsFinite(outcome.LastLoss));
        // A resume does not train on.
        using var again = TrainingRun.Resume(_folder["run"], null, TimeProvider.System);
        Assert.Equal(4, again.Train(new ProgressProbe(), CancellationToken.None).Steps);
    }

    [Fact]
    public void The_best_step_is_reported()
    {
        var options = TinyRun.Denoiser("{}", set: """{ "steps": 4, "validation": { "count": 2, "every": 1 } }""");
        var probe = new ProgressProbe();
        using var run = TrainingRun.Start(options, _folder["run"], TimeProvider.System);
        var outcome = run.Train(probe, CancellationToken.None).Validation!;
        var values = MetricsReader
            .Read(_folder["run/metrics.jsonl"])
            .Select(static r => (r.Step, Value: r.Find("validation/average-0.9/latent")))
            .Where(static r => r.Value is not null)
            .ToList();
        var best = values.MinBy(static r => r.Value);
        Assert.Equal((best.Step, best.Value, 4L, values[^1].Value), (outcome.BestStep, outcome.Best, outcome.LastStep, outcome.Last));
        Assert.StartsWith($"held-out latent: lowest after step {best.Step}, ", outcome.ToString(), StringComparison.Ordinal);
        Assert.Contains(probe.Steps, s => s.Figures.Any(static f => f.Key == "held-out latent"));
        Assert.Contains("held out 2 pictures of the data at 4 timesteps each, every 1 step", probe.Notes);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_run_that_ended_before_its_first_checkpoint_begins_its_log_again()
    {
        var options = TinyRun.Denoiser("{}", set: """{ "steps": 2, "validation": { "count": 2, "every": 1 } }""");
        TinyRun.Train(options, _folder["whole"]);
        TinyRun.Train(options, _folder["killed"]);
        Directory.Delete(_folder["killed/checkpoints"], recursive: true);
        TinyRun.Resume(_folder["killed"]);
        Assert.Equal(TinyRun.Metrics(_folder["whole"]), TinyRun.Metrics(_folder["killed"]));
    }

    [Fact]
    public void A_dry_run_measures_the_validation()
    {
        using var run = TrainingRun.Start(TinyRun.Denoiser("{}", set: """{ "validation": { "count": 2 } }"""), null, TimeProvider.System);
        Assert.True(run.Plan(CancellationToken.None).ValidationSeconds > 0);
    }

    [Fact]
    public void Held_out_pairs_start_at_log_2()
    {
        WritePairs("pairs");
        var options = TinyRun.Denoiser(
            """{ "preference": { "beta": 2000 } }""",
            set: $$"""
            {
              "steps": 2, "data": { "pairs": "{{_folder["pairs"]}}", "size": 16 }, "averages": [],
              "optimiser.learningRate": 0.01, "validation": { "count": 3, "timesteps": 2 }
            }
            """
        );
        Train(options, "run");
        var records = MetricsReader.Read(_folder["run/metrics.jsonl"]);
        Assert.Equal(Math.Log(2), records[0].Find("validation/weights/preference_latent")!.Value, 1e-6);
        Assert.Equal(0.5, records[0].Find("validation/weights/preference_latent/accuracy"));
        Assert.Equal(0, records[0].Find("validation/weights/preference_latent/margin/t0-500"));
        Assert.NotEqual(0, records[^1].Find("validation/weights/preference_latent/margin"));
        Assert.InRange(records[^1].Find("validation/weights/preference_latent/accuracy")!.Value, 0, 1);
    }

    [Fact]
    public void Prompts_and_adapters_are_validated()
    {
        TextPipelineFolder.Write(_folder["text"]);
        for (var k = 0; k < 12; k++)
        {
            HeldOutFolder.Write(_folder[$"data/{k}.png"], k);
            File.WriteAllText(_folder[$"data/{k}.txt"], k % 2 == 0 ? "a red ball" : "two trees");
        }

        var whole = TinyRun.Denoiser(
            "{}",
            set: $$"""
            {
              "steps": 1, "averages": [], "model.promptsFrom": "{{_folder["text"]}}", "model.config": {{Network}},
              "data": { "folder": "{{_folder["data"]}}", "size": 16 }, "conditioning.dropout": 0.5, "validation": { "count": 4 }
            }
            """
        );
        var model = Train(whole, "whole").Models[0];
        var adapters = whole with
        {
            Model = new() { Path = model },
            Lora = new() { Rank = 2 },
        };
        Train(adapters, "lora");
        var (trained, start) = (
            MetricsReader.Read(_folder["whole/metrics.jsonl"])[^1],
            MetricsReader.Read(_folder["lora/metrics.jsonl"])[0]
        );
        // Adapters start at zero, so their first validation is the last one of the model.
        Assert.Equal(trained.Find("validation/weights/latent/t0-250")!.Value, start.Find("validation/weights/latent/t0-250")!.Value, 1e-5);
        // The split follows from the names.
        Assert.Equal(File.ReadAllText(_folder["whole/held-out.json"]), File.ReadAllText(_folder["lora/held-out.json"]));
    }

    [Fact]
    public void An_autoencoder_is_validated_by_reconstruction()
    {
        var json = JsonNode
            .Parse(
                """
                {
                  "task": "autoencoder", "steps": 2, "averages": [], "batch": { "size": 2 }, "samples": { "every": 0 },
                  "data": { "sceneCount": 9, "size": 16 }, "validation": { "count": 3 }
                }
                """
            )!
            .AsObject();
        json["model"] = new JsonObject { ["path"] = TinyModel.AutoencoderFolder };
        Train(OptionsFile.Bind<TrainingOptions>(json, "test"), "run");
        var records = MetricsReader.Read(_folder["run/metrics.jsonl"]);
        Assert.True(records[0].Find("validation/weights/reconstruction") > 0);
        Assert.True(records[0].Find("validation/weights/kl") > 0);
        Assert.DoesNotContain(records[0].Values, static v => v.Key.Contains("/t0", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("""{ "count": 2, "fraction": 0.1 }""", "exclude each other")]
    [InlineData("""{ "folder": "x", "fraction": 0.1 }""", "validation.fraction is for samples split off")]
    [InlineData("""{ "every": 0 }""", "validation.every is 0; it must be at least 1")]
    [InlineData("""{ "fraction": 1 }""", "validation.fraction is 1; it must lie in (0, 1)")]
    [InlineData("""{ "stop": { "patience": 0 } }""", "validation.stop.patience is 0")]
    [InlineData(
        """{ "stop": { "term": "pixel" } }""",
        "validation.stop.term is 'pixel', which is not a term of this run; it has latent, lpl."
    )]
    public void Invalid_options_are_usage_errors(string validation, string expected)
    {
        var options = TinyRun.Denoiser("""{ "perceptual": {} }""", set: $$"""{ "validation": {{validation}} }""");
        var error = Assert.Throws<UsageException>(() => TrainingRun.Start(options, null, TimeProvider.System).Dispose());
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_precomputed_reference_is_a_usage_error()
    {
        WritePairs("pairs");
        var options = TinyRun.Denoiser(
            """{ "preference": { "reference": "precomputed" } }""",
            set: $$"""{ "data": { "pairs": "{{_folder["pairs"]}}", "size": 16 }, "validation": {} }"""
        );
        var error = Assert.Throws<UsageException>(() => TrainingRun.Start(options, null, TimeProvider.System).Dispose());
        Assert.Contains("objective.preference.reference precomputed", error.Message, StringComparison.Ordinal);
    }

    private static string Network =>
        $$"""
            { "_class_name": "UNet2DConditionModel", "sample_size": 4, "in_channels": 4, "out_channels": 4, "block_out_channels": [8, 16],
              "layers_per_block": 1, "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
              "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"], "norm_num_groups": 4, "attention_head_dim": 2,
              "cross_attention_dim": {{TextPipelineFolder.Width}} }
            """;

    private void WritePairs(string name) =>
        DegradedPairs.Write(
            new ProceduralScenes(2, 16, 12),
            new()
            {
                Degradation = Degradation.Blur,
                Size = 16,
                HoldOut = 4,
            },
            _folder[name],
            CancellationToken.None
        );

    private string State(string run) =>
        new CheckpointStore(_folder[run]).Peek() is { Validation: { } validation } ? validation.ToString() : "none";

    private TrainingOutcome Train(TrainingOptions options, string name, Func<TrainingProgress, bool>? cancel = null)
    {
        using var source = new CancellationTokenSource();
        using var run = TrainingRun.Start(options, _folder[name], TimeProvider.System);
        using var probe = new ProgressProbe(p =>
        {
            if (cancel?.Invoke(p) == true)
                source.Cancel();
        });
        return run.Train(probe, source.Token);
    }
}
