using System.Text;
using Retouch.Torch.Interop;

namespace Retouch.Torch.Distributed;

/// <summary>
/// Collective operations of processes that found each other through a <see cref="TcpStore"/>: c10d's process groups. All processes must
/// call the same operations in the same order. An operation blocks until it is complete, fails, or the time limit has passed; after a
/// failure the group cannot be used any more.
/// </summary>
public sealed unsafe class ProcessGroup : IDisposable
{
    private nint _handle;
    private bool _failed;

    private ProcessGroup(nint handle, int rank, int size) => (_handle, Rank, Size) = (handle, rank, size);

    internal nint Handle => _handle != 0 ? _handle : throw new ObjectDisposedException(nameof(ProcessGroup));

    /// <summary>Number of this process, 0 to <see cref="Size"/> − 1.</summary>
    public int Rank { get; }

    /// <summary>Number of processes.</summary>
    public int Size { get; }

    /// <summary>Creates a group; waits for the other processes to create it too.</summary>
    /// <param name="store">Store of all processes; must outlive the group.</param>
    /// <param name="backend">Implementation.</param>
    /// <param name="name">Name of the group, equal in all processes and different for every group of a store.</param>
    /// <param name="rank">Number of this process, from 0.</param>
    /// <param name="size">Number of processes, at least 1.</param>
    /// <param name="timeout">Limit of every operation.</param>
    /// <param name="address">Address of this process for Gloo's connections; null for that of the machine's name.
    /// <c>GLOO_SOCKET_IFNAME</c> (network interfaces) overrides it.</param>
    /// <exception cref="TorchException">The backend is missing, or another process did not create the group in time.</exception>
    public static ProcessGroup Create(
        TcpStore store,
        CommunicationBackend backend,
        string name,
        int rank,
        int size,
        TimeSpan timeout,
        string? address = null
    )
    {
        ArgumentNullException.ThrowIfNull(store);
        ArgumentOutOfRangeException.ThrowIfNegative(rank);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(rank, size);
        nint group;
        var status = Native.GroupNew(store.Handle, backend.Name(), name, rank, size, TcpStore.Milliseconds(timeout), address ?? "", &group);
        Native.Check(status, $"rank {rank} of {size}, create group '{name}' ({backend.Name()})");
        return new ProcessGroup(group, rank, size);
    }

    /// <summary>Replaces a contiguous tensor by its sum over all processes.</summary>
    /// <exception cref="TorchException">A process has ended or did not answer in time; names rank and operation.</exception>
    public void AllReduce(Tensor tensor)
    {
        // Some builds of Gloo have no float16.
        if (tensor.DType == DType.Float16)
        {
            using var wide = tensor.To(DType.Float32);
            AllReduce(wide);
            tensor.CopyInPlace(wide);
            return;
        }

        Check(Native.GroupAllReduce(Handle, tensor.Handle, 0), "all-reduce");
    }

    /// <summary>Replaces a contiguous tensor by its maximum over all processes.</summary>
    /// <exception cref="TorchException">As in <see cref="AllReduce"/>.</exception>
    public void AllReduceMaximum(Tensor tensor) => Check(Native.GroupAllReduce(Handle, tensor.Handle, 1), "all-reduce (maximum)");

    /// <summary>Replaces a contiguous tensor by that of one process.</summary>
    /// <exception cref="TorchException">As in <see cref="AllReduce"/>.</exception>
    public void Broadcast(Tensor tensor, int root) => Check(Native.GroupBroadcast(Handle, tensor.Handle, root), "broadcast");

    /// <summary>The tensors of all processes, by rank. They must have the same shape and type.</summary>
    /// <exception cref="TorchException">As in <see cref="AllReduce"/>.</exception>
    public Tensor[] AllGather(Tensor tensor)
    {
        // Gloo has no bfloat16, and in some builds no float16: their bits are sent as bytes.
        if (tensor.DType is DType.BFloat16 or DType.Float16)
            return Array.ConvertAll(AllGather(tensor.Reshape([-1]).View(DType.UInt8)), t => t.View(tensor.DType).Reshape(tensor.Shape));
        var all = Enumerable.Range(0, Size).Select(_ => tensor.ZerosLike()).ToArray();
        fixed (nint* outputs = Array.ConvertAll(all, static t => t.Handle))
            Check(Native.GroupAllGather(Handle, tensor.Handle, outputs, Size), "all-gather");
        return all;
    }

    /// <summary>The texts of all processes, by rank, on the CPU; of any length.</summary>
    /// <exception cref="TorchException">As in <see cref="AllReduce"/>.</exception>
    public string[] AllGather(string text)
    {
        using var scope = TensorScope.Enter();
        var bytes = Encoding.UTF8.GetBytes(text);
        var lengths = Array.ConvertAll(AllGather(Tensor.From<long>([bytes.Length], 1)), static t => t.ToArray<long>()[0]);
        var longest = (int)Math.Max(1, lengths.Max());
        Array.Resize(ref bytes, longest);
        var all = AllGather(Tensor.From<byte>(bytes, longest));
        return [.. all.Select((t, k) => Encoding.UTF8.GetString(t.ToArray<byte>().AsSpan(0, (int)lengths[k])))];
    }

    /// <summary>Waits until all processes are here.</summary>
    /// <exception cref="TorchException">As in <see cref="AllReduce"/>.</exception>
    public void Barrier() => Check(Native.GroupBarrier(Handle), "barrier");

    /// <summary>Frees the group; after a failure it is left to the end of the process, since its threads can wait for peers.</summary>
    public void Dispose()
    {
        if (_handle != 0 && !_failed)
            Native.GroupFree(_handle);
        _handle = 0;
    }

    internal void Check(int status, string operation)
    {
        _failed |= status != 0;
        Native.Check(status, $"rank {Rank} of {Size}, {operation}");
    }
}
