using System.Runtime.InteropServices;

namespace Retouch.Torch.Interop;

/// <summary>
/// Managed functions called from native code. Exceptions must not propagate through native frames: they are passed as handles, which
/// the failing call returns (<see cref="Failure"/>).
/// </summary>
internal static unsafe class Callback
{
    /// <summary>Creates a context for <see cref="Release"/>; <paramref name="action"/> runs once, when native code is done with
    /// it.</summary>
    public static nint OnRelease(Action action) => GCHandle.ToIntPtr(GCHandle.Alloc(action));

    /// <summary>Exception of a managed callback; null if this thread's failed call has another cause.</summary>
    public static Exception? Failure() =>
        Native.LastFailure() is var handle and not 0 ? (Exception)GCHandle.FromIntPtr(handle).Target! : null;

    /// <summary>Wraps an exception in a handle for native code.</summary>
    public static nint Carry(Exception exception) => GCHandle.ToIntPtr(GCHandle.Alloc(exception));

    /// <summary>Runs the action of an <see cref="OnRelease"/> context.</summary>
    /// <returns>0, or an exception handle from <see cref="Carry"/>.</returns>
    [UnmanagedCallersOnly]
    public static nint Release(nint context)
    {
        try
        {
            var handle = GCHandle.FromIntPtr(context);
            var action = (Action)handle.Target!;
            handle.Free();
            action();
            return 0;
        }
        catch (Exception e)
        {
            return Carry(e);
        }
    }

    /// <summary>Frees an exception handle.</summary>
    [UnmanagedCallersOnly]
    public static void FreeFailure(nint failure) => GCHandle.FromIntPtr(failure).Free();
}
