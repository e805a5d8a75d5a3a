using System.Text.Json.Nodes;

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
