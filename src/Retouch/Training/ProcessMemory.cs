using System.Globalization;
using Retouch.Torch;

namespace Retouch.Training;

/// <summary>Memory of this process, from Linux's /proc.</summary>
public static class ProcessMemory
{
    /// <summary>Resident bytes.</summary>
    public static long Resident() => Read("VmRSS:");

    /// <summary>Peak resident bytes since start, or since <see cref="ResetPeak"/>.</summary>
    public static long Peak() => Read("VmHWM:");

    /// <summary>Resets the peak, if the kernel allows it.</summary>
    public static void ResetPeak()
    {
        try
        {
            File.WriteAllText("/proc/self/clear_refs", "5");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Without the reset the peak is that of the whole process, an upper bound.
        }
    }

    /// <summary>Returns cached memory to the system, so that the next peak measures only subsequent work.</summary>
    public static void Release()
    {
        using var scope = TensorScope.Enter();
        Ops.ReleaseHostMemory();
    }

    /// <summary>A figure of <c>/proc/self/status</c> in bytes, by its heading.</summary>
    internal static long Read(string name)
    {
        if (!File.Exists("/proc/self/status"))
            return Environment.WorkingSet;
        var line = File.ReadLines("/proc/self/status").First(l => l.StartsWith(name, StringComparison.Ordinal));
        return long.Parse(line.AsSpan(name.Length, line.Length - name.Length - 3).Trim(), CultureInfo.InvariantCulture) * 1024;
    }
}
