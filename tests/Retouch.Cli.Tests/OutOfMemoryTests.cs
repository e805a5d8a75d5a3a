using System.CommandLine;
using System.Globalization;
using System.Text.RegularExpressions;
using Retouch.Torch.Devices;

namespace Retouch.Cli.Tests;

/// <summary>Out of memory in a process with limited memory: exit code, and options that fit.</summary>
public sealed partial class OutOfMemoryTests
{
    private const int Batch = 64;

    private static readonly Dictionary<string, string?> OneThread = new() { ["OMP_NUM_THREADS"] = "1" };

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("-d 1400000", "the limit of the data segment (ulimit -d)")]
    public void A_step_names_options_that_fit(string limits, string limit)
    {
        // About 3 GiB of activations.
        string[] step =
        [
            "bench",
            "step",
            "--device",
            "cpu",
            "--latent",
            "32",
            "--hidden",
            "256",
            "--steps",
            "1",
            "--warmup",
            "0",
            "--json",
        ];
        var (code, _, error) = RetouchProcess.Run([.. step, "--batch-size", $"{Batch}"], OneThread, limits);
        Assert.True(code == 4, error);
        Assert.Contains("out of memory", error, StringComparison.OrdinalIgnoreCase);
        Assert.Contains($"{limit} is 1.3 GiB", error, StringComparison.Ordinal);
        var needed = Needed().Match(error);
        Assert.True(needed.Success && double.Parse(needed.Groups[1].Value, CultureInfo.InvariantCulture) > 1.3, error);
        var smaller = Smaller().Match(error);
        Assert.True(smaller.Success, error);
        var (size, accumulate) = (int.Parse(smaller.Groups[1].ValueSpan, CultureInfo.InvariantCulture), smaller.Groups[2].Value);
        Assert.Equal($"{Batch / size}", accumulate);
        Assert.Contains($"(the same {Batch} per step)", error, StringComparison.Ordinal);
        Assert.Contains("--set model.checkpointActivations=true", error, StringComparison.Ordinal);

        // The proposal holds under the same limit.
        var (proposed, output, reason) = RetouchProcess.Run([.. step, "--batch-size", $"{size}"], OneThread, limits);
        Assert.True(proposed == 0, reason);
        Assert.Contains("peakResidentBytes", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Other_verbs_name_their_own_options()
    {
        async Task<(int Code, string Error)> Fail(Exception e, params string[] args)
        {
            var batch = SharedOptions.BatchSize(16);
            var verb = new Command("paint") { batch, SharedOptions.Precision(), new Option<int?>("--size") };
            verb.SetAction((Action<ParseResult>)(_ => throw e));
            using var output = new StringWriter();
            using var error = new StringWriter();
            var root = new RootCommand { SharedOptions.Json, SharedOptions.Verbose, verb };
            return (await CommandLine.RunAsync(root, ["paint", .. args], output, error), error.ToString().TrimEnd());
        }

        var full = await Fail(new OutOfDeviceMemoryException("Out of memory in conv: no room."));
        Assert.Equal(
            (4, "error: Out of memory in conv: no room. Less memory: --batch-size 8 (now 16), --precision bfloat16, a smaller --size."),
            full
        );
        var least = await Fail(new InsufficientMemoryException(), "--batch-size", "1", "--precision", "bf16");
        Assert.Equal((4, "error: The machine ran out of memory. Less memory: a smaller --size."), least);
        var specific = await Fail(new OutOfDeviceMemoryException("Out of memory", "Use less."));
        Assert.Equal((4, "error: Out of memory. Use less."), specific);
        var mapping = await Fail(new IOException("Cannot allocate memory : '/weights'"));
        Assert.Equal(4, mapping.Code);
        Assert.Contains("--batch-size 8", mapping.Error, StringComparison.Ordinal);
    }

    [GeneratedRegex(@"64 samples need about (\d+\.\d) GiB")]
    private static partial Regex Needed();

    [GeneratedRegex(@"--batch-size (\d+) --set batch\.accumulate=(\d+)")]
    private static partial Regex Smaller();
}
