using System.Runtime.InteropServices;
using Retouch.Core.Errors;
using Retouch.Torch.Devices;

namespace Retouch.Torch.Interop;

/// <summary>Loads the shim and libtorch once, and configures libtorch's threads.</summary>
internal static unsafe partial class NativeLoader
{
    internal const string Name = "retouch_torch";
    private static readonly Lock Gate = new();
    private static nint _library;
    private static EnvironmentException? _failure;

    /// <summary>Path of the loaded shim, or null.</summary>
    public static string? LoadedFrom { get; private set; }

    public static void EnsureLoaded()
    {
        if (_library != 0)
            return;
        lock (Gate)
        {
            if (_library != 0)
                return;
            try
            {
                if (_failure is null)
                    Load();
            }
            catch (EnvironmentException e)
            {
                _failure = e;
            }

            if (_failure is not null)
                throw new EnvironmentException(_failure.Message, _failure.InnerException);
        }
    }

    private static void Load()
    {
        ChooseEnvironment();
        var (library, path) = NativeFile.Load(
            Name,
            "rt_abi_version",
            "Install libtorch (Debian: libtorch-dev, libopenblas0) or point RETOUCH_LIBTORCH to one."
        );
        NativeLibrary.SetDllImportResolver(typeof(NativeLoader).Assembly, (name, _, _) => name == Name ? library : 0);
        var version = Native.GetAbiVersion();
        if (version != Native.AbiVersion)
            throw new EnvironmentException(
                $"'{path}' has version {version} of the native interface, but this program needs {Native.AbiVersion}. Run "
                    + $"'retouch doctor' to rebuild it."
            );
        Native.FailureFreeSet(&Callback.FreeFailure);
        ChooseThreads();
        // PyTorch's default allows TF32 in convolutions on GPUs.
        Native.Check(Native.ArithmeticSet(0, 0), "arithmetic");
        HostBlocks.OnLoad();
        LoadedFrom = path;
        _library = library;
    }

    /// <summary>
    /// Idle OpenMP threads that spin take the core from other work (data loading, a second trainer), which was measured to slow a step
    /// by a factor of twenty; with the passive policy they sleep, unless the user chose otherwise. OpenBLAS' own threads call
    /// sched_yield for 2²⁶ cycles after every product, a sixth of a step's processor time on two cores; 2¹⁰ cycles suffice for a
    /// product that follows immediately. UCX, which Debian's libtorch loads with MPI, installs handlers of signals that end the process at
    /// a null reference in managed code, instead of an exception; with an empty list it installs none. The variables must be in the C
    /// environment before the libraries load.
    /// </summary>
    private static void ChooseEnvironment()
    {
        SetEnv("UCX_ERROR_SIGNALS", "", 0);
        SetEnv("OMP_WAIT_POLICY", "passive", 0);
        SetEnv("OPENBLAS_THREAD_TIMEOUT", "10", 0);
    }

    /// <summary>
    /// Debian's libtorch uses one thread whatever the number of cores (on two cores, a convolution took a third longer than with two
    /// threads). Unless the user chose otherwise, one thread per available core is used.
    /// </summary>
    private static void ChooseThreads()
    {
        if (
            string.IsNullOrEmpty(Environment.GetEnvironmentVariable("OMP_NUM_THREADS"))
            && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("MKL_NUM_THREADS"))
        )
            Native.ThreadsSet(Environment.ProcessorCount);
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnv(string name, string value, int overwrite);
}
