using System.Diagnostics;

namespace Retouch.Arena.Tests;

/// <summary>The built command line in a separate process.</summary>
internal static class ArenaProcess
{
    /// <summary>File of the system's libvips, which loads the system's SQLite; null without one.</summary>
    public static string? SystemLibvips =>
        Directory.Exists("/usr/lib")
            ? Directory
                .EnumerateFiles("/usr/lib", "libvips.so.42", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 1 })
                .FirstOrDefault()
            : null;

    public static Process Start(params string[] arguments) => StartWith(null, arguments);

    /// <summary>Starts with another libvips.</summary>
    public static Process StartWith(string? libvips, params string[] arguments)
    {
        // Background jobs of a script ignore SIGINT, and child processes would inherit that.
        var start = new ProcessStartInfo("env")
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add("--default-signal=INT");
        start.ArgumentList.Add("dotnet");
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "Retouch.Cli.dll"));
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        start.Environment["RETOUCH_ARENA_TOKEN"] = null;
        start.Environment["RETOUCH_LIBVIPS"] = libvips;
        return Process.Start(start)!;
    }

    /// <summary>Runs a command to its end.</summary>
    public static (int ExitCode, string Out, string Error) Run(params string[] arguments)
    {
        using var process = Start(arguments);
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, error.GetAwaiter().GetResult());
    }
}
