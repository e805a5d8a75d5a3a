using System.Text.Json;
using Retouch.Cli.Tests.Demo;
using Retouch.Data.Pairs;
using Retouch.Data.Scenes;
using Retouch.Experiments.Ablations;
using Retouch.Tests;

namespace Retouch.Cli.Tests.Ablations;

/// <summary><c>retouch ablate</c> from the command line, with tiny networks.</summary>
public sealed class AblateTests : IDisposable
{
    private const string Spec = """
        {
          // two arms, two seeds
          "title": "A small ablation",
          "options": {
            "steps": 3, "batch": { "size": 4 }, "data": { "sceneCount": 8, "sceneSeed": 1, "size": 32, "cacheLatents": true },
            "averages": [ { "decay": 0.5 } ],
            "objective": {}, "checkpoints": { "every": 0, "keep": 1 }, "log": { "tensorBoard": false }
          },
          "pretraining": { "start": { "options": { "steps": 2 } } },
          "arms": [ { "name": "latent only" }, { "name": "with LPL", "set": { "objective.perceptual": { "weight": 1 } } } ],
          "seeds": [ 1, 2 ],
          "evaluation": { "samples": 6, "samplerSteps": [ 1, 2 ], "decays": [ 0, 0.5 ], "resamples": 100, "decisive": "spectrum" },
        }
        """;

    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-ablate-").FullName;

    public AblateTests()
    {
        TinyPipeline.Save(In("tiny"));
        File.WriteAllText(In("spec.json"), Spec);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    [Trait("speed", "slow")]
    public void Ablate_trains_evaluates_reports_and_reuses_results()
    {
        var first = Run("out", "--arms", "1");
        Assert.True(first.ExitCode == 0, first.Error);
        Assert.Contains("1 of 4 runs are complete.", first.Out);
        Assert.True(File.Exists(In("out", "report.html")));

        var all = Run("out", "--json", "--tensorboard");
        Assert.True(all.ExitCode == 0, all.Error);
        using var result = JsonDocument.Parse(all.Out);
        Assert.Equal(3, result.RootElement.GetProperty("ran").GetArrayLength());
        Assert.Equal(4, result.RootElement.GetProperty("done").GetInt32());
        var rows = result.RootElement.GetProperty("figures").GetProperty("rows").EnumerateArray().ToArray();
        // The initial model, sampled in two ways, and two arms, each in four.
        Assert.Equal(10, rows.Length);
        Assert.Contains("with LPL · decay 0.5, 2 steps", rows.Select(r => r.GetProperty("name").GetString()));
        var differences = result.RootElement.GetProperty("figures").GetProperty("differences").EnumerateArray().ToArray();
        // All figures of that arm's rows.
        Assert.Equal(
            rows.Where(static r => r.GetProperty("name").GetString()!.StartsWith("with LPL · ", StringComparison.Ordinal))
                .Sum(static r => r.GetProperty("figures").GetArrayLength()),
            differences.Length
        );
        foreach (var difference in differences)
        {
            Assert.StartsWith("latent only · ", difference.GetProperty("against").GetString());
            // The difference is that of the rows' values.
            var (figure, estimate) = (
                difference.GetProperty("figure").GetString(),
                difference.GetProperty("estimate").GetProperty("value").GetDouble()
            );
            double Value(string member) =>
                rows.First(r => r.GetProperty("name").GetString() == difference.GetProperty(member).GetString())
                    .GetProperty("figures")
                    .EnumerateArray()
                    .First(f => f.GetProperty("name").GetString() == figure)
                    .GetProperty("estimate")
                    .GetProperty("value")
                    .GetDouble();
            Assert.Equal(Value("row") - Value("against"), estimate, 9);
            Assert.Equal(2, difference.GetProperty("seeds").GetInt32());
        }

        var runs = Directory.EnumerateFiles(In("out", "arms"), "metrics.jsonl", SearchOption.AllDirectories).ToArray();
        Assert.Equal(4, runs.Length);
        // Each run has the page that train writes.
        string ReportOf(string run) => File.ReadAllText(Path.Combine(Path.GetDirectoryName(run)!, "report.html"));
        Assert.All(runs, run => Assert.Contains("<title>Post-training: ", ReportOf(run)));
        // Pictures are encoded once for the pre-training and all arms.
        Assert.Equal(
            8,
            Directory
                .EnumerateFiles(In("out", "latents"), "*.safetensors", SearchOption.AllDirectories)
                .Sum(static file => Retouch.Torch.Safetensors.SafetensorsFile.Open(file).Entries.Values.First().Shape[0])
        );
        // The same seed gives both arms the same data, noise and timesteps, hence the same latent loss in the first step.
        var losses = runs.GroupBy(run => run.Contains("seed-1", StringComparison.Ordinal))
            .Select(seed =>
                seed.Select(run => JsonDocument.Parse(File.ReadLines(run).First()).RootElement.GetProperty("loss/latent/raw").GetDouble())
                    .Distinct()
                    .ToArray()
            )
            .ToArray();
        Assert.All(losses, loss => Assert.Single(loss));
        Assert.NotEqual(losses[0][0], losses[1][0]);

        var html = File.ReadAllText(In("out", "report.html"));
        Assert.Contains("A small ablation", html);
        // Protocol: numbers, reference, confidence.
        Assert.Contains("Reproduction", html);
        Assert.Contains("6 pictures from each model and training seed, picture seeds from 1000 on", html);
        Assert.Contains("procedural scenes of the test split, seed 1", html);
        Assert.Contains("100 resamples", html);
        Assert.DoesNotMatch("(src|href)=\"http", html);
        Assert.True(File.Exists(In("out", "report.json")));
        Assert.NotEmpty(Directory.EnumerateFiles(In("out", "report-data"), "*.csv"));

        // One TensorBoard run per row.
        Assert.Equal(10, Directory.EnumerateFiles(In("out", "tensorboard"), "events.out.tfevents.*", SearchOption.AllDirectories).Count());

        var written = runs.ToDictionary(run => run, File.GetLastWriteTimeUtc);
        File.Delete(In("out", "report.html"));
        // Another axis of the evaluation needs no training; another training option retrains its arm only.
        var more = Run("out", "--set-spec", "evaluation.samplerSteps=[1,2,3]", "--json");
        Assert.True(more.ExitCode == 0, more.Error);
        Assert.True(File.Exists(In("out", "report.html")));
        Assert.All(written, run => Assert.Equal(run.Value, File.GetLastWriteTimeUtc(run.Key)));
        var again = Run("out", "--arms", "0");
        Assert.Contains("4 of 4 runs are complete.", again.Out);
    }

    [Fact]
    [Trait("speed", "slow")]
    public async Task Two_processes_share_the_arms_and_take_over_after_a_kill()
    {
        string[] arguments =
        [
            "ablate",
            In("spec.json"),
            "--model",
            In("tiny"),
            "--output",
            In("shared"),
            "--set",
            "steps=150",
            "--set-spec",
            "pretraining.start.options.steps=2",
            "--json",
        ];
        using (var killed = RetouchProcess.Start(arguments))
        {
            // The first arm is claimed and trains; then its process is killed.
            _ = killed.StandardError.ReadToEndAsync();
            var start = TimeProvider.System.GetTimestamp();
            while (
                !Directory.Exists(In("shared", "arms"))
                || !Directory.EnumerateFiles(In("shared", "arms"), "options.json", SearchOption.AllDirectories).Any()
            )
            {
                Assert.True(TimeProvider.System.GetElapsedTime(start) < TimeSpan.FromMinutes(2), "the first arm never began");
                await Task.Delay(20);
            }

            killed.Kill();
            await killed.WaitForExitAsync();
        }

        using var one = RetouchProcess.Start(arguments);
        using var two = RetouchProcess.Start(arguments);
        var reading = Task.WhenAll(one.StandardError.ReadToEndAsync(), two.StandardError.ReadToEndAsync());
        var printing = Task.WhenAll(one.StandardOutput.ReadToEndAsync(), two.StandardOutput.ReadToEndAsync());
        RetouchProcess.Finish(one);
        RetouchProcess.Finish(two);
        var errors = string.Concat(await reading);
        var outputs = await printing;
        Assert.True(one.ExitCode == 0 && two.ExitCode == 0, errors);
        var ran = outputs
            .Select(output => JsonDocument.Parse(output).RootElement)
            .SelectMany(result => result.GetProperty("ran").EnumerateArray().Select(arm => arm.GetString()!))
            .ToArray();
        Assert.Equal(
            ["latent only, seed 1", "latent only, seed 2", "with LPL, seed 1", "with LPL, seed 2"],
            ran.Order(StringComparer.Ordinal)
        );
        Assert.Contains("latent only, seed 1: another process was interrupted", errors);
        Assert.All(outputs, output => Assert.Equal(4, JsonDocument.Parse(output).RootElement.GetProperty("done").GetInt32()));
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("--set-spec arm=[]", "unknown option 'arm'. Did you mean 'arms'?")]
    [InlineData("--set objective.perceptual.tap=[1]", "Did you mean 'taps'?")]
    [InlineData("--set-spec seeds=[1,1]", "must be unique")]
    [InlineData("--set-spec baseline=none", "compared with 'none', which is not an arm")]
    [InlineData("--set-spec evaluation.metrics=[\"lpips\"]", "'lpips' is not one of")]
    [InlineData("--set-spec evaluation.metrics=[\"fwd\"]", "evaluation.decisive is 'spectrum'")]
    [InlineData("--set-spec axes={\"steps\":3}", "axes.steps is 3; it must be a non-empty list")]
    [InlineData("--set-spec pretraining.start.from=start", "which is not another pre-training")]
    [InlineData("--set steps=0", "steps is 0")]
    public void Invalid_specs_fail_without_output(string given, string message)
    {
        var space = given.IndexOf(' ', StringComparison.Ordinal);
        var outcome = Run("none", given[..space], given[(space + 1)..]);
        Assert.Equal((2, ""), (outcome.ExitCode, outcome.Out));
        Assert.Contains(message, outcome.Error);
        Assert.False(Directory.Exists(In("none")));
    }

    public static TheoryData<string> ReadySpecs() => [.. Names()];

    private static string[] Names() =>
        [
            .. Directory
                .EnumerateFiles(Path.Combine(AppContext.BaseDirectory, "ablations"), "*.json")
                .Select(static f => Path.GetFileNameWithoutExtension(f))
                .Where(static name => name != "base")
                .Order(StringComparer.Ordinal),
        ];

    [Theory]
    [MemberData(nameof(ReadySpecs))]
    public void Every_included_spec_is_valid_and_has_latent_only_baselines(string name)
    {
        var spec = AblationSpec.Read(Path.Combine(AppContext.BaseDirectory, "ablations", name + ".json"), []);
        var plan = new AblationPlan(spec, In("tiny"));
        Assert.True(plan.Arms.Count >= 2);
        Assert.True(spec.Seeds.Count >= 2);
        Assert.NotEmpty(spec.About);
        var losses = plan.Arms.ToDictionary(static arm => arm.Name, static arm => arm.Training.Options.Objective?.Perceptual);
        Assert.Contains(losses.Values, static loss => loss is not null);
        Assert.All(plan.Arms, arm => Assert.Null(losses[arm.Against]));
        // A given model overrides that of the base, here the demo's.
        if (spec.Pretraining.Count == 0)
            Assert.All(plan.Arms, arm => Assert.Equal(In("tiny"), arm.Training.Options.Model.Path));
        // The common pre-training runs once.
        Assert.Equal(spec.Pretraining.Count, plan.Pretrainings.Count());
    }

    [Fact]
    public void The_included_specs_are_those_of_the_paper_and_the_demo() =>
        Assert.Equal(
            [
                "average-decay",
                "data-and-resolution",
                "default",
                "demo",
                "depth",
                "depth-weights",
                "error-scale",
                "formulation",
                "gradient-ratio",
                "initial-length",
                "low-frequencies",
                "normalisation",
                "rows",
                "sampling-steps",
                "statistics",
                "terms",
                "threshold",
                "weight",
            ],
            Names()
        );

    [Fact]
    [Trait("speed", "slow")]
    public void An_included_spec_runs_on_a_folder_at_reduced_scale()
    {
        WritePictures();
        var outcome = RetouchInProcess.Run([
            "ablate",
            "depth-weights",
            "--model",
            In("tiny"),
            "--data",
            In("photos"),
            "--output",
            In("reduced"),
            "--seeds",
            "1",
            "--set",
            "steps=2",
            "--set",
            "batch.size=4",
            "--set",
            "data.size=32",
            "--set",
            "averages=[]",
            "--set-spec",
            "evaluation.samples=6",
            "--set-spec",
            "evaluation.samplerSteps=[1]",
            "--set-spec",
            "evaluation.resamples=100",
            "--set-spec",
            "evaluation.decisive=spectrum",
            "--json",
        ]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        using var result = JsonDocument.Parse(outcome.Out);
        Assert.Equal(4, result.RootElement.GetProperty("done").GetInt32());
        Assert.Equal(
            3,
            result
                .RootElement.GetProperty("figures")
                .GetProperty("differences")
                .EnumerateArray()
                .Count(static d => d.GetProperty("figure").GetString() == "spectrum")
        );
        var html = File.ReadAllText(In("reduced", "report.html"));
        Assert.Contains("weighted 3.79, uniform 4.38", html);
        Assert.Contains($"every 10th picture of {In("photos")}, held out from training", html);
    }

    [Fact]
    public void Arms_of_other_scenes_are_skipped_with_a_folder()
    {
        WritePictures();
        var outcome = RetouchInProcess.Run([
            "ablate",
            "data-and-resolution",
            "--model",
            In("tiny"),
            "--data",
            In("photos"),
            "--output",
            In("out"),
            "--seeds",
            "1",
            "--arms",
            "0",
            "--set",
            "averages=[]",
            "--set-spec",
            "evaluation.samples=6",
            "--set-spec",
            "evaluation.samplerSteps=[1]",
            "--set-spec",
            "evaluation.resamples=100",
        ]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        Assert.Contains(
            "skipped arms that differ in their scenes only: 'other scenes, latent only', 'other scenes, with LPL'",
            outcome.Error
        );
        Assert.Contains("0 of 5 runs are complete.", outcome.Out);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Arms_on_pairs_report_preference_metrics()
    {
        DegradedPairs.Write(
            new ProceduralScenes(1, 32, 8),
            new() { Degradation = Degradation.Blur, Size = 32 },
            In("pairs"),
            CancellationToken.None
        );
        string Pairs(string held) =>
            $$"""
                {
                  "options": {
                    "steps": 2, "batch": { "size": 2 }, "data": { "pairs": "{{In(
                    "pairs"
                )}}", "size": 32 }, "averages": [], "objective": {}, "checkpoints": { "every": 0, "keep": 1 },
                "log": { "tensorBoard": false }
                  },
                  "arms": [
                    { "name": "reference", "set": { "objective.preference": { "space": "both", "reference": "precomputed" } } },
                    { "name": "none", "set": { "objective.preference": { "method": "simpo", "beta": 5 } } }
                  ],
                  {{held}} "seeds": [ 1 ], "evaluation": { "samples": 4, "samplerSteps": [ 1 ], "resamples": 100, "decisive": "spectrum" }
                }
                """;
        File.WriteAllText(In("spec.json"), Pairs(""));
        var refused = Run("none");
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("data.pairs cannot be split; give reference pictures with heldOut.folder", refused.Error);
        File.WriteAllText(In("spec.json"), Pairs($$"""  "heldOut": { "folder": "{{In("pairs", "winners")}}" },  """));
        var outcome = Run("out");
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        var html = File.ReadAllText(In("out", "report.html"));
        foreach (
            var title in (string[])
                [
                    "Implicit accuracy in latent space",
                    "Implicit accuracy in pixels",
                    "Error of winners relative to the reference model, in pixels",
                    "Drift from the reference model",
                ]
        )
            Assert.Equal(title != "Drift from the reference model", html.Contains(title, StringComparison.Ordinal));
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_dry_run_measures_without_output()
    {
        var outcome = Run("none", "--dry-run", "--json");
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        using var plan = JsonDocument.Parse(outcome.Out);
        var trainings = plan.RootElement.GetProperty("trainings").EnumerateArray().ToArray();
        Assert.Equal(["start", "latent only", "with LPL"], trainings.Select(t => t.GetProperty("name").GetString()));
        Assert.All(trainings, t => Assert.True(t.GetProperty("secondsPerStep").GetDouble() > 0));
        Assert.Equal(4, plan.RootElement.GetProperty("left").GetInt32());
        Assert.False(Directory.Exists(In("none")));
    }

    private RetouchProcess.Outcome Run(string output, params string[] more) =>
        RetouchInProcess.Run(["ablate", In("spec.json"), "--model", In("tiny"), "--output", In(output), .. more]);

    private void WritePictures() =>
        SceneFolder.Write(In("photos"), new ProceduralScenes(3, 32, 24), static k => Path.Combine($"class{k % 2}", $"{k:D2}.png"));

    private string In(params string[] parts) => Path.Combine([_folder, .. parts]);
}
