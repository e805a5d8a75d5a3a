using Retouch.Torch.Devices;

namespace Retouch.Torch.Tests;

/// <summary>Counts the memory of large CPU tensors, for which they have to live in blocks that are used again.</summary>
internal sealed class BlocksInUse : IDisposable
{
    private readonly long _before;

    private BlocksInUse()
    {
        HostBlocks.Reuse(true);
        _before = Figures(true)[0];
    }

    /// <summary>Bytes in use now beyond those at the start.</summary>
    public long Added => Figures(false)[0] - _before;

    /// <summary>The most bytes in use at once beyond those at the start.</summary>
    public long Peak => Figures(false)[1] - _before;

    /// <summary>Starts to count, until disposed.</summary>
    public static BlocksInUse Watch() => new();

    /// <summary>Bytes of large tensors: in use, most in use at once, waiting for the next tensor of their size.</summary>
    public static long[] Figures(bool resetPeak)
    {
        using var scope = TensorScope.Enter();
        return Ops.HostMemory(resetPeak).ToArray<long>();
    }

    public void Dispose() => HostBlocks.Reuse(false);
}
