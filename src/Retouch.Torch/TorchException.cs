using System.Runtime.InteropServices;
using Retouch.Core.Errors;
using Retouch.Torch.Devices;
using Retouch.Torch.Interop;

namespace Retouch.Torch;

/// <summary>
/// Error of a libtorch call: mismatched shapes or dtypes, a missing operator. A programming error, not a user error.
/// </summary>
public sealed class TorchException : Exception
{
    private const int OutOfMemory = 2;
    private const int CallbackFailed = 3;

    /// <inheritdoc cref="Exception(string, Exception?)"/>
    public TorchException(string message, Exception? inner = null)
        : base(message, inner) { }

    /// <summary>
    /// Exception for the native call that just failed on this thread: the exception of a managed callback, an out-of-memory error, or
    /// libtorch's error.
    /// </summary>
    /// <param name="status">Return value of the call.</param>
    /// <param name="what">Name of the call for the message.</param>
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
