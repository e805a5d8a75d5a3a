using System.Runtime.InteropServices;

namespace Retouch.Torch.Interop;

/// <summary>
/// Managed functions that native code calls. No exception may leave them: it travels through native code as a handle, which the call that
/// fails with it gives back (<see cref="Failure"/>).
/// </summary>
internal static unsafe class Callback
{
    /// <summary>A context for <see cref="Release"/>: <paramref name="action"/> runs once, when native code is done with it.</summary>
    public static nint OnRelease(Action action) => GCHandle.ToIntPtr(GCHandle.Alloc(action));

    /// <summary>What a managed function threw; null where the failing call of this thread has another cause.</summary>
    public static Exception? Failure() =>
        Native.LastFailure() is var handle and not 0 ? (Exception)GCHandle.FromIntPtr(handle).Target! : null;

    /// <summary>The form in which an exception travels through native code.</summary>
    public static nint Carry(Exception exception) => GCHandle.ToIntPtr(GCHandle.Alloc(exception));

    /// <summary>Runs the action that <see cref="OnRelease"/> was given.</summary>
    /// <returns>0, or the exception as <see cref="Carry"/> makes it.</returns>
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

    /// <summary>Lets an exception go that has come to the end of its way.</summary>
    [UnmanagedCallersOnly]
    public static void FreeFailure(nint failure) => GCHandle.FromIntPtr(failure).Free();
}
