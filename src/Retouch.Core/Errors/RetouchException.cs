namespace Retouch.Core.Errors;

/// <summary>
/// Base class of errors that a user can cause and fix. The message states what is wrong, where (file, key, step, sample) and what to
/// do; it is shown verbatim, without a stack trace.
/// </summary>
public abstract class RetouchException : Exception
{
    /// <param name="message">What is wrong, where, and what to do about it; one sentence each.</param>
    /// <param name="inner">Underlying exception, shown with <c>--verbose</c>.</param>
    protected RetouchException(string message, Exception? inner = null)
        : base(message, inner) { }

    /// <summary>Process exit code.</summary>
    public abstract int ExitCode { get; }
}

/// <summary>
/// Invalid usage or options: unknown flags or members, values out of range, mutually exclusive options. Exit code 2.
/// </summary>
public sealed class UsageException : RetouchException
{
    /// <inheritdoc cref="RetouchException(string, Exception?)"/>
    public UsageException(string message, Exception? inner = null)
        : base(message, inner) { }

    /// <inheritdoc/>
    public override int ExitCode => 2;
}

/// <summary>Invalid input: missing, corrupt, malformed or hostile files; data that cannot be trained on. Exit code 3.</summary>
public sealed class InputException : RetouchException
{
    /// <inheritdoc cref="RetouchException(string, Exception?)"/>
    public InputException(string message, Exception? inner = null)
        : base(message, inner) { }

    /// <inheritdoc/>
    public override int ExitCode => 3;
}

/// <summary>Missing resources: a native library, a device, memory, disk space. Exit code 4.</summary>
public class EnvironmentException : RetouchException
{
    /// <inheritdoc cref="RetouchException(string, Exception?)"/>
    public EnvironmentException(string message, Exception? inner = null)
        : base(message, inner) { }

    /// <inheritdoc/>
    public override int ExitCode => 4;
}

/// <summary>Training diverged and was stopped; the last good state is kept. Exit code 5.</summary>
public sealed class DivergedException : RetouchException
{
    /// <inheritdoc cref="RetouchException(string, Exception?)"/>
    public DivergedException(string message, Exception? inner = null)
        : base(message, inner) { }

    /// <inheritdoc/>
    public override int ExitCode => 5;
}
