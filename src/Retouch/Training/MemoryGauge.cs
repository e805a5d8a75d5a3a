using System.Globalization;
using Retouch.Torch;
using Retouch.Torch.Devices;

namespace Retouch.Training;

/// <summary>Memory in use and its limit, in bytes.</summary>
/// <param name="Used">Memory in use, in the units of the limit.</param>
/// <param name="Limit">Upper limit.</param>
/// <param name="Name">The limit as a noun phrase: <c>the memory of cuda:0</c>.</param>
internal sealed record MemoryReading(long Used, long Limit, string Name)
{
    /// <summary>Memory left.</summary>
    public long Left => Limit - Used;
}

/// <summary>Measures the memory that a computation adds, and the limit of the device or of this process.</summary>
internal sealed class MemoryGauge(Device device)
{
    private const string Limits = "/proc/self/limits";

    /// <summary>Current use of the limit that is reached first; null if unknown.</summary>
    public MemoryReading? Read()
    {
        Release();
        if (device.Type != DeviceType.Cpu)
            return DeviceMemory.Of(device) is { Free: { } free, Allocated: { } used, Reserved: { } reserved }
                ? new(used, reserved + free, $"the memory of {device}")
                : null;
        MemoryReading?[] all =
        [
            Ours("Max address space", "VmSize:", "the limit of the address space (ulimit -v)"),
            Ours("Max data size", "VmData:", "the limit of the data segment (ulimit -d)"),
            Machine(),
        ];
        return all.OfType<MemoryReading>().MinBy(static r => r.Left);
    }

    /// <summary>Memory in use, without caches: resident main memory of this process, or of its tensors on the GPU.</summary>
    public long Held()
    {
        Release();
        return device.Type == DeviceType.Cpu ? ProcessMemory.Resident() : DeviceMemory.Of(device)?.Allocated ?? 0;
    }

    /// <summary>Peak of the memory that a computation adds; null if unknown.</summary>
    public long? Added(Action computation)
    {
        Release();
        if (device.Type == DeviceType.Cpu)
        {
            var (before, tensors) = (ProcessMemory.Resident(), Large(resetPeak: true)[0]);
            ProcessMemory.ResetPeak();
            computation();
            // Resident pages that were free before are not added again by tensors in them.
            return Math.Max(ProcessMemory.Peak() - before, Large(resetPeak: false)[1] - tensors);
        }

        var allocated = DeviceMemory.ResetPeak(device)?.Allocated;
        computation();
        device.Synchronize();
        return DeviceMemory.Of(device)?.Peak - allocated;
    }

    /// <summary>Bytes of large CPU tensors: in use, peak.</summary>
    private static long[] Large(bool resetPeak)
    {
        using var scope = TensorScope.Enter();
        return Ops.HostMemory(resetPeak).ToArray<long>();
    }

    private void Release()
    {
        if (device.Type == DeviceType.Cpu)
        {
            ProcessMemory.Release();
            return;
        }

        device.Synchronize();
        DeviceMemory.ReleaseCache();
    }

    private static MemoryReading? Ours(string limit, string used, string name)
    {
        if (!File.Exists(Limits))
            return null;
        var line = File.ReadLines(Limits).FirstOrDefault(l => l.StartsWith(limit, StringComparison.Ordinal));
        return
            line?[limit.Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries) is [var soft, ..]
            && long.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes)
            ? new(ProcessMemory.Read(used), bytes, name)
            : null;
    }

    private static MemoryReading? Machine()
    {
        const string Info = "/proc/meminfo";
        if (!File.Exists(Info))
            return null;
        var line = File.ReadLines(Info).First(static l => l.StartsWith("MemAvailable:", StringComparison.Ordinal));
        var free = long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024;
        var used = ProcessMemory.Resident();
        // A container's limit is lower than the machine's.
        return new(used, Math.Min(used + free, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes), "the available main memory");
    }
}
