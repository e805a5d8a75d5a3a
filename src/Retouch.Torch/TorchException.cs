using System.Runtime.InteropServices;
using Retouch.Core.Errors;
using Retouch.Torch.Devices;
using Retouch.Torch.Interop;

namespace Retouch.Torch;

/// <summary>
/// libtorch refused a call: shapes or types that do not fit, an operator that it lacks. A programming error, not a user's.
/// </summary>
public sealed class TorchException : Exception
{
    private const int OutOfMemory = 2;
    private const int CallbackFailed = 3;

    /// <inheritdoc cref="Exception(string, Exception?)"/>
    public TorchException(string message, Exception? inner = null)
        : base(message, inner) { }

    /// <summary>
    /// The error of the native call that has just failed on this thread: what a managed function threw inside it, the machine's where
    /// memory ran out, else libtorch's.
    /// </summary>
    /// <param name="status">What the call returned.</param>
    /// <param name="what">What was called.</param>
    internal static Exception FromNative(int status, string what)
    {
        var message = Marshal.PtrToStringUTF8(Native.LastError()) ?? "unknown error";
        var thrown = status == CallbackFailed ? Callback.Failure() : null;
        if (thrown is RetouchException or OperationCanceledException)
            return thrown;
        return status == OutOfMemory || OutOfMemoryWording.Matches(message)
            ? new OutOfDeviceMemoryException($"Out of memory in {what}: {message}")
            : new TorchException($"{what}: {thrown?.Message ?? message}", thrown);
    }
}
