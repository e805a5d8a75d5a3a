using Retouch.Core.Errors;

namespace Retouch.Training.Distributed;

/// <summary>Another process has failed, ended, or is late. The message names it.</summary>
public sealed class PeerException : EnvironmentException
{
    /// <inheritdoc cref="RetouchException(string, Exception?)"/>
    public PeerException(string message, Exception? inner = null)
        : base(message, inner) { }
}
