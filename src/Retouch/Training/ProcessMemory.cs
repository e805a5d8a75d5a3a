using System.Globalization;
using Retouch.Torch;

namespace Retouch.Training;

/// <summary>Memory of this process, as Linux counts it.</summary>
public static class ProcessMemory
{
    /// <summary>Resident bytes now.</summary>
    public static long Resident() => Read("VmRSS:");

    /// <summary>The most resident bytes since the start, or since <see cref="ResetPeak"/>.</summary>
    public static long Peak() => Read("VmHWM:");

    /// <summary>Starts counting the peak anew, where the kernel allows it.</summary>
    public static void ResetPeak()
    {
        try
        {
            File.WriteAllText("/proc/self/clear_refs", "5");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Without it the peak is that of the whole process, which is an upper bound.
        }
    }

    /// <summary>Gives memory that waits for reuse back to the system, so that the next peak is that of the next work alone.</summary>
    public static void Release()
    {
        using var scope = TensorScope.Enter();
        Ops.ReleaseHostMemory();
    }

    private static long Read(string name)
    {
        if (!File.Exists("/proc/self/status"))
            return Environment.WorkingSet;
        var line = File.ReadLines("/proc/self/status").First(l => l.StartsWith(name, StringComparison.Ordinal));
        return long.Parse(line.AsSpan(name.Length, line.Length - name.Length - 3).Trim(), CultureInfo.InvariantCulture) * 1024;
    }
}
