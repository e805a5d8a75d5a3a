using System.Net;
using System.Net.Sockets;
using Retouch.Torch;
using Retouch.Training.Distributed;

namespace Retouch.Tests.Training.Distributed;

/// <summary>Processes that train together, as threads of this process.</summary>
internal static class Worlds
{
    /// <summary>Limits of what must succeed.</summary>
    public static readonly WorldLimits Patient = new(TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(120));

    /// <summary>A free port of the loopback interface.</summary>
    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>Runs a body per rank; returns the failure of each rank, or null.</summary>
    public static Exception?[] Try(int size, Action<World> body, WorldLimits? limits = null)
    {
        var port = FreePort();
        return Parallel(
            size,
            rank =>
            {
                using var scope = TensorScope.Enter();
                using var world = World.Join(
                    new LaunchEnvironment(rank, size, rank, "127.0.0.1", port),
                    limits ?? Patient,
                    TimeProvider.System
                );
                body(world);
            }
        );
    }

    /// <summary>Runs a body per rank; no rank may fail.</summary>
    public static void Run(int size, Action<World> body) => Assert.Equal(new Exception?[size], Try(size, body));

    /// <summary>Runs a body per rank on a separate thread each; returns the failure of each rank, or null.</summary>
    public static Exception?[] Parallel(int size, Action<int> body)
    {
        var failures = new Exception?[size];
        Thread[] threads =
        [
            .. Enumerable.Range(0, size).Select(rank => new Thread(() => failures[rank] = Record.Exception(() => body(rank)))),
        ];
        Array.ForEach(threads, static t => t.Start());
        Array.ForEach(threads, static t => t.Join());
        return failures;
    }
}
