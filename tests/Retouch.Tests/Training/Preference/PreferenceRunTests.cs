using Retouch.Core.Errors;
using Retouch.Data.Pairs;
using Retouch.Data.Scenes;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.State;
using Retouch.Training.Telemetry;

namespace Retouch.Tests.Training.Preference;

/// <summary>Runs on pairs of scenes and their blurred copies.</summary>
public sealed class PreferenceRunTests : IDisposable
{
    private const string DpoBoth = """{ "preference": { "space": "both", "beta": 200, "pixelWeight": 0.5 }, "decodeBatch": 3 }""";
    private const string SimpoLatent = """{ "preference": { "method": "simpo", "beta": 5, "noise": "separate" } }""";
    private const string Composed = """
        {
          "latentWeight": 0.3, "perceptual": { "weight": { "share": 0.2, "warmUp": 5 } },
          "preference": { "space": "features", "beta": 50 }
        }
        """;

    private readonly TemporaryFolder _folder = new();

    public PreferenceRunTests() =>
        DegradedPairs.Write(
            new ProceduralScenes(2, 16, 13),
            new()
            {
                Degradation = Degradation.Blur,
                Size = 16,
                HoldOut = 4,
            },
            _folder["pairs"],
            CancellationToken.None
        );

    public void Dispose() => _folder.Dispose();

    [Theory]
    [Trait("speed", "slow")]
    [InlineData(DpoBoth, 0)]
    [InlineData(SimpoLatent, 0)]
    [InlineData(Composed, 3)]
    public void A_resumed_run_ends_with_the_same_bytes(string objective, int extra)
    {
        var options = Options(objective, extra);
        Train(options, "whole", null);
        Assert.Throws<OperationCanceledException>(() => Train(options, "parts", 6));
        using (var run = TrainingRun.Resume(_folder["parts"], null, TimeProvider.System))
            run.Train(new ProgressProbe(), CancellationToken.None);
        var (a, b) = (TinyRun.WeightFiles(_folder["whole"]), TinyRun.WeightFiles(_folder["parts"]));
        foreach (
            var name in a.Keys.Where(static k =>
                k.StartsWith("model", StringComparison.Ordinal) || k.Contains("00000009", StringComparison.Ordinal)
            )
        )
            Assert.True(a[name].AsSpan().SequenceEqual(b[name]), $"{name} differs");
        // Metrics include the reference's errors and the drift: the reference was rebuilt identically.
        Assert.Equal(TinyRun.Metrics(_folder["whole"]), TinyRun.Metrics(_folder["parts"]));
    }

    [Fact]
    public void Dpo_starts_at_log_2_with_a_fixed_reference()
    {
        Train(
            Options("""{ "preference": { "beta": 2000 } }""", set: """{ "optimiser.learningRate": 0.01, "batch.accumulate": 1 }"""),
            "run",
            null
        );
        var records = MetricsReader.Read(Path.Combine(_folder["run"], "metrics.jsonl"));
        Assert.Equal(Math.Log(2), records[0].Find("loss/preference_latent/raw")!.Value, 1e-6);
        Assert.Equal(0.5, records[0].Find("preference_latent/accuracy"));
        Assert.Equal(0, records[0].Find("preference/drift"));
        Assert.True(records[^1].Find("preference/drift") > 0);
        Assert.NotEqual(records[^1].Find("preference_latent/winner"), records[^1].Find("preference_latent/reference_winner"));
    }

    [Theory]
    [InlineData("shared", true)]
    [InlineData("separate", false)]
    public void With_shared_noise_equal_pictures_have_margin_zero(string noise, bool even)
    {
        foreach (var file in Directory.EnumerateFiles(_folder["pairs/winners"], "*.png", SearchOption.AllDirectories))
            File.Copy(file, file.Replace("winners", "losers", StringComparison.Ordinal), overwrite: true);
        Train(
            Options(
                $$"""{ "preference": { "space": "both", "method": "simpo", "beta": 3, "noise": "{{noise}}" } }""",
                set: """{ "steps": 2, "conditioning.dropout": 0.5 }"""
            ),
            "run",
            null
        );
        foreach (var record in MetricsReader.Read(Path.Combine(_folder["run"], "metrics.jsonl")))
        {
            var difference = Math.Abs(record.Find("preference_latent/winner")!.Value - record.Find("preference_latent/loser")!.Value);
            Assert.Equal(even, difference < 1e-7);
            Assert.Equal(even, Math.Abs(record.Find("preference_pixel/margin")!.Value) < 1e-6);
        }
    }

    [Fact]
    public void Metrics_reach_the_progress_line_and_pairs_are_counted()
    {
        var probe = new ProgressProbe();
        using (var run = TrainingRun.Start(Options(DpoBoth, set: """{ "steps": 2 }"""), _folder["run"], TimeProvider.System))
            run.Train(probe, CancellationToken.None);
        Assert.Contains("10 pairs in 10 lines; 0 ties, 0 contradictions (skipped).", probe.Notes);
        Assert.Equal(["accuracy", "margin", "winner", "loser"], probe.Steps[0].Figures.Select(static f => f.Key));
        Assert.StartsWith("accuracy 0.5000, margin 0, winner ", ProgressText.Highlights(probe.Steps[0]), StringComparison.Ordinal);
    }

    [Fact]
    public void Divergence_stops_the_run_and_keeps_the_good_checkpoint()
    {
        var objective = """{ "preference": { "beta": 100, "divergence": { "bound": 0.5, "steps": 3 } } }""";
        var options = Options(
            objective,
            set: """{ "steps": 60, "optimiser.learningRate": 0.3, "optimiser.clipNorm": null, "checkpoints": { "every": 1, "keep": 1 } }"""
        );
        using var run = TrainingRun.Start(options, _folder["run"], TimeProvider.System);
        var stopped = Assert.Throws<DivergedException>(() => run.Train(new ProgressProbe(), CancellationToken.None));
        Assert.Equal(5, stopped.ExitCode);
        var records = MetricsReader.Read(Path.Combine(_folder["run"], "metrics.jsonl"));
        Assert.All(
            records.TakeLast(3),
            static r => Assert.True(r.Find("preference_latent/winner_excess") > 0.5 && r.Find("preference_latent/loser_excess") > 0.5)
        );
        var kept = Assert.Single(new CheckpointStore(_folder["run"]).Steps);
        Assert.Equal(records[^1].Step - 3, kept);
        Assert.StartsWith(
            $"Stopped after step {records[^1].Step}. Winners and losers have both been worse for 3 consecutive steps",
            stopped.Message,
            StringComparison.Ordinal
        );
        Assert.Contains($"--steps {kept}", stopped.Message);
        using var again = TrainingRun.Resume(_folder["run"], kept, TimeProvider.System);
        Assert.True(Directory.Exists(again.Train(new ProgressProbe(), CancellationToken.None).Models[0]));
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_model_is_evaluated_on_pairs()
    {
        Train(Options("""{ "preference": { "beta": 2000 } }""", set: """{ "optimiser.learningRate": 0.003 }"""), "run", null);
        Train(Options("""{ "preference": { "beta": 2000 } }""", set: """{ "steps": 1, "optimiser.learningRate": 1e-12 }"""), "start", null);
        // Other pictures, of the model's classes.
        var options = new DegradedPairsOptions { Degradation = Degradation.Blur, Size = 16 };
        DegradedPairs.Write(new ProceduralScenes(3, 16, 3), options, _folder["held"], CancellationToken.None);
        using var scope = TensorScope.Enter();
        PairMeasurement Of(string model) =>
            PairMeasurement.Measure(
                Path.Combine(_folder[model], "model"),
                Path.Combine(_folder["start"], "model"),
                PairFolder.Open(_folder["held"]),
                16,
                3,
                1,
                Device.Cpu,
                TimeProvider.System,
                CancellationToken.None
            );
        var same = Of("start");
        Assert.Equal((3, 3, 0.5, 0.5, 0.0), (same.Pairs, same.Draws, same.Latent.Accuracy, same.Pixel.Accuracy, same.Drift));
        Assert.Equal(same.Latent.ReferenceWinner, same.Latent.Winner);
        var trained = Of("run");
        Assert.Equal(same.Latent.ReferenceWinner, trained.Latent.ReferenceWinner);
        Assert.True(trained.Drift > 0);
    }

    public static TheoryData<string, string, string> Refused() =>
        new()
        {
            { """{ "preference": {} }""", """{ "data.pairs": null, "data.sceneCount": 9 }""", "needs pairs" },
            { """{ "latentWeight": 1 }""", "{}", "data.pairs needs objective.preference" },
            { """{ "preference": {} }""", """{ "data.cacheLatents": true, "data.flip": 0 }""", "data.cacheLatents" },
            { """{ "preference": {} }""", """{ "data.sceneSeed": 1 }""", "data.sceneCount and data.sceneSeed" },
            { """{ "preference": {} }""", """{ "batch.extra": 2 }""", "batch.extra is the number of single samples" },
            { """{ "preference": {}, "latentWeight": 1 }""", """{ "data.folder": "x" }""", "batch.extra" },
            {
                """{ "preference": {}, "latentWeight": 1 }""",
                """{ "data.folder": "x", "batch.extra": 1, "data.buckets": { "step": 8 } }""",
                "batch.extra does not support data.buckets"
            },
            { """{ "preference": {} }""", """{ "data.folder": "x", "batch.extra": 1 }""", "no term uses single samples" },
            { """{ "latentWeight": 1 }""", """{ "data.pairs": null, "data.pairConflicts": "keep" }""", "data.pairConflicts" },
        };

    [Theory]
    [Trait("speed", "slow")]
    [MemberData(nameof(Refused))]
    public void Ineffective_options_are_rejected(string objective, string set, string message) =>
        Assert.Contains(message, Assert.Throws<UsageException>(() => Options(objective, set: set).Validate()).Message);

    private TrainingOptions Options(string objective, int extra = 0, string set = "{}")
    {
        var json = System.Text.Json.Nodes.JsonNode.Parse(set)!.AsObject();
        if (!json.ContainsKey("data.sceneCount"))
            json.Insert(0, "data.sceneCount", null);
        if (!json.ContainsKey("data.pairs"))
            json.Insert(0, "data.pairs", _folder["pairs"]);
        if (extra > 0)
        {
            json["batch.extra"] = extra;
            json["data.folder"] = _folder["singles"];
            var scenes = new ProceduralScenes(4, 16, 5);
            SceneFolder.Write(_folder["singles"], scenes, k => Path.Combine(scenes.Classes[k % 2], $"{k}.png"));
        }

        return TinyRun.Denoiser(objective, set: json.ToJsonString());
    }

    private void Train(TrainingOptions options, string name, int? stopAfter)
    {
        using var source = new CancellationTokenSource();
        using var run = TrainingRun.Start(options, _folder[name], TimeProvider.System);
        run.Train(
            new ProgressProbe(p =>
            {
                if (p.Step == stopAfter)
                    source.Cancel();
            }),
            source.Token
        );
    }
}
