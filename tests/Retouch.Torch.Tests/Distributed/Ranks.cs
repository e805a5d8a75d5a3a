using System.Runtime.ExceptionServices;
using Retouch.Torch.Distributed;

namespace Retouch.Torch.Tests.Distributed;

/// <summary>Processes of a group as threads of this process, connected through the loopback interface.</summary>
internal static class Ranks
{
    public const string Loopback = "127.0.0.1";

    /// <summary>Limit of operations that must succeed.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>Runs a body per rank, and throws the first failure.</summary>
    public static void Run(int size, Action<ProcessGroup> body, TimeSpan? timeout = null)
    {
        using var store = TcpStore.Serve(Loopback, 0, Patience);
        var port = store.Port;
        Parallel(
            size,
            rank =>
            {
                using var scope = TensorScope.Enter();
                using var client = TcpStore.Connect(Loopback, port, Patience);
                using var group = ProcessGroup.Create(client, CommunicationBackend.Gloo, "test", rank, size, timeout ?? Patience, Loopback);
                body(group);
            }
        );
    }

    /// <summary>Runs a body per rank on a separate thread each, and throws the first failure.</summary>
    public static void Parallel(int size, Action<int> body)
    {
        var failures = new Exception?[size];
        var threads = Enumerable
            .Range(0, size)
            .Select(rank => new Thread(() =>
            {
                try
                {
                    body(rank);
                }
                catch (Exception e)
                {
                    failures[rank] = e;
                }
            }))
            .ToArray();
        Array.ForEach(threads, static t => t.Start());
        Array.ForEach(threads, static t => t.Join());
        if (Array.Find(failures, static f => f is not null) is { } failure)
            ExceptionDispatchInfo.Throw(failure);
    }
}
