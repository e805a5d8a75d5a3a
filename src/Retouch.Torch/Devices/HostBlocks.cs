using Retouch.Torch.Interop;

namespace Retouch.Torch.Devices;

/// <summary>
/// Allocator of large CPU tensors: the C library's, or a cache of blocks reused by size. The C library returns large blocks to the
/// system on every free, so that each feature map costs thousands of page faults.
/// </summary>
public static class HostBlocks
{
    private const string Switch = "RETOUCH_HOST_CACHE";

    private static volatile bool _wanted;

    /// <summary>
    /// Enables or disables block reuse for tensors of at least 1 MiB, process-wide, now or when libtorch is loaded. Since it replaces
    /// libtorch's allocator and tunes malloc, only programs should enable it; <c>RETOUCH_HOST_CACHE=0</c> keeps it off.
    /// </summary>
    public static void Reuse(bool enabled)
    {
        _wanted = enabled && Environment.GetEnvironmentVariable(Switch) != "0";
        if (NativeLoader.LoadedFrom is not null)
            Apply(_wanted);
    }

    /// <summary>Applies a setting made before libtorch was loaded.</summary>
    internal static void OnLoad()
    {
        if (_wanted)
            Apply(true);
    }

    private static void Apply(bool enabled) => Native.Check(Native.HostCacheSet(enabled ? 1 : 0), "allocator");
}
