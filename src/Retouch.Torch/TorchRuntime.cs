using System.Runtime.InteropServices;
using Retouch.Torch.Interop;

namespace Retouch.Torch;

/// <summary>The loaded libtorch: version, threads, operators.</summary>
public static unsafe class TorchRuntime
{
    /// <summary>Version of libtorch, e.g. <c>1.13.1</c>.</summary>
    public static string Version
    {
        get
        {
            Native.Load();
            return Marshal.PtrToStringUTF8(Native.TorchVersion())!;
        }
    }

    /// <summary>Whether the libtorch version is within the tested range.</summary>
    public static bool IsKnownVersion
    {
        get
        {
            Native.Load();
            return Native.TorchIsKnown() != 0;
        }
    }

    /// <summary>Path of the loaded shim library.</summary>
    public static string NativeLibraryPath
    {
        get
        {
            Native.Load();
            return NativeLoader.LoadedFrom!;
        }
    }

    /// <summary>Number of threads of CPU operators.</summary>
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

    /// <summary>Build configuration and parallel settings as reported by libtorch.</summary>
    public static string Configuration
    {
        get
        {
            Native.Load();
            nint text;
            Native.Check(Native.ShowConfig(&text), "show_config");
            return Native.TakeText(text);
        }
    }

    /// <summary>Whether libtorch has an operator, by qualified name (<c>aten::scaled_dot_product_attention</c>).</summary>
    public static bool HasOperator(string name, string overload = "") => new OperatorHandle(name, overload).Exists;
}
