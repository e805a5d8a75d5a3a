using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Data.Pairs;
using Retouch.Data.Scenes;
using Retouch.Images;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.Telemetry;

namespace Retouch.Tests.Training.Preference;

/// <summary>DPO with precomputed errors of the reference model.</summary>
[Collection(LiveTensorCollection.Name)]
public sealed class PrecomputedReferenceTests : IDisposable
{
    private const string Lora = """{ "rank": 2, "targets": ["all-linear"] }""";

    private readonly TemporaryFolder _folder = new();

    public PrecomputedReferenceTests()
    {
        DegradedPairs.Write(
            new ProceduralScenes(2, 16, 11),
            new() { Degradation = Degradation.Blur, Size = 16 },
            _folder["pairs"],
            CancellationToken.None
        );
        var scenes = new ProceduralScenes(4, 16, 5);
        SceneFolder.Write(_folder["singles"], scenes, k => Path.Combine(scenes.Classes[k % 2], $"{k}.png"));
        // A denoiser with open gates.
        Train(TinyRun.Denoiser("{}", set: """{ "steps": 12, "optimiser.learningRate": 0.02, "averages": [] }"""), "first");
    }

    public void Dispose() => _folder.Dispose();

    public static TheoryData<string, string, int, string?> Cells() =>
        new()
        {
            { """{ "beta": 500 }""", "{}", 0, null },
            { """{ "beta": 500, "space": "both", "noise": "separate", "reduction": "sum" }""", """{ "decodeBatch": 3 }""", 0, null },
            { """{ "beta": 500, "space": "pixel", "estimate": "x0" }""", "{}", 0, null },
            {
                """{ "beta": 500, "space": "both", "reduction": "sum" }""",
                """{ "latentWeight": 0.3, "decodeCrop": 8, "decodeHalo": 0, "perceptual": {} }""",
                2,
                null
            },
            { """{ "beta": 50, "space": "features", "link": "ipo" }""", """{ "latentWeight": 0.3 }""", 3, null },
            { """{ "beta": 500 }""", "{}", 0, Lora },
        };

    [Theory]
    [Trait("speed", "slow")]
    [MemberData(nameof(Cells))]
    public void Losses_and_weights_equal_those_of_a_frozen_copy(string preference, string objective, int extra, string? lora)
    {
        Train(Options(preference, "live", objective, extra, lora), "live");
        Train(Options(preference, "precomputed", objective, extra, lora), "known");
        var (expected, actual) = (TinyRun.WeightFiles(_folder["live"]), TinyRun.WeightFiles(_folder["known"]));
        foreach (var (name, bytes) in expected.Where(static f => f.Key.StartsWith("model", StringComparison.Ordinal)))
            Assert.True(bytes.AsSpan().SequenceEqual(actual[name]), $"{name} differs");
        // The drift cannot be computed from errors.
        string[] Figures(string run) =>
            [
                .. MetricsReader
                    .Read(Path.Combine(_folder[run], "metrics.jsonl"))
                    .SelectMany(static r =>
                        r.Values.Where(static v =>
                                !v.Key.StartsWith("time/", StringComparison.Ordinal)
                                && !v.Key.StartsWith("memory/", StringComparison.Ordinal)
                                && v.Key != "preference/drift"
                            )
                            .Select(v => $"{r.Step} {v.Key} {v.Value:R}")
                    ),
            ];
        Assert.Equal(Figures("live"), Figures("known"));
        Assert.Contains(Figures("known"), static f => f.Contains("/reference_winner", StringComparison.Ordinal));
        Assert.Contains("preference/drift", TinyRun.Metrics(_folder["live"])[0], StringComparison.Ordinal);
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("reference step", 2)]
    [InlineData("step", 4)]
    public void A_resumed_run_ends_with_the_same_bytes(string unit, int at)
    {
        Train(Options(), "whole");
        using var source = new CancellationTokenSource();
        var probe = new ProgressProbe(p =>
        {
            if (p.Unit == unit && p.Step == at)
                source.Cancel();
        });
        using (var run = TrainingRun.Start(Options(), _folder["parts"], TimeProvider.System))
            Assert.Throws<OperationCanceledException>(() => run.Train(probe, source.Token));
        Assert.Contains(
            probe.Notes,
            n =>
                n.StartsWith("Interrupted", StringComparison.Ordinal)
                && n.EndsWith($"--resume {_folder["parts"]}", StringComparison.Ordinal)
        );
        var again = new ProgressProbe();
        using (var run = TrainingRun.Resume(_folder["parts"], null, TimeProvider.System))
            run.Train(again, CancellationToken.None);
        Assert.Equal(unit == "step" ? 0 : 6 - at, again.Steps.Count(static s => s.Unit == "reference step"));
        Assert.Equal(TinyRun.Metrics(_folder["whole"]), TinyRun.Metrics(_folder["parts"]));
        var (a, b) = (TinyRun.WeightFiles(_folder["whole"]), TinyRun.WeightFiles(_folder["parts"]));
        Assert.All(a.Keys.Where(static k => k.StartsWith("model", StringComparison.Ordinal)), k => Assert.Equal(a[k], b[k]));
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_longer_run_computes_the_missing_reference()
    {
        Train(Options(set: """{ "steps": 8, "optimiser.schedule.shape": "constant" }"""), "long");
        Train(Options(set: """{ "optimiser.schedule.shape": "constant" }"""), "short");
        using (var run = TrainingRun.Resume(_folder["short"], 8, TimeProvider.System))
            run.Train(new ProgressProbe(), CancellationToken.None);
        Assert.Equal(TinyRun.Metrics(_folder["long"]), TinyRun.Metrics(_folder["short"]));
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Runs_share_a_cache_while_dependencies_are_equal()
    {
        JsonObject Cached(string more = "{}")
        {
            var set = JsonNode.Parse(more)!.AsObject();
            set["data.cache"] = _folder["cache"];
            return set;
        }

        Train(Options(set: Cached().ToJsonString()), "first-run");
        Assert.False(Directory.Exists(Path.Combine(_folder["first-run"], "reference")));
        var probe = new ProgressProbe();
        Train(
            Options("""{ "beta": 7, "link": "hinge" }""", set: Cached("""{ "optimiser.learningRate": 0.001 }""").ToJsonString()),
            "other-beta",
            probe
        );
        Assert.DoesNotContain(probe.Steps, static s => s.Unit == "reference step");
        var seed = Assert.Throws<InputException>(() => Train(Options(set: Cached("""{ "seed": 6 }""").ToJsonString()), "other-seed"));
        Assert.Contains("stale, it was made with different inputs: seed was 5 and is 6", seed.Message, StringComparison.Ordinal);
        var space = Assert.Throws<InputException>(() =>
            Train(Options("""{ "space": "pixel" }""", set: Cached().ToJsonString()), "other-space")
        );
        Assert.Contains("preference was", space.Message, StringComparison.Ordinal);
        var loser = Directory.EnumerateFiles(_folder["pairs/losers"], "*.png", SearchOption.AllDirectories).First();
        PictureFile.Save(Picture.Filled(16, 16, Rgb.White), loser);
        var pairs = Assert.Throws<InputException>(() => Train(Options(set: Cached().ToJsonString()), "other-pairs"));
        Assert.Contains("pairs was", pairs.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_changed_base_is_rejected_on_resume()
    {
        using var source = new CancellationTokenSource();
        using (var run = TrainingRun.Start(Options(), _folder["run"], TimeProvider.System))
        {
            Assert.Throws<OperationCanceledException>(() =>
                run.Train(
                    new ProgressProbe(p =>
                    {
                        if (p.Unit == "step")
                            source.Cancel();
                    }),
                    source.Token
                )
            );
        }

        Train(TinyRun.Denoiser("{}", set: """{ "steps": 1, "optimiser.learningRate": 0.02, "averages": [] }"""), "other");
        Directory.Delete(_folder["first/model"], recursive: true);
        Directory.Move(_folder["other/model"], _folder["first/model"]);
        Assert.Contains("the files of the model's transformer have changed", Refused(acceptChanges: false), StringComparison.Ordinal);
        Assert.Contains("denoiser was", Refused(acceptChanges: true), StringComparison.Ordinal);

        string Refused(bool acceptChanges)
        {
            using var again = TrainingRun.Resume(_folder["run"], null, TimeProvider.System, acceptChanges);
            return Assert.Throws<InputException>(() => again.Train(new ProgressProbe(), CancellationToken.None)).Message;
        }
    }

    [Fact]
    public void No_copy_is_held_and_a_dry_run_estimates_the_pass()
    {
        var none = Tensor.LiveCount;
        long Held(string reference)
        {
            using var run = TrainingRun.Start(Options("{}", reference), null, TimeProvider.System);
            return Tensor.LiveCount - none;
        }

        Assert.True(Held("live") > Held("precomputed") + 10);
        Assert.Equal(none, Tensor.LiveCount);
        using var planned = TrainingRun.Start(Options(), _folder["planned"], TimeProvider.System);
        Assert.True(planned.Plan(CancellationToken.None).ReferenceSeconds > 0);
        Assert.False(Directory.Exists(_folder["planned"]));
        using var live = TrainingRun.Start(Options("{}", "live"), null, TimeProvider.System);
        Assert.Null(live.Plan(CancellationToken.None).ReferenceSeconds);
    }

    private TrainingOptions Options(
        string preference = """{ "beta": 500 }""",
        string reference = "precomputed",
        string objective = "{}",
        int extra = 0,
        string? lora = null,
        string set = "{}"
    )
    {
        var terms = JsonNode.Parse(objective)!.AsObject();
        terms["preference"] = JsonNode.Parse(preference);
        terms["preference"]!["reference"] = reference;
        var json = JsonNode
            .Parse(
                $$"""
                { "data.sceneCount": null, "data.pairs": "{{_folder["pairs"]}}", "model": { "path": "{{_folder[
                    "first/model"
                ]}}" }, "steps": 6, "optimiser.learningRate": 0.01 }
                """
            )!
            .AsObject();
        if (extra > 0)
            (json["batch.extra"], json["data.folder"]) = (extra, _folder["singles"]);
        if (lora is not null)
            json["lora"] = JsonNode.Parse(lora);
        foreach (var (path, value) in JsonNode.Parse(set)!.AsObject())
            json[path] = value?.DeepClone();
        return TinyRun.Denoiser(terms.ToJsonString(), set: json.ToJsonString());
    }

    private void Train(TrainingOptions options, string name, ProgressProbe? probe = null)
    {
        using var run = TrainingRun.Start(options, _folder[name], TimeProvider.System);
        run.Train(probe ?? new ProgressProbe(), CancellationToken.None);
    }
}
