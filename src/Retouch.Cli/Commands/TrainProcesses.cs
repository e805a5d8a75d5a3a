using System.CommandLine;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Training;
using Retouch.Training.Distributed;
using Retouch.Training.Options;

namespace Retouch.Cli.Commands;

/// <summary>Processes of <c>retouch train</c>: restarts, and what another number of them continues.</summary>
internal static class TrainProcesses
{
    /// <summary>Number of restarts.</summary>
    public static readonly Option<int?> Restarts = new Option<int?>(LocalProcesses.RestartsOptionName)
    {
        Description =
            $"With {LocalProcesses.OptionName}: how often all processes start again from the last checkpoint after one was killed or the "
            + "system has failed. Default: 0.",
    }.Within(new() { AtLeast = 0 });

    /// <summary>Checks the options of a process that starts no others.</summary>
    /// <exception cref="UsageException">Restarts without processes.</exception>
    public static void Check(ParseResult parsed)
    {
        if (parsed.GetValue(Restarts) is not null && !LocalProcesses.IsLaunched)
            throw new UsageException(
                $"{Restarts.Name} needs {LocalProcesses.OptionName} 2 or more; torchrun has an option of the same name."
            );
    }

    /// <summary>Trains with processes on this machine.</summary>
    /// <param name="parsed">Command line.</param>
    /// <param name="count">Number of processes, at least 2.</param>
    /// <param name="cancellation">Interrupts all of them.</param>
    /// <returns>Exit code.</returns>
    public static int Run(ParseResult parsed, int count, CancellationToken cancellation)
    {
        var restarts = parsed.GetValue(Restarts) ?? 0;
        // All attempts continue one run.
        var isNamed = parsed.GetValue(TrainCommand.OutputPath) is not null || parsed.GetValue(TrainCommand.Resume) is not null;
        string[] added = restarts == 0 || isNamed ? [] : [TrainCommand.OutputPath.Name, TrainCommand.OutputOf(parsed, TimeProvider.System)];
        return LocalProcesses.Run(count, added, restarts, parsed.InvocationConfiguration.Error, cancellation);
    }

    /// <summary>The run that this process continues: named, or begun by an earlier attempt of the launcher; null for a new one.</summary>
    public static string? Continued(ParseResult parsed) =>
        parsed.GetValue(TrainCommand.Resume)
        ?? (
            parsed.GetValue(TrainCommand.OutputPath) is { } output
            && LaunchEnvironment.RestartsOf(Environment.GetEnvironmentVariable) > 0
            && File.Exists(Path.Combine(output, RunFolder.OptionsName))
                ? output
                : null
        );

    /// <summary>
    /// Place of this process among those that train. A run that continues with other processes than before leaves those out that would make
    /// the shares of a step uneven.
    /// </summary>
    /// <param name="parsed">Command line.</param>
    /// <param name="isSpare">Whether this process is left out.</param>
    public static LaunchEnvironment? Place(ParseResult parsed, out bool isSpare)
    {
        isSpare = false;
        if (LaunchEnvironment.Of(Environment.GetEnvironmentVariable) is not { } launch)
            return null;
        if (Continued(parsed) is not { } run || Path.Combine(run, RunFolder.OptionsName) is var file && !File.Exists(file))
            return launch;
        var json = OptionsFile.Read(file);
        TrainCommand.Override(parsed, json);
        if (json["batch"]?["accumulate"] is not JsonValue value || !value.TryGetValue(out int micros) || micros < 1)
            return launch;
        var useful = launch.Useful(micros);
        isSpare = launch.Rank >= useful;
        if (isSpare)
            parsed.InvocationConfiguration.Error.WriteLine(
                $"note: Rank {launch.Rank} of {launch.Size} is left out: the {micros} micro-batches of a step are shared by {useful} "
                    + "of the processes."
            );
        return useful == 1 ? null : launch with { Size = useful };
    }
}
