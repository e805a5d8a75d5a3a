using Retouch.Torch.Devices;

namespace Retouch.Torch.Tests;

/// <summary>Measures the memory of large CPU tensors, which requires cached blocks.</summary>
internal sealed class BlocksInUse : IDisposable
{
    private readonly long _before;

    private BlocksInUse()
    {
        HostBlocks.Reuse(true);
        _before = Figures(true)[0];
    }

    /// <summary>Bytes in use beyond those at the start.</summary>
    public long Added => Figures(false)[0] - _before;

    /// <summary>Peak of bytes in use beyond those at the start.</summary>
    public long Peak => Figures(false)[1] - _before;

    /// <summary>Starts the measurement, until disposed.</summary>
    public static BlocksInUse Watch() => new();

    /// <summary>Bytes of large tensors: in use, peak, cached.</summary>
    public static long[] Figures(bool resetPeak)
    {
        using var scope = TensorScope.Enter();
        return Ops.HostMemory(resetPeak).ToArray<long>();
    }

    public void Dispose() => HostBlocks.Reuse(false);
}
