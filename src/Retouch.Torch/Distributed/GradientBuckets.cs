using Retouch.Torch.Interop;

namespace Retouch.Torch.Distributed;

/// <summary>
/// Sums of gradients over the processes of a group, in buckets that are sent while the backward pass still computes the others. Use:
/// <see cref="Arm"/>, backward, <see cref="Flush"/>, <see cref="Finish"/>, in all processes; backward passes before <see cref="Arm"/>
/// accumulate without communication. With owners a sum reaches the owner of its parameter only and gradients are freed when they are sent,
/// so that every backward pass of a step must be armed, flushed and finished (ZeRO stage 2, Rajbhandari et al. 2020).
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
    /// <param name="owners">Rank of the owner of each parameter; null if all processes receive all sums.</param>
    public GradientBuckets(
        ProcessGroup group,
        IReadOnlyList<Tensor> parameters,
        long bytes = DefaultBytes,
        IReadOnlyList<int>? owners = null
    )
    {
        ArgumentNullException.ThrowIfNull(group);
        ArgumentNullException.ThrowIfNull(parameters);
        ArgumentOutOfRangeException.ThrowIfLessThan(bytes, 1);
        _group = group;
        if (owners is not null && (owners.Count != parameters.Count || owners.Any(o => o < 0 || o >= group.Size)))
            throw new ArgumentException("Every parameter needs an owner among the ranks.", nameof(owners));
        nint buckets;
        fixed (nint* handles = parameters.Select(static p => p.Handle).ToArray())
        fixed (int* ranks = owners?.ToArray())
            Native.Check(Native.BucketsNew(group.Handle, handles, parameters.Count, bytes, ranks, &buckets), "gradient buckets");
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

    /// <summary>
    /// Waits for the sums. After the last pass of a step they replace the gradients: of all parameters or, with owners, of those of this
    /// process, summed over the passes.
    /// </summary>
    /// <param name="last">Whether the pass was the step's last.</param>
    /// <exception cref="TorchException">A process has ended or did not answer in time; names rank and operation.</exception>
    public void Finish(bool last = true) => _group.Check(Native.BucketsFinish(Handle, last ? 1 : 0), "sum of gradients");

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_handle != 0)
            Native.BucketsFree(_handle);
        _handle = 0;
    }
}
