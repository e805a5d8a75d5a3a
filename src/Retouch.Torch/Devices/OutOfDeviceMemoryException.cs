using Retouch.Core.Errors;

namespace Retouch.Torch.Devices;

/// <summary>Memory ran out in libtorch, on a GPU or on the machine.</summary>
public sealed class OutOfDeviceMemoryException : EnvironmentException
{
    /// <param name="message">What ran out, where.</param>
    /// <param name="remedy">What would fit; null for what helps in general.</param>
    public OutOfDeviceMemoryException(string message, string? remedy = null)
        : base($"{message.TrimEnd('.')}. {remedy ?? "Use a smaller batch, checkpoint activations, or a smaller decode batch."}") { }
}
