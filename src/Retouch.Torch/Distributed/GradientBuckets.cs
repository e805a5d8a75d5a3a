using Retouch.Torch.Interop;

namespace Retouch.Torch.Distributed;

/// <summary>
/// Sums of gradients over the processes of a group, in buckets that are sent while the backward pass still computes the others. Use:
/// <see cref="Arm"/>, backward, <see cref="Flush"/>, <see cref="Finish"/>, in all processes; backward passes before <see cref="Arm"/>
/// accumulate without communication.
/// </summary>
public sealed unsafe class GradientBuckets : IDisposable
{
    /// <summary>Default size of a bucket, 25 MiB as in PyTorch.</summary>
    public const long DefaultBytes = 25L << 20;

    private readonly ProcessGroup _group;
    private nint _handle;

    /// <param name="group">Group; must outlive this object.</param>
    /// <param name="parameters">Leaves that require gradients, in the same order in all processes.</param>
    /// <param name="bytes">Maximum size of a bucket with several parameters, at least 1.</param>
    public GradientBuckets(ProcessGroup group, IReadOnlyList<Tensor> parameters, long bytes = DefaultBytes)
    {
        ArgumentNullException.ThrowIfNull(group);
        ArgumentNullException.ThrowIfNull(parameters);
        ArgumentOutOfRangeException.ThrowIfLessThan(bytes, 1);
        _group = group;
        nint buckets;
        fixed (nint* handles = parameters.Select(static p => p.Handle).ToArray())
            Native.Check(Native.BucketsNew(group.Handle, handles, parameters.Count, bytes, &buckets), "gradient buckets");
        _handle = buckets;
    }

    /// <summary>Number of buckets.</summary>
    public long Count => Native.BucketsCount(Handle);

    private nint Handle => _handle != 0 ? _handle : throw new ObjectDisposedException(nameof(GradientBuckets));

    /// <summary>The next backward pass is the last one before the sum.</summary>
    public void Arm() => _group.Check(Native.BucketsArm(Handle), "gradient buckets");

    /// <summary>Sends the buckets that backward did not complete: missing gradients count as 0.</summary>
    /// <returns>Number of buckets that were sent during backward.</returns>
    public long Flush()
    {
        long sent;
        _group.Check(Native.BucketsFlush(Handle, &sent), "sum of gradients");
        return sent;
    }

    /// <summary>Waits for the sums, which replace the gradients of all parameters.</summary>
    /// <exception cref="TorchException">A process has ended or did not answer in time; names rank and operation.</exception>
    public void Finish() => _group.Check(Native.BucketsFinish(Handle), "sum of gradients");

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_handle != 0)
            Native.BucketsFree(_handle);
        _handle = 0;
    }
}
