using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Retouch.Cli.Diagnosis;
using Retouch.Core.Errors;
using Retouch.Torch.Distributed;
using Retouch.Training.Distributed;

namespace Retouch.Cli;

/// <summary>
/// Starts this command once per process on this machine (<c>--nproc</c>). Rank 0 has the terminal; what the others write is shown if one of
/// them fails first. Signals are forwarded, and the end of one process ends all.
/// </summary>
internal static partial class LocalProcesses
{
    /// <summary>Name of the option.</summary>
    public const string OptionName = "--nproc";

    /// <summary>Name of the option for restarts.</summary>
    public const string RestartsOptionName = "--max-restarts";

    /// <summary>Time in which processes end by themselves after another one has failed.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(15);

    /// <summary>Set in the processes that are started here: their standard input ends with the launcher.</summary>
    private const string Variable = "RETOUCH_LAUNCHED";

    private const int Terminate = 15;
    private const int ShownLines = 40;

    /// <summary>Whether a launcher has started this process as one of several.</summary>
    public static bool IsLaunched =>
        Environment.GetEnvironmentVariable("WORLD_SIZE") is not null
        || Environment.GetEnvironmentVariable("OMPI_COMM_WORLD_SIZE") is not null;

    /// <summary>Calls back when the launcher of this process has ended; not for other launchers than this one.</summary>
    public static void OnEndOfLauncher(Action ended)
    {
        if (Environment.GetEnvironmentVariable(Variable) is null)
            return;
        new Thread(() =>
        {
            using var input = Console.OpenStandardInput();
            while (input.ReadByte() >= 0) { }
            ended();
        })
        {
            IsBackground = true,
        }.Start();
    }

    /// <summary>Runs the processes to their end; returns the exit code of the first that failed, or 0.</summary>
    /// <param name="count">Number of processes, at least 2.</param>
    /// <param name="error">Receives what processes other than rank 0 have written before they failed.</param>
    /// <param name="cancellation">Forwarded as SIGTERM.</param>
    /// <exception cref="EnvironmentException">libtorch has no communication between processes.</exception>
    public static int Run(int count, TextWriter error, CancellationToken cancellation) => Run(count, [], 0, error, cancellation);

    /// <summary>Runs the processes to their end; returns the exit code of the first that failed, or 0.</summary>
    /// <param name="count">Number of processes, at least 2.</param>
    /// <param name="added">Arguments added to those of this process.</param>
    /// <param name="restarts">How often the processes are started again if one was killed or the system has failed (exit code 4).</param>
    /// <param name="error">Receives what processes other than rank 0 have written before they failed.</param>
    /// <param name="cancellation">Forwarded as SIGTERM.</param>
    /// <exception cref="EnvironmentException">libtorch has no communication between processes.</exception>
    public static int Run(int count, IReadOnlyList<string> added, int restarts, TextWriter error, CancellationToken cancellation)
    {
        if (CommunicationBackends.ReasonWithout(CommunicationBackend.Gloo) is { } reason)
            throw new EnvironmentException($"{OptionName} {count} is not available: {reason}.");
        for (var attempt = 0; ; attempt++)
        {
            var code = Attempt(count, added, attempt, error, cancellation);
            if (code != new EnvironmentException("").ExitCode || attempt >= restarts || cancellation.IsCancellationRequested)
                return code;
            error.WriteLine($"note: All {count} processes start again from the last checkpoint ({attempt + 1} of {restarts} restarts).");
        }
    }

    private static int Attempt(int count, IReadOnlyList<string> added, int attempt, TextWriter error, CancellationToken cancellation)
    {
        var port = FreePort();
        Rank[] ranks = [.. Enumerable.Range(0, count).Select(rank => new Rank(rank, Start(rank, count, port, added, attempt)))];
        void KillAll(object? sender, EventArgs e) => Array.ForEach(ranks, static r => r.Kill());
        AppDomain.CurrentDomain.ProcessExit += KillAll;
        try
        {
            using var forwarded = cancellation.Register(() => Array.ForEach(ranks, static r => r.Signal(Terminate)));
            return Wait(ranks, error);
        }
        finally
        {
            KillAll(null, EventArgs.Empty);
            AppDomain.CurrentDomain.ProcessExit -= KillAll;
            Array.ForEach(ranks, static r => r.Dispose());
        }
    }

    private static int Wait(Rank[] ranks, TextWriter error)
    {
        List<Rank> running = [.. ranks];
        Rank? failed = null;
        var since = 0L;
        while (running.Count > 0)
        {
            foreach (var rank in running.Where(static r => r.HasEnded).ToArray())
            {
                running.Remove(rank);
                if (rank.ExitCode == 0 || failed is not null)
                    continue;
                (failed, since) = (rank, Stopwatch.GetTimestamp());
            }

            if (failed is not null && Stopwatch.GetElapsedTime(since) > Grace)
                running.ForEach(static r => r.Kill());
            Thread.Sleep(50);
        }

        if (failed is null)
            return 0;
        failed.Show(error);
        if (failed.ExitCode <= 128 || failed.ExitCode == CommandLine.Interrupted)
            return failed.ExitCode;
        // Of the others, which state what remains, rank 0 has written to the terminal.
        if (failed.Number == 0)
            ranks[1].Show(error);
        error.WriteLine($"error: Rank {failed.Number} was killed (signal {failed.ExitCode - 128}).");
        return new EnvironmentException("").ExitCode;
    }

    private static Process Start(int rank, int count, int port, IReadOnlyList<string> added, int attempt)
    {
        var start = LibraryProbe.Self();
        foreach (var argument in WithoutOptions(Environment.GetCommandLineArgs()[1..]).Concat(added))
            start.ArgumentList.Add(argument);
        start.RedirectStandardInput = true;
        start.RedirectStandardOutput = start.RedirectStandardError = rank > 0;
        void Set(string name, int value) => start.Environment[name] = value.ToString(CultureInfo.InvariantCulture);
        Set("RANK", rank);
        Set("LOCAL_RANK", rank);
        Set("WORLD_SIZE", count);
        start.Environment["MASTER_ADDR"] = IPAddress.Loopback.ToString();
        Set("MASTER_PORT", port);
        Set(LaunchEnvironment.RestartsName, attempt);
        start.Environment[Variable] = "1";
        if (Environment.GetEnvironmentVariable("OMP_NUM_THREADS") is null && Environment.GetEnvironmentVariable("MKL_NUM_THREADS") is null)
            Set("OMP_NUM_THREADS", Math.Max(1, Environment.ProcessorCount / count));
        return Process.Start(start) ?? throw new InvalidOperationException("No process was started.");
    }

    private static IEnumerable<string> WithoutOptions(string[] arguments)
    {
        string[] own = [OptionName, RestartsOptionName];
        for (var k = 0; k < arguments.Length; k++)
        {
            if (own.Contains(arguments[k]))
                k++;
            else if (
                !Array.Exists(own, name => arguments[k].StartsWith($"{name}=", StringComparison.Ordinal))
                && !Array.Exists(own, name => arguments[k].StartsWith($"{name}:", StringComparison.Ordinal))
            )
                yield return arguments[k];
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int SendSignal(int process, int signal);

    /// <summary>A started process.</summary>
    private sealed class Rank : IDisposable
    {
        private readonly Process _process;
        private readonly Queue<string> _lines = new();

        public Rank(int number, Process process)
        {
            (Number, _process) = (number, process);
            if (number == 0)
                return;
            process.ErrorDataReceived += (_, e) => Keep(e.Data);
            process.OutputDataReceived += (_, e) => Keep(e.Data);
            process.BeginErrorReadLine();
            process.BeginOutputReadLine();
        }

        public int Number { get; }

        public bool HasEnded => _process.HasExited;

        public int ExitCode => _process.ExitCode;

        public void Signal(int signal)
        {
            if (!_process.HasExited)
                _ = SendSignal(_process.Id, signal);
        }

        public void Kill()
        {
            if (!_process.HasExited)
                _process.Kill(entireProcessTree: true);
        }

        /// <summary>Writes the last lines of the process.</summary>
        public void Show(TextWriter error)
        {
            lock (_lines)
            {
                foreach (var line in _lines)
                    error.WriteLine($"[rank {Number}] {line}");
            }
        }

        public void Dispose() => _process.Dispose();

        private void Keep(string? line)
        {
            if (line is null)
                return;
            lock (_lines)
            {
                _lines.Enqueue(line);
                if (_lines.Count > ShownLines)
                    _lines.Dequeue();
            }
        }
    }
}
