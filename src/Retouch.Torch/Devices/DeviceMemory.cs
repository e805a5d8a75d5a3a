using Retouch.Torch.Interop;

namespace Retouch.Torch.Devices;

/// <summary>Memory of a GPU in bytes. What libtorch does not tell is null.</summary>
/// <param name="Free">Free on the device, whoever uses the rest.</param>
/// <param name="Total">All of the device.</param>
/// <param name="Allocated">In tensors of this process.</param>
/// <param name="Reserved">Held by libtorch's allocator, tensors included.</param>
/// <param name="Peak">The most allocated at once since <see cref="ResetPeak"/>.</param>
public sealed record DeviceMemory(long? Free, long? Total, long? Allocated, long? Reserved, long? Peak)
{
    /// <summary>The figures of a GPU; null for the CPU, whose memory is the machine's.</summary>
    /// <exception cref="TorchException">The GPU is not there.</exception>
    public static DeviceMemory? Of(Device device) => Read(device, resetPeak: false);

    /// <summary>Starts counting the peak anew, from what is allocated now.</summary>
    /// <returns>The figures before.</returns>
    public static DeviceMemory? ResetPeak(Device device) => Read(device, resetPeak: true);

    /// <summary>Gives blocks that libtorch's allocator keeps for later tensors back to all devices.</summary>
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
