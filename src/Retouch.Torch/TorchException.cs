using System.Runtime.InteropServices;
using Retouch.Core.Errors;
using Retouch.Torch.Interop;

namespace Retouch.Torch;

/// <summary>
/// libtorch refused a call: shapes or types that do not fit, an operator that it lacks. A programming error, not a user's.
/// </summary>
public sealed class TorchException : Exception
{
    /// <inheritdoc cref="Exception(string, Exception?)"/>
    public TorchException(string message, Exception? inner = null)
        : base(message, inner) { }

    /// <summary>The error of the native call that has just failed on this thread; running out of memory is the machine's error.</summary>
    internal static Exception FromNative(string what)
    {
        var message = Marshal.PtrToStringUTF8(Native.LastError()) ?? "unknown error";
        var pending = Autograd.TakeCallbackFailure();
        if (pending is RetouchException or OperationCanceledException)
            return pending;
        if (
            message.Contains("out of memory", StringComparison.OrdinalIgnoreCase)
            || message.Contains("can't allocate memory", StringComparison.Ordinal)
            || message.Contains("DefaultCPUAllocator", StringComparison.Ordinal)
        )
        {
            return new EnvironmentException(
                $"Out of memory in {what}: {message} Use a smaller batch, checkpoint activations, or a smaller decode batch."
            );
        }

        return new TorchException($"{what}: {message}", pending);
    }
}
