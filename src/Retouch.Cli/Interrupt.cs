using System.Runtime.InteropServices;

namespace Retouch.Cli;

/// <summary>
/// Cancels a token on Ctrl-C and SIGTERM, so that a run can save a checkpoint before it ends. A second signal ends the process
/// at once, but not a repetition within a second from a launcher of several processes, which forwards what the terminal has sent.
/// </summary>
internal sealed class Interrupt : IDisposable
{
    private static readonly TimeSpan Repetition = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _source = new();
    private readonly TimeProvider _time = TimeProvider.System;
    private readonly bool _isLaunched = LocalProcesses.IsLaunched;
    private readonly PosixSignalRegistration[] _registrations;
    private long _first;

    public Interrupt()
    {
        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle),
        ];
        LocalProcesses.OnEndOfLauncher(Cancel);
    }

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
        if (!_source.IsCancellationRequested)
        {
            Console.Error.WriteLine("Stopping after saving; a second signal stops immediately.");
            Cancel();
        }
        else if (!_isLaunched || _time.GetElapsedTime(_first) > Repetition)
        {
            Environment.Exit(CommandLine.Interrupted);
        }
    }

    private void Cancel()
    {
        _first = _time.GetTimestamp();
        try
        {
            _source.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The command has ended already.
        }
    }
}
