using System.Diagnostics;
using System.Text.Json;
using Retouch.Core.Io;

namespace Retouch.Cli.Diagnosis;

/// <summary>
/// Loads a native library in a separate process and reads its properties there. A truncated or mismatched library can kill the process
/// instead of failing to load; the doctor must report that.
/// </summary>
internal static class LibraryProbe
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>Properties, or the reason of a failure; exactly one of the two is null.</summary>
    /// <param name="library">Argument of <c>retouch probe-library</c>.</param>
    /// <param name="cancellation">Kills the process.</param>
    public static async Task<(T? Facts, string? Failure)> RunAsync<T>(string library, CancellationToken cancellation)
        where T : class
    {
        using var process = new Process { StartInfo = Self() };
        process.StartInfo.ArgumentList.Add(Commands.ProbeLibraryCommand.Name);
        process.StartInfo.ArgumentList.Add(library);
        process.Start();
        var output = process.StandardOutput.ReadToEndAsync(cancellation);
        var errors = process.StandardError.ReadToEndAsync(cancellation);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        patience.CancelAfter(Patience);
        try
        {
            await process.WaitForExitAsync(patience.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            cancellation.ThrowIfCancellationRequested();
            return (null, $"loading it took longer than {Patience.TotalSeconds} s");
        }

        var said = (await errors.ConfigureAwait(false)).Trim();
        if (process.ExitCode == 0)
        {
            try
            {
                return (Output.Read<T>(await output.ConfigureAwait(false)), null);
            }
            catch (JsonException e)
            {
                return (null, $"the output of the probe is invalid: {Reasons.Of(e)}.");
            }
        }

        // .NET reports a child killed by a signal as 128 plus the signal number.
        if (process.ExitCode > 128)
            return (
                null,
                $"loading it killed the process (signal {process.ExitCode - 128}): a library is damaged or built for another system"
            );
        const string prefix = "error: ";
        var reason = said.Split('\n')[0];
        return (
            null,
            reason.StartsWith(prefix, StringComparison.Ordinal)
                ? reason[prefix.Length..]
                : $"the probe ended with exit code {process.ExitCode}. {reason}"
        );
    }

    /// <summary>Starts this program again, with both outputs redirected; arguments can be added.</summary>
    internal static ProcessStartInfo Self()
    {
        var start = new ProcessStartInfo(Environment.ProcessPath ?? "dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        // Run as 'dotnet Retouch.Cli.dll' the process is dotnet; run by its own executable it is that.
        if (Path.GetFileNameWithoutExtension(start.FileName) == "dotnet")
            start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "Retouch.Cli.dll"));
        return start;
    }
}
