using System.Runtime.InteropServices;
using Retouch.Torch.Interop;

namespace Retouch.Torch;

/// <summary>The loaded libtorch: version, threads, devices.</summary>
public static unsafe class TorchRuntime
{
    /// <summary>Version of libtorch, as in <c>1.13.1</c>.</summary>
    public static string Version
    {
        get
        {
            Native.Load();
            return Marshal.PtrToStringUTF8(Native.TorchVersion())!;
        }
    }

    /// <summary>The file that the shim was loaded from.</summary>
    public static string NativeLibraryPath
    {
        get
        {
            Native.Load();
            return NativeLoader.LoadedFrom!;
        }
    }

    /// <summary>Threads that operators on the CPU use.</summary>
    public static int Threads
    {
        get
        {
            Native.Load();
            return Native.ThreadsGet();
        }
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            Native.Load();
            Native.ThreadsSet(value);
        }
    }

    /// <summary>GPUs that libtorch can use.</summary>
    public static int CudaDeviceCount
    {
        get
        {
            Native.Load();
            return Native.CudaCount();
        }
    }

    /// <summary>Build configuration and parallel settings of libtorch, as it reports them.</summary>
    public static string Configuration
    {
        get
        {
            Native.Load();
            nint text;
            if (Native.ShowConfig(&text) != 0)
                throw TorchException.FromNative("show_config");
            var result = Marshal.PtrToStringUTF8(text)!;
            Native.StringFree(text);
            return result;
        }
    }

    /// <summary>Whether the loaded libtorch has an operator, by its qualified name (<c>aten::scaled_dot_product_attention</c>).</summary>
    public static bool HasOperator(string name, string overload = "") => new OperatorHandle(name, overload).Exists;

    /// <summary>Free and total memory of the current GPU in bytes; null where the CUDA runtime does not answer.</summary>
    public static (long Free, long Total)? CudaMemory()
    {
        Native.Load();
        long free,
            total;
        return Native.CudaMemory(&free, &total) == 0 ? (free, total) : null;
    }

    /// <summary>Waits until the device has done all that was asked of it; returns at once for the CPU.</summary>
    public static void Synchronize(Device device)
    {
        if (device.Type == DeviceType.Cuda && Native.CudaSynchronize(device.Index) != 0)
            throw TorchException.FromNative("synchronize");
    }
}
