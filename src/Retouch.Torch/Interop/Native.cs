using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Retouch.Torch.Interop;

/// <summary>The C ABI of <c>native/torch/retouch_torch.h</c>.</summary>
internal static unsafe partial class Native
{
    /// <summary>ABI version that this assembly requires.</summary>
    public const int AbiVersion = 6;

    private const string Library = "retouch_torch";

    /// <summary>Finds and loads the shim, if it is not loaded yet.</summary>
    /// <exception cref="Core.Errors.EnvironmentException">The shim, libtorch or one of its dependencies is missing or has the wrong
    /// version.</exception>
    public static void Load() => NativeLoader.EnsureLoaded();

    [LibraryImport(Library, EntryPoint = "rt_abi_version")]
    public static partial int GetAbiVersion();

    [LibraryImport(Library, EntryPoint = "rt_torch_version")]
    public static partial nint TorchVersion();

    [LibraryImport(Library, EntryPoint = "rt_last_error")]
    public static partial nint LastError();

    [LibraryImport(Library, EntryPoint = "rt_torch_is_known")]
    public static partial int TorchIsKnown();

    [LibraryImport(Library, EntryPoint = "rt_last_failure")]
    public static partial nint LastFailure();

    [LibraryImport(Library, EntryPoint = "rt_failure_free_set")]
    public static partial void FailureFreeSet(delegate* unmanaged<nint, void> free);

    [LibraryImport(Library, EntryPoint = "rt_operator_find", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int OperatorFind(string name, string overload, nint* handle);

    [LibraryImport(Library, EntryPoint = "rt_call")]
    public static partial int Call(nint op, Value* args, int nargs, Value* results, int nresults);

    [LibraryImport(Library, EntryPoint = "rt_call_repeat")]
    public static partial int CallRepeat(nint op, Value* args, int nargs, long times, long hold);

    [LibraryImport(Library, EntryPoint = "rt_tensor_free")]
    public static partial void TensorFree(nint tensor);

    [LibraryImport(Library, EntryPoint = "rt_tensors_free")]
    public static partial void TensorsFree(nint* tensors, int n);

    [LibraryImport(Library, EntryPoint = "rt_tensor_share")]
    public static partial nint TensorShare(nint tensor);

    [LibraryImport(Library, EntryPoint = "rt_tensor_info_get")]
    public static partial int TensorInfoGet(nint tensor, TensorInfo* info);

    [LibraryImport(Library, EntryPoint = "rt_tensor_from_blob")]
    public static partial int TensorFromBlob(
        void* data,
        long* sizes,
        int dim,
        int dtype,
        delegate* unmanaged<nint, nint> release,
        nint context,
        nint* tensor
    );

    [LibraryImport(Library, EntryPoint = "rt_tensor_set_requires_grad")]
    public static partial int TensorSetRequiresGrad(nint tensor, int value);

    [LibraryImport(Library, EntryPoint = "rt_tensor_grad")]
    public static partial int TensorGrad(nint tensor, nint* grad);

    [LibraryImport(Library, EntryPoint = "rt_tensor_set_grad")]
    public static partial int TensorSetGrad(nint tensor, nint grad);

    [LibraryImport(Library, EntryPoint = "rt_list_free")]
    public static partial void ListFree(nint list);

    [LibraryImport(Library, EntryPoint = "rt_grad_mode_get")]
    public static partial int GradModeGet();

    [LibraryImport(Library, EntryPoint = "rt_grad_mode_set")]
    public static partial void GradModeSet(int enabled);

    [LibraryImport(Library, EntryPoint = "rt_backward")]
    public static partial int Backward(nint* outputs, int n, nint* grads, int retain, int create);

    [LibraryImport(Library, EntryPoint = "rt_grad")]
    public static partial int Grad(
        nint* outputs,
        int n,
        nint* inputs,
        int m,
        nint* grads,
        int retain,
        int create,
        int allowUnused,
        nint* results
    );

    [LibraryImport(Library, EntryPoint = "rt_custom_function")]
    public static partial int CustomFunction(
        nint* inputs,
        int n,
        nint* outputs,
        int m,
        delegate* unmanaged<nint, nint*, int, nint*, int, nint> backward,
        delegate* unmanaged<nint, nint> release,
        nint context,
        nint* results
    );

    [LibraryImport(Library, EntryPoint = "rt_autocast_enter")]
    public static partial int AutocastEnter(int deviceType, int enabled, int dtype, AutocastMode* outer);

    [LibraryImport(Library, EntryPoint = "rt_autocast_leave")]
    public static partial int AutocastLeave(AutocastMode* outer);

    [LibraryImport(Library, EntryPoint = "rt_autocast_clear_cache")]
    public static partial void AutocastClearCache();

    [LibraryImport(Library, EntryPoint = "rt_generator_new")]
    public static partial int GeneratorNew(int deviceType, int deviceIndex, ulong seed, nint* generator);

    [LibraryImport(Library, EntryPoint = "rt_generator_free")]
    public static partial void GeneratorFree(nint generator);

    [LibraryImport(Library, EntryPoint = "rt_generator_set_seed")]
    public static partial int GeneratorSetSeed(nint generator, ulong seed);

    [LibraryImport(Library, EntryPoint = "rt_generator_get_state")]
    public static partial int GeneratorGetState(nint generator, nint* tensor);

    [LibraryImport(Library, EntryPoint = "rt_generator_set_state")]
    public static partial int GeneratorSetState(nint generator, nint tensor);

    [LibraryImport(Library, EntryPoint = "rt_threads_set")]
    public static partial void ThreadsSet(int count);

    [LibraryImport(Library, EntryPoint = "rt_threads_get")]
    public static partial int ThreadsGet();

    [LibraryImport(Library, EntryPoint = "rt_cuda_count")]
    public static partial int CudaCount();

    [LibraryImport(Library, EntryPoint = "rt_cuda_is_built")]
    public static partial int CudaIsBuilt();

    [LibraryImport(Library, EntryPoint = "rt_cuda_status")]
    public static partial int CudaStatus(int* code, nint* text);

    [LibraryImport(Library, EntryPoint = "rt_cuda_memory")]
    public static partial int CudaMemory(int index, int resetPeak, DeviceMemoryInfo* info);

    [LibraryImport(Library, EntryPoint = "rt_cuda_release_cache")]
    public static partial int CudaReleaseCache();

    [LibraryImport(Library, EntryPoint = "rt_cuda_synchronize")]
    public static partial int CudaSynchronize(int index);

    [LibraryImport(Library, EntryPoint = "rt_launcher_set")]
    public static partial int LauncherSet(int deviceType, nint function);

    [LibraryImport(Library, EntryPoint = "rt_kernels_compile", StringMarshalling = StringMarshalling.Utf8)]
    public static partial int KernelsCompile(string architecture, string cache, nint* text);

    [LibraryImport(Library, EntryPoint = "rt_kernels_can_compile")]
    public static partial int KernelsCanCompile();

    [LibraryImport(Library, EntryPoint = "rt_kernels_failure")]
    public static partial int KernelsFailure(int index, nint* text);

    [LibraryImport(Library, EntryPoint = "rt_arithmetic_set")]
    public static partial int ArithmeticSet(int allowTf32, int deterministic);

    [LibraryImport(Library, EntryPoint = "rt_host_cache_set")]
    public static partial int HostCacheSet(int enabled);

    [LibraryImport(Library, EntryPoint = "rt_show_config")]
    public static partial int ShowConfig(nint* text);

    [LibraryImport(Library, EntryPoint = "rt_string_free")]
    public static partial void StringFree(nint text);

    /// <summary>Throws the error of the native call that just returned, unless it succeeded.</summary>
    /// <param name="status">Return value of the call.</param>
    /// <param name="what">Name of the call for the message.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Check(int status, string what)
    {
        if (status != 0)
            throw TorchException.FromNative(status, what);
    }

    /// <summary>Converts a string allocated by the shim, and frees it.</summary>
    public static string TakeText(nint text)
    {
        var result = Marshal.PtrToStringUTF8(text)!;
        StringFree(text);
        return result;
    }

    /// <summary>Autocast mode of a device type, with the layout of <c>rt_autocast_mode</c>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct AutocastMode
    {
        public int DeviceType;
        public int Enabled;
        public int DType;
    }

    /// <summary>GPU memory in bytes, with the layout of <c>rt_device_memory_info</c>; −1 if unknown.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct DeviceMemoryInfo
    {
        public long Free;
        public long Total;
        public long Allocated;
        public long Reserved;
        public long Peak;
    }
}
