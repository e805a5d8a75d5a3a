using System.Globalization;
using System.Text;
using Retouch.Torch.Interop;

namespace Retouch.Torch.Distributed;

/// <summary>
/// Keys and values that processes share over TCP: c10d's TCPStore, as PyTorch's launchers serve it. One process is the server. Not for
/// concurrent use.
/// </summary>
public sealed unsafe class TcpStore : IDisposable
{
    private nint _handle;

    private TcpStore(nint handle) => _handle = handle;

    internal nint Handle => _handle != 0 ? _handle : throw new ObjectDisposedException(nameof(TcpStore));

    /// <summary>Starts the server and connects to it.</summary>
    /// <param name="host">Name or address of this machine, for the connection to itself; the server listens on all interfaces.</param>
    /// <param name="port">Port, 1 to 65535; 0 for any free one (<see cref="Port"/>).</param>
    /// <param name="timeout">Limit of the connection and of later operations.</param>
    /// <param name="prefix">Precedes all keys; empty for none.</param>
    /// <exception cref="TorchException">The port is not available.</exception>
    public static TcpStore Serve(string host, int port, TimeSpan timeout, string prefix = "") =>
        Open(host, port, serves: true, timeout, prefix);

    /// <summary>Connects to the server of another process, and waits for it to start.</summary>
    /// <param name="host">Name or address of its machine.</param>
    /// <param name="port">Its port, 1 to 65535.</param>
    /// <param name="timeout">Limit of the connection and of later operations.</param>
    /// <param name="prefix">Precedes all keys; empty for none.</param>
    /// <exception cref="TorchException">No server answered in time.</exception>
    public static TcpStore Connect(string host, int port, TimeSpan timeout, string prefix = "") =>
        Open(host, port, serves: false, timeout, prefix);

    /// <summary>Port of the server.</summary>
    public int Port => Native.StorePort(Handle);

    /// <summary>Sets a value.</summary>
    public void Set(string key, string value)
    {
        var bytes = Encoding.UTF8.GetBytes(value);
        fixed (byte* data = bytes)
            Native.Check(Native.StoreSet(Handle, key, data, bytes.Length), $"store, set '{key}'");
    }

    /// <summary>Waits for a value.</summary>
    /// <exception cref="TorchException">The key was not set in time, or the server has ended.</exception>
    public string Get(string key, TimeSpan timeout)
    {
        nint data;
        long count;
        Native.Check(Native.StoreGet(Handle, key, Milliseconds(timeout), &data, &count), $"store, get '{key}'");
        try
        {
            return Encoding.UTF8.GetString((byte*)data, checked((int)count));
        }
        finally
        {
            Native.StringFree(data);
        }
    }

    /// <summary>Whether a key is set.</summary>
    /// <exception cref="TorchException">The server has ended.</exception>
    public bool Has(string key)
    {
        int found;
        Native.Check(Native.StoreHas(Handle, key, &found), $"store, check '{key}'");
        return found != 0;
    }

    /// <summary>Adds to a counter, which begins at 0, and returns the sum.</summary>
    public long Add(string key, long amount)
    {
        long sum;
        Native.Check(Native.StoreAdd(Handle, key, amount, &sum), $"store, add to '{key}'");
        return sum;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_handle != 0)
            Native.StoreFree(_handle);
        _handle = 0;
    }

    internal static long Milliseconds(TimeSpan time) => Math.Max(1, (long)time.TotalMilliseconds);

    private static TcpStore Open(string host, int port, bool serves, TimeSpan timeout, string prefix)
    {
        Native.Load();
        nint store;
        var what = string.Create(CultureInfo.InvariantCulture, $"store at {host}:{port}");
        Native.Check(Native.StoreNew(host, port, serves ? 1 : 0, prefix, Milliseconds(timeout), &store), what);
        return new TcpStore(store);
    }
}
