using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Retouch.Core.Errors;
using Retouch.Experiments.Machine;
using Retouch.Torch;
using Retouch.Torch.Devices;

namespace Retouch.Cli.Diagnosis;

/// <summary>Checks of NVIDIA's driver, of libtorch's CUDA build, and of the cards.</summary>
internal static partial class GpuChecks
{
    private const string DriverLibrary = "libcuda.so.1";
    private const string Tool = "nvidia-smi";

    /// <summary>NVIDIA's driver on this machine.</summary>
    public static Check Driver()
    {
        var loads = NativeLibrary.TryLoad(DriverLibrary, out var handle);
        if (loads)
            NativeLibrary.Free(handle);
        var path = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator);
        return Driver(
            File.Exists(CudaStatus.DriverFile) ? File.ReadAllText(CudaStatus.DriverFile) : null,
            loads,
            path.Select(static folder => Path.Combine(folder, Tool)).FirstOrDefault(File.Exists)
        );
    }

    /// <summary>NVIDIA's driver: kernel module, library and tool.</summary>
    /// <param name="module">Text of <see cref="CudaStatus.DriverFile"/>; null without the kernel module.</param>
    /// <param name="library">Whether <c>libcuda.so.1</c> loads.</param>
    /// <param name="tool">Path of <c>nvidia-smi</c>, or null.</param>
    internal static Check Driver(string? module, bool library, string? tool)
    {
        var version =
            module is null ? null
            : VersionPattern().Match(module) is { Success: true } match ? match.Value
            : "of unknown version";
        var detail = $"kernel module {version ?? "absent"}, {DriverLibrary} {(library ? "loads" : "absent")}, {tool ?? $"{Tool} absent"}";
        // A module without the library, or the reverse, is an incomplete installation or a container without access to the card.
        return (module is not null) == library
            ? new("NVIDIA driver", CheckState.Ok, detail)
            : new(
                "NVIDIA driver",
                CheckState.Slow,
                detail,
                library
                    ? "Load the kernel module (reboot after an update), or give the container access to the card (docs/gpu.md)."
                    : "Install the driver's libraries (libcuda1), or give the container access to them (docs/gpu.md)."
            );
    }

    /// <summary>Version of CUDA that libtorch was built for.</summary>
    public static Check Cuda(TorchFacts facts) =>
        new(
            "CUDA",
            CheckState.Ok,
            facts.CudaBuild is { } version ? $"libtorch was built for CUDA {version}" : "libtorch was built without CUDA"
        );

    /// <summary>Version of CUDA in libtorch's description of its build; null without CUDA.</summary>
    internal static string? BuildOf(string configuration) =>
        BuildPattern().Match(configuration) is { Success: true } match ? match.Groups[1].Value : null;

    /// <summary>Usable cards, or the reason why none is used.</summary>
    public static Check Card(TorchFacts facts)
    {
        var cuda = facts.Cuda;
        if (cuda.Devices > 0)
        {
            var memory = facts is { CudaFreeBytes: { } free, CudaTotalBytes: { } total }
                ? $", the first with {MachineChecks.Gibibytes(free)} free of {MachineChecks.Gibibytes(total)}"
                : "";
            var usable = $"{cuda.Devices} usable{memory}";
            return facts.KernelFailure is { } failure
                ? new(
                    "GPU",
                    CheckState.Slow,
                    $"{usable}; its kernels are replaced by separate operators: {failure}",
                    "Install CUDA's compiler library libnvrtc of libtorch's CUDA version (docs/gpu.md), or unset RETOUCH_KERNELS."
                )
                : new("GPU", CheckState.Ok, $"{usable}, with compiled kernels");
        }

        // A libtorch without CUDA on a machine without a driver is no problem.
        return cuda.IsBuilt || File.Exists(CudaStatus.DriverFile)
            ? new("GPU", CheckState.Slow, $"none usable: {cuda.Reason}", cuda.Remedy)
            : new("GPU", CheckState.Ok, $"none: {cuda.Reason}; computing on the CPU");
    }

    /// <summary>The device given by <c>--device</c>.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="facts">Properties of libtorch; null if it cannot be loaded.</param>
    /// <exception cref="UsageException">The name is invalid.</exception>
    public static Check Asked(string name, TorchFacts? facts)
    {
        const string Heading = "device";
        if (facts is null)
            return new(Heading, CheckState.Missing, $"{name}: libtorch cannot be loaded");
        // Resolved by what the other process found: this one loads no libtorch.
        var first = facts.Cuda.Devices > 0 ? Device.Cuda() : Device.Cpu;
        var device = name == Device.Auto ? first : Device.Parse(name);
        return device.Type == DeviceType.Cpu || device.Index < facts.Cuda.Devices
            ? new(Heading, CheckState.Ok, $"{device}")
            : new(Heading, CheckState.Missing, $"{device} is not available: {facts.Cuda.Reason}", facts.Cuda.Remedy);
    }

    [GeneratedRegex(@"\d+\.\d+(\.\d+)?")]
    private static partial Regex VersionPattern();

    [GeneratedRegex(@"CUDA Runtime (\d+(\.\d+)*)")]
    private static partial Regex BuildPattern();
}
