using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Json;
using Retouch.Torch;
using Retouch.Torch.Distributed;

namespace Retouch.Training.Distributed;

/// <summary>The meeting of all processes at rank 0's TCP store.</summary>
internal static class Rendezvous
{
    /// <summary>Time for which a server that has failed lets the others read its message.</summary>
    public static readonly TimeSpan Farewell = TimeSpan.FromSeconds(5);

    private const string WrongKey = "wrong";

    /// <summary>What a process states about itself.</summary>
    /// <param name="Size">Number of processes that it expects.</param>
    /// <param name="Version">Version of Retouch.</param>
    /// <param name="Host">Name of its machine.</param>
    private sealed record Greeting(int Size, string Version, string Host);

    /// <summary>Serves or connects to the store, and waits for all processes.</summary>
    /// <exception cref="EnvironmentException">Processes are missing; names them.</exception>
    /// <exception cref="UsageException">The processes do not belong together.</exception>
    public static TcpStore Meet(LaunchEnvironment launch, TimeSpan limit, TimeProvider time)
    {
        var start = time.GetTimestamp();
        var store = Bounded(launch, limit, () => launch.Serves ? Serve(launch, limit) : Connect(launch, limit));
        try
        {
            Bounded(
                launch,
                limit,
                () =>
                {
                    Greet(store, launch);
                    Await(store, launch, limit, time, start);
                    return true;
                }
            );
            return store;
        }
        catch (RetouchException)
        {
            // The other processes read why before the server ends.
            if (launch.Serves)
                Thread.Sleep(TimeSpan.FromSeconds(1));
            throw;
        }
    }

    /// <summary>Connects to the store.</summary>
    public static TcpStore Connect(LaunchEnvironment launch, TimeSpan limit) =>
        TcpStore.Connect(launch.Address, launch.Port, limit, launch.Prefix);

    /// <summary>
    /// This machine's address on the way to rank 0, for Gloo: the name of a machine often resolves to its loopback interface. Null if it is
    /// unknown.
    /// </summary>
    public static string? AddressOf(LaunchEnvironment launch)
    {
        if (launch.IsLocal)
            return "127.0.0.1";
        try
        {
            // A datagram socket sends nothing on connecting; it selects the interface.
            var target = Dns.GetHostAddresses(launch.Address)[0];
            using var socket = new Socket(target.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
            socket.Connect(target, launch.Port);
            var own = ((IPEndPoint)socket.LocalEndPoint!).Address;
            return IPAddress.IsLoopback(own) ? null : own.ToString();
        }
        catch (SocketException)
        {
            return null;
        }
    }

    private static TcpStore Serve(LaunchEnvironment launch, TimeSpan limit) =>
        TcpStore.Serve(launch.Address, launch.Port, limit, launch.Prefix);

    private static void Greet(TcpStore store, LaunchEnvironment launch)
    {
        if (store.Add($"rank/{launch.Rank}", 1) > 1)
            throw Wrong(store, $"Two processes have rank {launch.Rank} of {launch.Size}; each needs another RANK.");
        var greeting = new Greeting(launch.Size, TorchRuntime.Version, Environment.MachineName);
        store.Set(Key(launch.Rank), JsonSerializer.Serialize(greeting, JsonStyles.StateLine));
    }

    private static void Await(TcpStore store, LaunchEnvironment launch, TimeSpan limit, TimeProvider time, long start)
    {
        List<int> missing = [.. Enumerable.Range(0, launch.Size)];
        while (true)
        {
            missing.RemoveAll(k => store.Has(Key(k)) && Check(store, launch, k));
            if (store.Has(WrongKey))
                throw new UsageException(store.Get(WrongKey, limit));
            if (missing.Count == 0)
                return;
            if (time.GetElapsedTime(start) > limit)
                throw new EnvironmentException(
                    $"Rank {launch.Rank} of {launch.Size} waited {Seconds(limit)} ({WorldLimits.RendezvousVariable}) at {At(launch)} for "
                        + $"rank{(missing.Count == 1 ? "" : "s")} {string.Join(", ", missing)}. Start {launch.Size} processes that can "
                        + "reach this address, or give the number that was started."
                );
            Thread.Sleep(50);
        }
    }

    private static bool Check(TcpStore store, LaunchEnvironment launch, int rank)
    {
        var other = JsonSerializer.Deserialize<Greeting>(store.Get(Key(rank), TimeSpan.FromSeconds(10)), JsonStyles.StateLine)!;
        if (other.Size != launch.Size)
            throw Wrong(
                store,
                $"Rank {rank} on {other.Host} was started as one of {other.Size} processes, rank {launch.Rank} on "
                    + $"{Environment.MachineName} as one of {launch.Size}; WORLD_SIZE must be equal."
            );
        if (other.Version != TorchRuntime.Version)
            throw Wrong(
                store,
                $"Rank {rank} on {other.Host} has libtorch {other.Version}, rank {launch.Rank} on {Environment.MachineName} "
                    + $"{TorchRuntime.Version}; all processes need the same version."
            );
        return true;
    }

    private static UsageException Wrong(TcpStore store, string message)
    {
        store.Set(WrongKey, message);
        return new UsageException(message);
    }

    /// <summary>
    /// Runs calls of the store on a separate thread, which is left behind if they do not return: a foreign server at the port can accept a
    /// connection and never answer.
    /// </summary>
    private static T Bounded<T>(LaunchEnvironment launch, TimeSpan limit, Func<T> call)
    {
        T? result = default;
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                result = call();
            }
            catch (Exception e)
            {
                failure = e;
            }
        })
        {
            IsBackground = true,
        };
        thread.Start();
        // The calls have the same limit, which newer libraries exceed by the pause between two attempts to connect.
        if (!thread.Join(limit + TimeSpan.FromSeconds(3)))
            throw Listens(launch)
                ? new EnvironmentException(
                    $"Rank {launch.Rank} of {launch.Size} got no answer at {At(launch)} within {Seconds(limit)}: another program listens "
                        + "there. Set MASTER_PORT to another port in all processes."
                )
                : NoAnswer(launch, limit, null);
        return failure switch
        {
            null => result!,
            RetouchException known => throw known,
            TorchException e when launch.Serves && e.Message.Contains("in use", StringComparison.OrdinalIgnoreCase) =>
                throw new EnvironmentException(
                    $"Rank 0 cannot listen at {At(launch)}: the port is in use. Set MASTER_PORT to another one in all processes.",
                    e
                ),
            TorchException e => throw NoAnswer(launch, limit, e),
            _ => throw new InvalidOperationException("The rendezvous failed.", failure),
        };
    }

    private static EnvironmentException NoAnswer(LaunchEnvironment launch, TimeSpan limit, TorchException? cause) =>
        new(
            $"Rank {launch.Rank} of {launch.Size} got no answer of rank 0 at {At(launch)} within {Seconds(limit)} "
                + $"({WorldLimits.RendezvousVariable}). Check that rank 0 runs, that MASTER_ADDR and MASTER_PORT are its machine and "
                + $"port, and that no firewall is between them.{(cause is null ? "" : $" ({cause.Message.Split('\n')[0]})")}",
            cause
        );

    /// <summary>Whether any program accepts connections at rank 0's port.</summary>
    private static bool Listens(LaunchEnvironment launch)
    {
        using var client = new TcpClient();
        try
        {
            return client.ConnectAsync(launch.Address, launch.Port).Wait(TimeSpan.FromSeconds(1));
        }
        catch (AggregateException)
        {
            return false;
        }
    }

    private static string Key(int rank) => string.Create(CultureInfo.InvariantCulture, $"greeting/{rank}");

    private static string At(LaunchEnvironment launch) => string.Create(CultureInfo.InvariantCulture, $"{launch.Address}:{launch.Port}");

    private static string Seconds(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.#} s");
}
