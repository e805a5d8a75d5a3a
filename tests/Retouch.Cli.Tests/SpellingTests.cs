using System.Text.Json.Nodes;
using Retouch.Cli.Tests.Demo;

namespace Retouch.Cli.Tests;

/// <summary>Other spellings of options and values, and a run's folder in place of a model.</summary>
public sealed class SpellingTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-spelling-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Options_are_printed_in_one_spelling()
    {
        TinyPipeline.Save(PathOf("model"));
        var options = JsonNode.Parse(
            Done(
                "train",
                "--model",
                PathOf("model"),
                "--task",
                "Denoiser",
                "--objective",
                "LPL+Pixel",
                "--precision",
                "FP32",
                "--lr",
                "0.002",
                "--set",
                "optimizer.clipNorm=2",
                "--print-options"
            ).Out
        )!;
        Assert.Equal(
            ("denoiser", "float32", 0.002, 2),
            (
                (string)options["task"]!,
                (string)options["precision"]!,
                (double)options["optimiser"]!["learningRate"]!,
                (double)options["optimiser"]!["clipNorm"]!
            )
        );
        Assert.Null(options["optimizer"]);
        Assert.NotNull(options["objective"]!["perceptual"]);
        Assert.NotNull(options["objective"]!["pixel"]);
    }

    [Fact]
    public void A_run_stands_for_its_average()
    {
        TinyPipeline.Save(PathOf("run/model-average-0.9"));
        File.WriteAllText(PathOf("run/options.json"), "{}");
        File.WriteAllText(PathOf("run/inputs.json"), "{}");
        var sampled = Done(
            "sample",
            "--model",
            PathOf("run"),
            "--output",
            PathOf("drawn"),
            "--count",
            "1",
            "--steps",
            "2",
            "--sampler",
            "DDIM"
        );
        Assert.Contains($"note: '{PathOf("run")}' is a run; using model-average-0.9.", sampled.Error, StringComparison.Ordinal);
        var options = JsonNode.Parse(Done("train", "--model", PathOf("run"), "--objective", "latent", "--print-options").Out)!;
        Assert.Equal(PathOf("run/model-average-0.9"), (string?)options["model"]!["path"]);

        Directory.Delete(PathOf("run/model-average-0.9"), recursive: true);
        Directory.CreateDirectory(PathOf("run/checkpoints/step-00000007"));
        var (code, _, error) = RetouchInProcess.Run("sample", "--model", PathOf("run"), "--output", PathOf("other"));
        Assert.Equal(3, code);
        Assert.Contains("step-00000007", error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(
        "precision is 'half'; it must be float32, bfloat16 or float16",
        "train",
        "--objective",
        "latent",
        "--precision",
        "half",
        "--print-options"
    )]
    [InlineData(
        "--dtype: 'half' is not float32, bfloat16 or float16 (also fp32, bf16, fp16).",
        "convert",
        ".",
        "--output",
        "x",
        "--dtype",
        "half"
    )]
    [InlineData(
        "--precision is 'half'; it must be float32, bfloat16 or float16 (also fp32, bf16, fp16).",
        "bench",
        "step",
        "--precision",
        "half"
    )]
    public void Other_precisions_are_rejected_with_the_permitted_ones(string message, params string[] arguments)
    {
        var (code, _, error) = RetouchInProcess.Run(arguments);
        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.Equal(2, code);
    }

    private string PathOf(string name) => Path.Combine(_folder, name);

    private static RetouchProcess.Outcome Done(params string[] arguments)
    {
        var outcome = RetouchInProcess.Run(arguments);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        return outcome;
    }
}
