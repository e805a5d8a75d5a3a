using System.Globalization;
using System.Text.Json.Nodes;
using Retouch.Cli.Commands;
using Retouch.Core.Errors;
using Retouch.Experiments.Demo;
using Retouch.Tests;

namespace Retouch.Cli.Tests;

/// <summary><c>train --memory</c>: predicted against measured peaks, and runs within a limit.</summary>
public sealed class MemoryPlanTests : IDisposable
{
    // All samples are decoded in every step, so that a few steps reach the peak.
    private static readonly string[] Perceptual = ["--objective", "lpl", "--set", "objective.perceptual.gate=none"];

    private static readonly Dictionary<string, string?> OneThread = new() { ["OMP_NUM_THREADS"] = "1" };

    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-memory-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("20G", 20L << 30)]
    [InlineData("1.5 GiB", 3L << 29)]
    [InlineData("800mb", 800_000_000)]
    [InlineData("512k", 512 << 10)]
    public void A_size_is_a_number_with_its_unit(string text, long bytes) => Assert.Equal(bytes, MemoryFlag.Parse(text));

    [Theory]
    [InlineData("20")]
    [InlineData("G")]
    [InlineData("-1G")]
    [InlineData("0M")]
    [InlineData("many")]
    public void Other_sizes_are_refused(string text) =>
        Assert.Contains(
            $"--memory is '{text}'; give a size with its unit",
            Assert.Throws<UsageException>(() => MemoryFlag.Parse(text)).Message
        );

    [Fact]
    public void A_resumed_run_is_not_planned()
    {
        var outcome = RetouchInProcess.Run(["train", "--resume", "run", "--memory", "2G"]);
        Assert.Equal(2, outcome.ExitCode);
        Assert.Contains("--memory chooses options of a new run", outcome.Error);
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("lpl")]
    [InlineData("recomputed")]
    public void The_predicted_peak_is_that_of_a_dry_run(string kind)
    {
        string[] options = kind switch
        {
            "lpl" => [.. Perceptual, "--batch-size", "8"],
            _ =>
            [
                .. Perceptual,
                .. (string[])["--batch-size", "6", "--set", "batch.accumulate=2", "--set", "objective.checkpointDecoder=true"],
                .. (string[])["--set", "model.checkpointActivations=true"],
            ],
        };
        var plan = Plan([.. options, "--memory", "200G"]);
        var row = Assert.Single(plan["memory"]!["rows"]!.AsArray())!;
        Assert.True((bool)row["isChosen"]! && (bool)row["fits"]! && (bool)row["keepsLoss"]!);
        Assert.Empty(row["settings"]!.AsArray());
        var (predicted, measured) = ((double)row["peakBytes"]!, (double)plan["peakBytes"]!);
        Assert.True(predicted > 3e8, $"{predicted}");
        Assert.InRange(predicted / measured, 0.9, 1.1);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_run_has_the_settings_that_the_plan_chose()
    {
        var (code, _, error) = RetouchProcess.Run(
            [
                .. Command([.. Perceptual, "--batch-size", "6", "--memory", "420M"]),
                .. (string[])["--steps", "2", "--output", Path.Combine(_folder, "run"), "--json"],
            ],
            OneThread
        );
        Assert.True(code == 0, error);
        var lines = File.ReadAllLines(Path.Combine(_folder, "run", "log.txt"));
        var first = Array.FindIndex(lines, static l => l.Contains("Settings within 420.0 MiB of main memory", StringComparison.Ordinal));
        Assert.Contains("does not fit  as given", lines[first + 2]);
        Assert.Single(lines, static l => l.Contains("objective.decodeCrop=32 (noisier gradients)", StringComparison.Ordinal));
        var chosen = Assert.Single(
            lines,
            static l => l.Contains('→', StringComparison.Ordinal) && l.Contains("MiB", StringComparison.Ordinal)
        );
        var written = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder, "run", "options.json")))!;
        string[] settings = [.. chosen.Split(' ').Where(static s => s.Contains('=', StringComparison.Ordinal))];
        Assert.NotEmpty(settings);
        foreach (var setting in settings)
        {
            var (path, value) = (setting.Split('=')[0].Split('.'), setting.Split('=')[1]);
            Assert.Equal(value, written[path[0]]![path[1]]!.ToJsonString());
        }

        Assert.Equal(6, (int)written["batch"]!["size"]! * (int)written["batch"]!["accumulate"]!);
        Assert.Null(written["objective"]!["decodeCrop"]);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Without_settings_that_fit_the_least_are_listed()
    {
        var (code, _, error) = RetouchProcess.Run([.. Command([.. Perceptual, "--batch-size", "2", "--memory", "90M"]), "--dry-run"]);
        Assert.True(code == 4, error);
        Assert.Contains("No settings that keep the loss fit into 90.0 MiB.", error);
        Assert.Contains("batch.size=1 batch.accumulate=2", error);
        Assert.Contains("--precision bfloat16", error);
    }

    private static string[] Command(string[] options) =>
        [.. (string[])["train", "--model", DemoRecipes.Model(), "--device", "cpu", "--set", "data.sceneCount=192"], .. options];

    private static JsonNode Plan(string[] options)
    {
        var (code, output, error) = RetouchProcess.Run([.. Command(options), "--dry-run", "--json"], OneThread);
        Assert.True(code == 0, error);
        return JsonNode.Parse(output)!;
    }
}
