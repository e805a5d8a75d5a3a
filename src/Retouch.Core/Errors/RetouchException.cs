namespace Retouch.Core.Errors;

/// <summary>
/// Base of every error that a user can cause and mend. The message says what is wrong, where (file, key, step, sample) and what to do;
/// it is shown as it is, without a stack trace.
/// </summary>
public abstract class RetouchException : Exception
{
    /// <param name="message">What is wrong, where, and what to do about it; one sentence each.</param>
    /// <param name="inner">The failure underneath, kept for <c>--verbose</c>.</param>
    protected RetouchException(string message, Exception? inner = null)
        : base(message, inner) { }

    /// <summary>The process exit code that this kind of error ends a command with.</summary>
    public abstract int ExitCode { get; }
}

/// <summary>
/// Bad usage or bad options: unknown flags or members, values out of range, options that exclude each other. Exit code 2.
/// </summary>
public sealed class UsageException : RetouchException
{
    /// <inheritdoc cref="RetouchException(string, Exception?)"/>
    public UsageException(string message, Exception? inner = null)
        : base(message, inner) { }

    /// <inheritdoc/>
    public override int ExitCode => 2;
}

/// <summary>Bad input: files that are missing, broken, mis-shaped or hostile; data that cannot be trained on. Exit code 3.</summary>
public sealed class InputException : RetouchException
{
    /// <inheritdoc cref="RetouchException(string, Exception?)"/>
    public InputException(string message, Exception? inner = null)
        : base(message, inner) { }

    /// <inheritdoc/>
    public override int ExitCode => 3;
}

/// <summary>The machine lacks something: a native library, a device, memory, space on the disk. Exit code 4.</summary>
public class EnvironmentException : RetouchException
{
    /// <inheritdoc cref="RetouchException(string, Exception?)"/>
    public EnvironmentException(string message, Exception? inner = null)
        : base(message, inner) { }

    /// <inheritdoc/>
    public override int ExitCode => 4;
}

/// <summary>Training was stopped because going on would make the model worse; what was good is kept. Exit code 5.</summary>
public sealed class DivergedException : RetouchException
{
    /// <inheritdoc cref="RetouchException(string, Exception?)"/>
    public DivergedException(string message, Exception? inner = null)
        : base(message, inner) { }

    /// <inheritdoc/>
    public override int ExitCode => 5;
}
