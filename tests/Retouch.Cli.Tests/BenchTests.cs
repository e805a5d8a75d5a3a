using System.Text.Json.Nodes;
using Retouch.Denoisers;
using Retouch.Pipelines.Diffusers;

namespace Retouch.Cli.Tests;

/// <summary><c>retouch bench</c> measures at any size and reports the results. Speed is not tested.</summary>
public sealed class BenchTests
{
    private static readonly string[] Tiny =
    [
        "--steps",
        "2",
        "--warmup",
        "1",
        "--hidden",
        "16",
        "--heads",
        "2",
        "--blocks",
        "1",
        "--latent",
        "4",
        "--classes",
        "3",
        "--ae-channels",
        "4,4,4,4",
        "--ae-layers",
        "1",
        "--ae-groups",
        "2",
        "--batch-size",
        "2",
        "--threads",
        "1",
        "--json",
    ];

    [Fact]
    [Trait("speed", "slow")]
    public void Calls_are_measured_on_both_sides()
    {
        var outcome = RetouchProcess.Run(["bench", "ops", "--calls", "50", "--rounds", "3", "--threads", "1", "--json"]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        var results = JsonNode.Parse(outcome.Out)!.AsArray();
        Assert.Equal(
            ["aten::add.Tensor [4, 8]", "aten::linear [4, 8] × [8, 8]", "aten::conv2d [1, 4, 8, 8], 3×3"],
            results.Select(static r => (string)r!["operator"]!)
        );
        Assert.All(
            results,
            static r =>
            {
                Assert.True((double)r!["managedNanoseconds"]! > 0 && (double)r["nativeNanoseconds"]! > 0 && (double)r["ratio"]! > 0);
            }
        );
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("latent", false)]
    [InlineData("lpl", true)]
    [InlineData("pixel", true)]
    public void A_step_is_split_into_its_phases(string objective, bool decodes)
    {
        var outcome = RetouchProcess.Run(["bench", "step", "--objective", objective, .. Tiny]);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        var cost = JsonNode.Parse(outcome.Out)!;
        Assert.Equal(objective, (string)cost["objective"]!);
        Assert.Equal(2, (int)cost["steps"]!);
        Assert.Equal(1, (int)cost["threads"]!);
        var (least, median, most) = ((double)cost["minSeconds"]!, (double)cost["medianSeconds"]!, (double)cost["maxSeconds"]!);
        Assert.True(least > 0 && least <= median && median <= most);
        Assert.True((double)cost["cpuSecondsPerStep"]! > 0);
        Assert.Equal((long)cost["addedBytes"]!, Math.Max(0, (long)cost["peakResidentBytes"]! - (long)cost["residentBytesBefore"]!));
        Assert.True(double.IsFinite((double)cost["firstLoss"]!) && (double)cost["firstLoss"]! != (double)cost["lastLoss"]!);
        var phases = cost["phases"]!.AsArray().ToDictionary(static p => (string)p!["phase"]!, static p => (double)p!["share"]!);
        Assert.Equal(1, phases.Values.Sum(), 9);
        Assert.All(
            (string[])["data", "encode", "noise", "denoiser forward", "objectives", "backward", "optimiser"],
            phase => Assert.Contains(phase, phases.Keys)
        );
        // At these sizes at least one of the few samples is below the gate of the perceptual loss.
        foreach (var phase in (string[])["decode target", "decode estimate", "features", "decoder backward"])
            Assert.Equal(decodes, phases.ContainsKey(phase));
    }

    public static TheoryData<string, string, string> Networks =>
        new()
        {
            { "unet-sdxl-small", "autoencoder-4-small", "epsilon" },
            { "sd3-small", "autoencoder-16-small", "flow" },
            { "unet-sdxl-small", "autoencoder-tiny-4-small", "epsilon" },
        };

    [Theory]
    [MemberData(nameof(Networks))]
    public void A_step_of_any_network_is_measured_by_its_configuration(string denoiser, string autoencoder, string prediction)
    {
        string[] arguments =
        [
            "bench",
            "step",
            "--denoiser",
            Network(denoiser),
            "--autoencoder",
            Network(autoencoder),
            "--prediction",
            prediction,
            "--objective",
            "lpl",
            "--steps",
            "1",
            "--warmup",
            "0",
            "--batch-size",
            "2",
            "--tokens",
            "7",
            "--json",
        ];
        var whole = Step(arguments);
        var windows = Step([.. arguments, "--side", "128", "--decode-crop", "64", "--decode-halo", "16"]);
        Assert.Equal((long)whole["denoiserParameters"]!, (long)windows["denoiserParameters"]!);
        var adapters = Step([.. arguments, "--lora-rank", "2", "--checkpoint-activations", "--precision", "bf16", "--side", "128"]);
        Assert.True((long)adapters["denoiserParameters"]! < (long)whole["denoiserParameters"]! / 10);
        Assert.Equal((long)whole["autoencoderParameters"]!, (long)adapters["autoencoderParameters"]!);

        static JsonNode Step(string[] arguments)
        {
            var outcome = RetouchInProcess.Run(arguments);
            Assert.True(outcome.ExitCode == 0, outcome.Error);
            var cost = JsonNode.Parse(outcome.Out)!;
            Assert.True(double.IsFinite((double)cost["firstLoss"]!));
            return cost;
        }
    }

    [Theory]
    [InlineData("--denoiser needs --autoencoder", "--denoiser", "unet-sdxl-small")]
    [InlineData("--hidden is a size", "--denoiser", "unet-sdxl-small", "--autoencoder", "autoencoder-4-small", "--hidden", "8")]
    [InlineData("--side has no effect without --denoiser", "--side", "64")]
    public void Contradictory_sizes_are_usage_errors(string message, params string[] options)
    {
        string[] arguments = [.. options.Select(static o => o.Contains("small", StringComparison.Ordinal) ? Network(o) : o)];
        var outcome = RetouchInProcess.Run(["bench", "step", .. arguments]);
        Assert.Equal(2, outcome.ExitCode);
        Assert.Contains(message, outcome.Error, StringComparison.Ordinal);
    }

    // Sizes published with the models; that of SD 3 without its table of positions, 192² × 1536 values.
    [Theory]
    [InlineData("unet-sd15", 859_520_964)]
    [InlineData("unet-sdxl", 2_567_463_684)]
    [InlineData("sd3-medium", 2_084_951_104 - 56_623_104)]
    public void Networks_of_the_GPU_benchmark_have_the_published_sizes(string name, long parameters)
    {
        var json = JsonNode.Parse(File.ReadAllText(Network(name)))!.AsObject();
        using var network = (IDenoiser)ComponentRegistry.Find(json, name).Create(json, name);
        Assert.Equal(parameters, network.Parameters.Count);
    }

    private static string Network(string name)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var file = Path.Combine(folder.FullName, "bench", "networks", name + ".json");
            if (File.Exists(file))
                return file;
        }

        throw new FileNotFoundException("bench/networks", name);
    }

    [Theory]
    [InlineData("step", "--objective", "sharpness")]
    [InlineData("step", "--batch-size", "0")]
    [InlineData("step", "--heads", "3")]
    [InlineData("step", "--ae-channels", "32;64")]
    [InlineData("ops", "--calls", "0")]
    public void Invalid_sizes_are_usage_errors(string verb, string option, string value)
    {
        var outcome = RetouchInProcess.Run(["bench", verb, option, value]);
        Assert.Equal(2, outcome.ExitCode);
        Assert.Contains(value, outcome.Error, StringComparison.Ordinal);
        Assert.Empty(outcome.Out);
    }
}
