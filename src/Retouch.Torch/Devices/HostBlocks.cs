using Retouch.Torch.Interop;

namespace Retouch.Torch.Devices;

/// <summary>
/// Where the elements of large CPU tensors live: in memory of the C library, or in blocks that wait for the next tensor of their size. The
/// C library hands large blocks back to the system on every free, so that a feature map costs thousands of page faults each time.
/// </summary>
public static class HostBlocks
{
    private const string Switch = "RETOUCH_HOST_CACHE";

    private static volatile bool s_wanted;

    /// <summary>
    /// Makes tensors from 1 MiB on use blocks again, or no longer, for the whole process, from now or from when libtorch is loaded. It
    /// replaces libtorch's allocator and tunes malloc, so nothing but a program does it; <c>RETOUCH_HOST_CACHE=0</c> keeps it off.
    /// </summary>
    public static void Reuse(bool enabled)
    {
        s_wanted = enabled && Environment.GetEnvironmentVariable(Switch) != "0";
        if (NativeLoader.LoadedFrom is not null)
            Apply(s_wanted);
    }

    /// <summary>Does what was asked for before libtorch was loaded.</summary>
    internal static void OnLoad()
    {
        if (s_wanted)
            Apply(true);
    }

    private static void Apply(bool enabled) => Native.Check(Native.HostCacheSet(enabled ? 1 : 0), "allocator");
}
