using System.Globalization;
using Retouch.Torch;
using Retouch.Torch.Distributed;

namespace Retouch.Training.Distributed;

/// <summary>Counts up in the store once per interval from a separate thread, so that other processes can tell a killed process from a slow
/// one.</summary>
internal sealed class Heartbeat : IDisposable
{
    /// <summary>Time between two beats.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(0.5);

    private readonly ManualResetEventSlim _ended = new();
    private readonly Thread _thread;

    /// <param name="connect">Connects to the store; the connection is disposed here.</param>
    /// <param name="rank">Number of this process.</param>
    public Heartbeat(Func<TcpStore> connect, int rank)
    {
        _thread = new Thread(() => Beat(connect, rank)) { IsBackground = true, Name = "heartbeat" };
        _thread.Start();
    }

    /// <summary>Key of a process's counter.</summary>
    public static string Key(int rank) => string.Create(CultureInfo.InvariantCulture, $"beat/{rank}");

    /// <summary>Processes whose counters do not change for several intervals.</summary>
    /// <param name="store">Store of the counters.</param>
    /// <param name="ranks">Processes in question.</param>
    public static int[] Stopped(TcpStore store, IReadOnlyList<int> ranks)
    {
        var before = ranks.Select(k => store.Add(Key(k), 0)).ToArray();
        Thread.Sleep(Interval * 4);
        return [.. ranks.Where((k, i) => store.Add(Key(k), 0) == before[i])];
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _ended.Set();
        // A call that waits for a server that has gone ends with the process.
        if (_thread.Join(Interval * 4))
            _ended.Dispose();
    }

    private void Beat(Func<TcpStore> connect, int rank)
    {
        try
        {
            using var store = connect();
            do store.Add(Key(rank), 1);
            while (!_ended.Wait(Interval));
        }
        catch (TorchException)
        {
            // The server has ended, which the next operation of this process reports.
        }
    }
}
