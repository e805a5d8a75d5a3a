using Retouch.Core.Errors;

namespace Retouch.Torch.Devices;

/// <summary>libtorch ran out of GPU or host memory.</summary>
public sealed class OutOfDeviceMemoryException : EnvironmentException
{
    /// <param name="message">What ran out of memory, and where.</param>
    /// <param name="remedy">Specific remedy; null for general advice.</param>
    public OutOfDeviceMemoryException(string message, string? remedy = null)
        : base($"{message.TrimEnd('.')}. {remedy ?? "Use a smaller batch, checkpoint activations, or a smaller decode batch."}") { }
}
