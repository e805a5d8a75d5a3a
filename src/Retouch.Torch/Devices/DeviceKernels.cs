using Retouch.Torch.Interop;

namespace Retouch.Torch.Devices;

/// <summary>
/// Fused kernels of GPUs (native/torch/kernels), compiled by NVRTC on first use and cached in <c>~/.cache/retouch/kernels</c>. Where they
/// cannot be compiled, or with <c>RETOUCH_KERNELS=0</c>, separate operators of libtorch replace them.
/// </summary>
public static unsafe class DeviceKernels
{
    /// <summary>Whether CUDA's compiler library loads; this needs no GPU.</summary>
    internal static bool CanCompile
    {
        get
        {
            Native.Load();
            return Native.KernelsCanCompile() != 0;
        }
    }

    /// <summary>Compiles the kernels for the first layer of a loss or a decoder now, instead of on first use.</summary>
    /// <param name="device">An available GPU.</param>
    /// <returns>Null, or the reason why the GPU has no kernels.</returns>
    public static string? Prepare(Device device)
    {
        using var scope = TensorScope.Enter();
        var like = Ops.Empty([1L], device: device);
        if (Ops.HasKernels(like, "feature_loss") && Ops.HasKernels(like, "norm_silu"))
            return null;
        nint text;
        Native.Check(Native.KernelsFailure(device.Index, &text), "kernels");
        return Native.TakeText(text);
    }

    /// <summary>Compiles all kernels; this needs no GPU.</summary>
    /// <param name="architecture">Architecture, such as <c>sm_80</c>.</param>
    /// <param name="cache">Folder of compiled code, or empty.</param>
    /// <returns>A line for each source and type: both, and the number of bytes.</returns>
    /// <exception cref="TorchException">NVRTC is missing, or a kernel does not compile.</exception>
    internal static string Compile(string architecture, string cache)
    {
        Native.Load();
        nint text;
        Native.Check(Native.KernelsCompile(architecture, cache, &text), "kernels");
        return Native.TakeText(text);
    }
}
