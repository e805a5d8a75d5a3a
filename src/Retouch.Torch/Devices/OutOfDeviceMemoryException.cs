using Retouch.Core.Errors;

namespace Retouch.Torch.Devices;

/// <summary>libtorch ran out of GPU or host memory.</summary>
public sealed class OutOfDeviceMemoryException : EnvironmentException
{
    /// <param name="cause">What ran out of memory, and where.</param>
    /// <param name="remedy">Specific remedy, a sentence; null for general advice.</param>
    public OutOfDeviceMemoryException(string cause, string? remedy = null)
        : base($"{cause.TrimEnd('.')}. {remedy ?? "Use a smaller batch, checkpoint activations, or a smaller decode batch."}") =>
        (Cause, Remedy) = (cause.TrimEnd('.'), remedy);

    /// <summary>What ran out of memory, and where, without a full stop.</summary>
    public string Cause { get; }

    /// <summary>Specific remedy; null if the message has general advice.</summary>
    public string? Remedy { get; }
}
