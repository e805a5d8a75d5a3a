using Retouch.Torch.Interop;

namespace Retouch.Torch.Devices;

/// <summary>Availability of GPUs in libtorch, with the reason if there are none.</summary>
/// <param name="IsBuilt">Whether libtorch was built with CUDA.</param>
/// <param name="Devices">Number of usable GPUs.</param>
/// <param name="Reason">Status as a phrase: <c>CUDA build of libtorch 2.6.0, no driver</c>.</param>
/// <param name="Remedy">Remedy as a sentence.</param>
public sealed record CudaStatus(bool IsBuilt, int Devices, string Reason, string Remedy)
{
    /// <summary>File that exists if NVIDIA's kernel driver is loaded.</summary>
    public const string DriverFile = "/proc/driver/nvidia/version";

    // CUDA runtime error codes (cudaError_t).
    private const int InsufficientDriver = 35;
    private const int NoDevice = 100;
    private const string Otherwise = "or choose --device cpu.";

    /// <summary>Queries libtorch and the CUDA runtime.</summary>
    public static unsafe CudaStatus Read()
    {
        Native.Load();
        var (built, devices) = (Native.CudaIsBuilt() != 0, Native.CudaCount());
        int code;
        nint text;
        Native.Check(Native.CudaStatus(&code, &text), "CUDA");
        return Describe(built, devices, code, Native.TakeText(text), TorchRuntime.Version, File.Exists(DriverFile));
    }

    /// <summary>Describes a status.</summary>
    /// <param name="built">Whether libtorch was built with CUDA.</param>
    /// <param name="devices">Number of usable GPUs.</param>
    /// <param name="code">CUDA error of the device query; −1 without a runtime.</param>
    /// <param name="text">CUDA error text.</param>
    /// <param name="version">Version of libtorch.</param>
    /// <param name="hasDriver">Whether NVIDIA's kernel driver is loaded.</param>
    internal static CudaStatus Describe(bool built, int devices, int code, string text, string version, bool hasDriver)
    {
        if (!built)
        {
            var driver = hasDriver ? ", though an NVIDIA driver is installed" : "";
            return new(
                false,
                0,
                $"libtorch {version} was built without CUDA{driver}",
                $"Start ./retouch --cuda, or set RETOUCH_LIBTORCH to a libtorch that was built for CUDA (docs/gpu.md), {Otherwise}"
            );
        }

        var build = $"CUDA build of libtorch {version}";
        if (devices > 0)
            return new(true, devices, $"{build}, {devices} GPU{(devices == 1 ? "" : "s")}", $"Choose one of cuda:0 to cuda:{devices - 1}.");
        return code switch
        {
            // Driver libraries can exist without the kernel module, as in a container.
            InsufficientDriver or NoDevice when !hasDriver => new(
                true,
                0,
                $"{build}, no driver",
                $"Install NVIDIA's driver, or give the container access to the card (docs/gpu.md), {Otherwise}"
            ),
            InsufficientDriver => new(
                true,
                0,
                $"{build}, and the NVIDIA driver is too old for its CUDA ({text})",
                $"Update the driver, or use a libtorch that was built for an older CUDA (docs/gpu.md), {Otherwise}"
            ),
            NoDevice => new(
                true,
                0,
                $"{build} with a driver, but no GPU ({text})",
                $"Check the output of nvidia-smi and CUDA_VISIBLE_DEVICES, {Otherwise}"
            ),
            _ => new(
                true,
                0,
                $"{build}, but the CUDA runtime fails: {text} (error {code})",
                $"Check whether nvidia-smi works, and reboot after a driver update, {Otherwise}"
            ),
        };
    }
}
