using System.CommandLine;
using Retouch.Core.Errors;
using Retouch.Training.Distributed;

namespace Retouch.Cli;

/// <summary>Commands that several processes run together: the option <c>--nproc</c>, and the processes of other launchers.</summary>
internal static class ProcessFlag
{
    private const int Most = 1024;

    /// <summary>The option.</summary>
    /// <param name="description">What the processes do.</param>
    public static Option<int?> Create(string description) => new(LocalProcesses.OptionName) { Description = description };

    /// <summary>Number of processes to start here; null to work in this process.</summary>
    /// <exception cref="UsageException">The number is out of range, or this process is one of several already.</exception>
    public static int? Count(ParseResult parsed, Option<int?> option)
    {
        if (parsed.GetValue(option) is not { } count)
            return null;
        if (count is < 1 or > Most)
            throw new UsageException($"{option.Name} is {count}; it must be from 1 to {Most}.");
        // An allocation of Slurm has its variables without a launcher, too.
        if (LocalProcesses.IsLaunched && LaunchEnvironment.Of(Environment.GetEnvironmentVariable) is { } launch)
            throw new UsageException(
                $"This process is already one of {launch.Size}, started by a launcher; leave {option.Name} out, or the launcher."
            );
        return count == 1 ? null : count;
    }

    /// <summary>Runs work in the processes that the option starts, or in this one as one of a launcher's. An error of one
    /// ends all.</summary>
    /// <param name="parsed">Command line.</param>
    /// <param name="option">The option.</param>
    /// <param name="work">Receives all processes; null for a single one.</param>
    /// <param name="cancellation">Cancels the work.</param>
    /// <returns>Exit code.</returns>
    public static Task<int> Run(ParseResult parsed, Option<int?> option, Action<World?> work, CancellationToken cancellation)
    {
        if (Count(parsed, option) is { } count)
            return Task.FromResult(LocalProcesses.Run(count, parsed.InvocationConfiguration.Error, cancellation));
        using var world = Join(TimeProvider.System);
        try
        {
            work(world);
            // An error of rank 0 after the common work is one of all processes.
            world?.AwaitMain("end of the command");
        }
        catch (PeerException) when (cancellation.IsCancellationRequested)
        {
            // Interrupted itself, although another has left before.
            throw new OperationCanceledException(cancellation);
        }
        catch (Exception e)
        {
            world?.Fail(e);
            throw;
        }

        return Task.FromResult(0);
    }

    /// <summary>The processes of the launcher that has started this one; null for a single process.</summary>
    public static World? Join(TimeProvider time) => Join(LaunchEnvironment.Of(Environment.GetEnvironmentVariable), time);

    /// <summary>The other processes; null for a single one.</summary>
    /// <param name="launch">Place of this process; null if it is alone.</param>
    /// <param name="time">Clock.</param>
    public static World? Join(LaunchEnvironment? launch, TimeProvider time) =>
        launch is null ? null : World.Join(launch, WorldLimits.Of(Environment.GetEnvironmentVariable), time);
}
