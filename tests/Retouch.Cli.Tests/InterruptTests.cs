using System.Diagnostics;
using System.Globalization;

namespace Retouch.Cli.Tests;

/// <summary>Ctrl-C ends a command in order, with its exit code.</summary>
public sealed class InterruptTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-interrupt-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static void Call(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("INT")]
    [InlineData("TERM")]
    public void A_signal_ends_the_command_with_130(string signal)
    {
        // A pipe instead of the library: loading blocks while the pipe is held open.
        var pipe = Path.Combine(_folder, "libretouch_torch.so");
        Call("mkfifo", pipe);
        using var process = RetouchProcess.Start(["doctor"], new() { ["RETOUCH_NATIVE"] = _folder });
        using var writer = new FileStream(pipe, FileMode.Open, FileAccess.Write); // returns when the command opens it
        Call("kill", $"-{signal}", process.Id.ToString(CultureInfo.InvariantCulture));
        RetouchProcess.Finish(process);
        Assert.Equal(130, process.ExitCode);
        Assert.Equal("", process.StandardOutput.ReadToEnd());
        var error = process.StandardError.ReadToEnd();
        Assert.StartsWith("Stopping", error);
        Assert.EndsWith("interrupted\n", error);
    }
}
