using Retouch.Torch.Interop;

namespace Retouch.Torch.Devices;

/// <summary>Whether libtorch can compute on GPUs, and why not where it cannot.</summary>
/// <param name="IsBuilt">Whether this libtorch was built for CUDA.</param>
/// <param name="Devices">GPUs it can use.</param>
/// <param name="Reason">How things stand, as the part of a sentence: <c>CUDA build of libtorch 2.6.0, no driver</c>.</param>
/// <param name="Remedy">What to do about it; one sentence.</param>
public sealed record CudaStatus(bool IsBuilt, int Devices, string Reason, string Remedy)
{
    /// <summary>Exists where NVIDIA's kernel driver is loaded.</summary>
    public const string DriverFile = "/proc/driver/nvidia/version";

    // Numbers of the CUDA runtime's errors (cudaError_t).
    private const int InsufficientDriver = 35;
    private const int NoDevice = 100;
    private const string Otherwise = "or choose --device cpu.";

    /// <summary>Asks libtorch and the CUDA runtime.</summary>
    public static unsafe CudaStatus Read()
    {
        Native.Load();
        var (built, devices) = (Native.CudaIsBuilt() != 0, Native.CudaCount());
        int code;
        nint text;
        Native.Check(Native.CudaStatus(&code, &text), "CUDA");
        return Describe(built, devices, code, Native.TakeText(text), TorchRuntime.Version, File.Exists(DriverFile));
    }

    /// <summary>Puts what was found into words.</summary>
    /// <param name="built">Whether libtorch was built for CUDA.</param>
    /// <param name="devices">GPUs it can use.</param>
    /// <param name="code">What the CUDA runtime answers when asked for devices; −1 without a runtime.</param>
    /// <param name="text">The same in its own words.</param>
    /// <param name="version">libtorch's version.</param>
    /// <param name="hasDriver">Whether NVIDIA's kernel driver is loaded.</param>
    internal static CudaStatus Describe(bool built, int devices, int code, string text, string version, bool hasDriver)
    {
        if (!built)
        {
            var driver = hasDriver ? ", though an NVIDIA driver is there" : "";
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
            // The libraries of a driver may be there without its kernel module, as in a container.
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
                $"{build}, a driver, and no GPU ({text})",
                $"Look at what nvidia-smi lists and at CUDA_VISIBLE_DEVICES, {Otherwise}"
            ),
            _ => new(
                true,
                0,
                $"{build}, but the CUDA runtime fails: {text} (error {code})",
                $"See whether nvidia-smi works, and reboot after an update of the driver, {Otherwise}"
            ),
        };
    }
}
