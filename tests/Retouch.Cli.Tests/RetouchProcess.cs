using System.Diagnostics;

namespace Retouch.Cli.Tests;

/// <summary>The built command line in a separate process, with its output and exit code.</summary>
internal static class RetouchProcess
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>Outcome of a command.</summary>
    public sealed record Outcome(int ExitCode, string Out, string Error);

    /// <summary>Runs <c>retouch</c> with the arguments; null in <paramref name="environment"/> unsets a variable.</summary>
    /// <param name="arguments">Arguments of the command.</param>
    /// <param name="environment">Changed variables.</param>
    /// <param name="limits">Options of bash's <c>ulimit</c> for the process, such as <c>-d 1000000</c>.</param>
    public static Outcome Run(string[] arguments, Dictionary<string, string?>? environment = null, string? limits = null)
    {
        using var process = Start(arguments, environment, limits);
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        Finish(process);
        return new(process.ExitCode, output, error.GetAwaiter().GetResult());
    }

    /// <summary>Starts <c>retouch</c> with both outputs redirected; the caller reads and disposes it.</summary>
    public static Process Start(string[] arguments, Dictionary<string, string?>? environment = null, string? limits = null)
    {
        // Background jobs of a script ignore SIGINT, and child processes would inherit that.
        var start = new ProcessStartInfo("env")
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add("--default-signal=INT");
        if (limits is not null)
        {
            foreach (var word in (string[])["bash", "-c", $"ulimit {limits} && exec \"$@\"", "bash"])
                start.ArgumentList.Add(word);
        }

        start.ArgumentList.Add("dotnet");
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "Retouch.Cli.dll"));
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        foreach (var (name, value) in environment ?? [])
            start.Environment[name] = value;
        return Process.Start(start)!;
    }

    /// <summary>Waits for the end, and kills the process after a timeout.</summary>
    public static void Finish(Process process)
    {
        if (process.WaitForExit(Patience))
            return;
        process.Kill(entireProcessTree: true);
        throw new TimeoutException($"retouch did not end within {Patience}.");
    }
}
