using System.Runtime.InteropServices;

namespace Retouch.Cli;

/// <summary>
/// Cancels a token on Ctrl-C and SIGTERM, so that a run can save a checkpoint before it ends. A second signal ends the process
/// at once.
/// </summary>
internal sealed class Interrupt : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration[] _registrations;

    public Interrupt() =>
        _registrations = [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle),
        ];

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken Token => _source.Token;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var registration in _registrations)
            registration.Dispose();
        _source.Dispose();
    }

    private void Handle(PosixSignalContext context)
    {
        context.Cancel = true;
        if (_source.IsCancellationRequested)
            Environment.Exit(CommandLine.Interrupted);
        Console.Error.WriteLine("Stopping after saving; a second signal stops immediately.");
        _source.Cancel();
    }
}
