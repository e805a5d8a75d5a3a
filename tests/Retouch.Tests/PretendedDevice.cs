using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Retouch.Torch;
using Retouch.Torch.Devices;
using Retouch.Torch.Interop;

namespace Retouch.Tests;

/// <summary>
/// Simulated accelerator on the CPU: operators that mix devices fail, backward runs on a separate thread, and unannounced reads by the
/// host throw. It runs the kernels for GPUs, compiled for the CPU with emulated blocks and threads. Tests with it are one collection,
/// since transfers are watched process-wide.
/// </summary>
internal static unsafe class PretendedDevice
{
    private static readonly NativeFile File = NativeFile.Load(
        "retouch_torch_pretended",
        "rt_pretended_announce",
        $"It is built with the engine, for libtorch {TorchRuntime.Version}."
    );

    /// <summary>Name of the collection of tests.</summary>
    public const string Collection = "pretended device";

    private const int UsualThreads = 16;

    private static readonly NativeFile Emulation = NativeFile.Load(
        "retouch_torch_emulated",
        "rt_emulated_launch",
        $"It is built with the engine, for libtorch {TorchRuntime.Version}."
    );

    public static Device Device { get; } = new((DeviceType)((delegate* unmanaged<int>)Export("rt_pretended_type"))(), 0);

    /// <summary>
    /// Allows the types in <paramref name="allowed"/> to read from the device, and records transfers, until disposed.
    /// </summary>
    public static Transfers Watch(params string[] allowed) => new(allowed);

    /// <summary>Number of kernels launched so far.</summary>
    public static long Launches => ((delegate* unmanaged<long>)NativeLibrary.GetExport(Emulation.Handle, "rt_emulated_launches"))();

    /// <summary>Number of threads of every block, and the order of blocks and threads, until the result is disposed.</summary>
    public static IDisposable Threads(int threads, bool descending)
    {
        SetThreads(threads, descending);
        return new Restored();
    }

    /// <summary>Launches a kernel for float32 in one block; returns its error or null.</summary>
    public static string? Launch(string kernel, nint[] arguments, int[] sizes)
    {
        var name = Marshal.StringToCoTaskMemUTF8(kernel);
        try
        {
            var launch = (delegate* unmanaged<nint, int, int, int, nint*, int*, int, nint>)LaunchFunction;
            fixed (nint* pointers = arguments)
            fixed (int* bytes = sizes)
                return Marshal.PtrToStringUTF8(launch(name, 0, 1, UsualThreads, pointers, bytes, sizes.Length));
        }
        finally
        {
            Marshal.FreeCoTaskMem(name);
        }
    }

    // On its first run, autograd's engine starts a thread for each known device.
    [ModuleInitializer]
    internal static void LoadFirst()
    {
        Announce(0);
        Native.Check(Native.LauncherSet((int)Device.Type, LaunchFunction), "kernels");
    }

    private static nint LaunchFunction => NativeLibrary.GetExport(Emulation.Handle, "rt_emulated_launch");

    private static void SetThreads(int threads, bool descending) =>
        ((delegate* unmanaged<int, int, void>)NativeLibrary.GetExport(Emulation.Handle, "rt_emulated_set"))(threads, descending ? 1 : 0);

    private static void Announce(long reads) => ((delegate* unmanaged<long, void>)Export("rt_pretended_announce"))(reads);

    private static nint Export(string name) => NativeLibrary.GetExport(File.Handle, name);

    private sealed class Restored : IDisposable
    {
        public void Dispose() => SetThreads(UsualThreads, false);
    }

    /// <summary>
    /// Transfers between host and device by the requesting type, since methods may be inlined.
    /// </summary>
    internal sealed class Transfers : IDisposable
    {
        private readonly IDisposable _watch;

        public Transfers(string[] allowed) =>
            _watch = HostTransfer.Watch(
                (tensor, to) =>
                {
                    if (to.Type != DeviceType.Cpu || tensor.Device.Type == DeviceType.Cpu)
                    {
                        Uploads.Add(Caller());
                        return;
                    }

                    var caller = Caller();
                    Reads.Add(caller);
                    Announce(allowed.Contains(caller) ? 1 : 0);
                }
            );

        /// <summary>Types that read elements from the device.</summary>
        public SortedSet<string> Reads { get; } = new(StringComparer.Ordinal);

        /// <summary>Types that sent elements to the device.</summary>
        public SortedSet<string> Uploads { get; } = new(StringComparer.Ordinal);

        public void Dispose() => _watch.Dispose();

        private static string Caller()
        {
            foreach (var frame in new StackTrace(false).GetFrames())
            {
                if (frame.GetMethod() is not { DeclaringType: { } type })
                    continue;
                while (type.DeclaringType is { } outer && type.Name.StartsWith('<'))
                    type = outer;
                if (type != typeof(Tensor) && type != typeof(HostTransfer) && type != typeof(Transfers))
                    return type.Name;
            }

            return "?";
        }
    }
}
