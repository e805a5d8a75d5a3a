using Retouch.Torch.Devices;

namespace Retouch.Cli.Tests;

/// <summary>An unavailable device ends every verb with exit code 4 and an error message, never on the CPU instead.</summary>
public sealed class DeviceTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-device-").FullName;

    public static TheoryData<string> Verbs =>
        [
            "sample --model M --output O",
            "train --output O",
            "probe --model M --inputs I --output O",
            "evaluate --reference I --images I",
            "compare I I --reference I",
            "statistics --images I --output O --squeezenet W",
            "features --data I --output O",
            "pairs measure --model M --reference M --pairs I",
            "judge I I --output O --by reconstruction --model M",
            "cache --model M --data I --output O --size 8",
            "study taps --output O",
            "bench step",
            "bench distances",
            "demo --output O",
            "ablate weight --output O",
        ];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(Verbs))]
    public void An_unavailable_device_ends_the_verb_with_4(string verb)
    {
        var input = Directory.CreateDirectory(Path.Combine(_folder, "in")).FullName;
        var arguments = verb.Split(' ')
            .Select(word =>
                word is "I" or "M" or "W" ? input
                : word is "O" ? Path.Combine(_folder, "out")
                : word
            );
        var absent = CudaStatus.Read().Devices;
        var outcome = RetouchInProcess.Run([.. arguments, "--device", $"cuda:{absent}"]);
        Assert.Equal((4, ""), (outcome.ExitCode, outcome.Out));
        var line = Assert.Single(outcome.Error.TrimEnd('\n').Split('\n'));
        Assert.StartsWith($"error: There is no device cuda:{absent}: ", line, StringComparison.Ordinal);
        Assert.DoesNotContain("defect", line, StringComparison.Ordinal);
        Assert.False(Path.Exists(Path.Combine(_folder, "out")), "something was written");
    }

    [Fact]
    public void The_doctor_reports_the_device_among_its_checks()
    {
        var absent = RetouchProcess.Run(["doctor", "--device", $"cuda:{CudaStatus.Read().Devices}"]);
        Assert.Equal((4, ""), (absent.ExitCode, absent.Error));
        Assert.Contains($"missing device        cuda:{CudaStatus.Read().Devices} is not available: ", absent.Out, StringComparison.Ordinal);
        Assert.Contains("device missing.", absent.Out, StringComparison.Ordinal);
        var present = RetouchProcess.Run(["doctor", "--device", "cpu"]);
        Assert.Equal(0, present.ExitCode);
        Assert.Contains("ok      device        cpu", present.Out, StringComparison.Ordinal);
        Assert.Equal(2, RetouchProcess.Run(["doctor", "--device", "gpu"]).ExitCode);
    }

    [Fact]
    public void An_invalid_device_is_a_usage_error()
    {
        var outcome = RetouchInProcess.Run(["bench", "step", "--device", "gpu"]);
        Assert.Equal((2, ""), (outcome.ExitCode, outcome.Out));
        Assert.Contains("'gpu' is not a device", outcome.Error);
    }
}
