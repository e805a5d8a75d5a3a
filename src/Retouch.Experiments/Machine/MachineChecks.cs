using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using Retouch.Core.Io;

namespace Retouch.Experiments.Machine;

/// <summary>Checks of the machine that load no library.</summary>
internal static class MachineChecks
{
    private const double Gibi = 1024d * 1024 * 1024;
    private const double LittleMemory = 4;
    private const double LittleSpace = 5;

    /// <summary>.NET, system, processor, memory, cache folder.</summary>
    public static IEnumerable<Check> All() => [Framework(), OperatingSystem(), Processor(), Memory(), Cache()];

    /// <summary>Formats bytes in GiB.</summary>
    public static string Gibibytes(double bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / Gibi:0.0} GiB");

    private static Check Framework() =>
        new(".NET", CheckState.Ok, $"{Environment.Version} in {RuntimeEnvironment.GetRuntimeDirectory().TrimEnd('/')}");

    private static Check OperatingSystem() =>
        System.OperatingSystem.IsLinux()
            ? new(
                "System",
                CheckState.Ok,
                $"{DistributionName() ?? RuntimeInformation.OSDescription} ({RuntimeInformation.OSArchitecture})"
            )
            : new(
                "System",
                CheckState.Missing,
                RuntimeInformation.OSDescription,
                "Retouch runs on Linux; use a Debian machine or container."
            );

    private static string? DistributionName()
    {
        const string file = "/etc/os-release";
        const string key = "PRETTY_NAME=";
        return File.Exists(file)
            ? File.ReadLines(file).FirstOrDefault(static line => line.StartsWith(key, StringComparison.Ordinal))?[key.Length..].Trim('"')
            : null;
    }

    private static Check Processor()
    {
        var name = "unknown processor";
        if (
            File.Exists("/proc/cpuinfo")
            && File.ReadLines("/proc/cpuinfo").FirstOrDefault(static line => line.StartsWith("model name", StringComparison.Ordinal))
                is { } line
        )
        {
            name = line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
        }

        var vectors =
            Avx512F.IsSupported ? ", AVX-512"
            : Avx2.IsSupported ? ", AVX2"
            : "";
        var detail = $"{name}, {Environment.ProcessorCount} cores usable{vectors}";
        return RuntimeInformation.ProcessArchitecture == Architecture.X64 && !Avx2.IsSupported
            ? new(
                "Processor",
                CheckState.Slow,
                detail + ", no AVX2",
                "Use a processor with AVX2; without it computations are several times slower."
            )
            : new("Processor", CheckState.Ok, detail);
    }

    private static Check Memory()
    {
        // The limit of a container, not the memory of the machine.
        var total = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / Gibi;
        var free = Math.Min(total, AvailableMemory() ?? total);
        var detail = string.Create(CultureInfo.InvariantCulture, $"{total:0.0} GiB, {free:0.0} GiB available");
        return free < LittleMemory
            ? new(
                "Memory",
                CheckState.Slow,
                detail,
                "Less than 4 GiB: small models only. Close other programs or raise the container's limit."
            )
            : new("Memory", CheckState.Ok, detail);
    }

    /// <summary>Main memory available to this process in bytes; null if unknown.</summary>
    public static long? AvailableBytes() =>
        AvailableMemory() is { } free ? Math.Min((long)(free * Gibi), GC.GetGCMemoryInfo().TotalAvailableMemoryBytes) : null;

    private static double? AvailableMemory()
    {
        const string file = "/proc/meminfo";
        if (!File.Exists(file))
            return null;
        var line = File.ReadLines(file).FirstOrDefault(static line => line.StartsWith("MemAvailable:", StringComparison.Ordinal));
        return
            line?.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, var kibi, ..]
            && double.TryParse(kibi, CultureInfo.InvariantCulture, out var value)
            ? value * 1024 / Gibi
            : null;
    }

    private static Check Cache()
    {
        var folder = Environment.GetEnvironmentVariable("RETOUCH_CACHE") is { Length: > 0 } chosen
            ? chosen
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache", "retouch");
        try
        {
            Directory.CreateDirectory(folder);
            var probe = Path.Combine(folder, $".doctor-{Environment.ProcessId}");
            File.WriteAllText(probe, "");
            File.Delete(probe);
            var free = new DriveInfo(folder).AvailableFreeSpace / Gibi;
            var detail = string.Create(CultureInfo.InvariantCulture, $"{folder}, {free:0.0} GiB free");
            return free < LittleSpace
                ? new(
                    "Cache",
                    CheckState.Slow,
                    detail,
                    "Less than 5 GiB: caches of latents may not fit. Free some space or set RETOUCH_CACHE to another folder."
                )
                : new("Cache", CheckState.Ok, detail);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return new("Cache", CheckState.Missing, $"{folder}: {Reasons.Of(e)}.", "Set RETOUCH_CACHE to a writable folder.");
        }
    }
}
