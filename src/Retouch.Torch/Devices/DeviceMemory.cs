using Retouch.Torch.Interop;

namespace Retouch.Torch.Devices;

/// <summary>GPU memory in bytes; null for values that libtorch does not report.</summary>
/// <param name="Free">Free memory of the device, across all processes.</param>
/// <param name="Total">Total memory of the device.</param>
/// <param name="Allocated">Memory of this process's tensors.</param>
/// <param name="Reserved">Memory reserved by libtorch's allocator, tensors included.</param>
/// <param name="Peak">Peak of allocated memory since <see cref="ResetPeak"/>.</param>
public sealed record DeviceMemory(long? Free, long? Total, long? Allocated, long? Reserved, long? Peak)
{
    /// <summary>Memory of a GPU; null for the CPU.</summary>
    /// <exception cref="TorchException">The GPU does not exist.</exception>
    public static DeviceMemory? Of(Device device) => Read(device, resetPeak: false);

    /// <summary>Resets the peak to the currently allocated memory.</summary>
    /// <returns>Values before the reset.</returns>
    public static DeviceMemory? ResetPeak(Device device) => Read(device, resetPeak: true);

    /// <summary>Releases the unused cached blocks of libtorch's allocator on all devices.</summary>
    public static void ReleaseCache()
    {
        Native.Load();
        Native.Check(Native.CudaReleaseCache(), "empty_cache");
    }

    private static unsafe DeviceMemory? Read(Device device, bool resetPeak)
    {
        if (device.Type != DeviceType.Cuda)
            return null;
        Native.Load();
        Native.DeviceMemoryInfo info;
        Native.Check(Native.CudaMemory(device.Index, resetPeak ? 1 : 0, &info), "memory of the device");
        return new(Known(info.Free), Known(info.Total), Known(info.Allocated), Known(info.Reserved), Known(info.Peak));
    }

    private static long? Known(long bytes) => bytes < 0 ? null : bytes;
}
