namespace Retouch.Torch.Diagnostics;

/// <summary>
/// Accumulates the time spent per phase, excluding nested phases. Single-threaded; use null for no profiling
/// (<c>using var phase = clock?.Enter("backward");</c>).
/// </summary>
/// <param name="time">Clock.</param>
/// <param name="device">Device to synchronise with at the start and end of a phase, so that queued work counts in the phase that queued
/// it.</param>
public sealed class PhaseClock(TimeProvider time, Device device)
{
    private readonly Dictionary<string, TimeSpan> _spent = new(StringComparer.Ordinal);
    private readonly Stack<string> _open = new();
    private long _since;

    /// <summary>Whether phases are measured; the device is synchronised only if true.</summary>
    public bool Running { get; set; }

    /// <summary>Accumulated time by phase.</summary>
    public IReadOnlyDictionary<string, TimeSpan> Spent => _spent;

    /// <summary>Starts a phase; it ends when the result is disposed, innermost first. Null if not running.</summary>
    /// <param name="name">Phase name; phases of the same name are accumulated.</param>
    public Phase? Enter(string name)
    {
        if (!Running)
            return null;
        Charge();
        _open.Push(name);
        return new Phase(this);
    }

    private void Leave()
    {
        Charge();
        _open.Pop();
    }

    private void Charge()
    {
        device.Synchronize();
        var now = time.GetTimestamp();
        if (_open.TryPeek(out var name))
            _spent[name] = _spent.GetValueOrDefault(name) + time.GetElapsedTime(_since, now);
        _since = now;
    }

    /// <summary>A running phase.</summary>
    public readonly struct Phase : IDisposable
    {
        private readonly PhaseClock _clock;

        internal Phase(PhaseClock clock) => _clock = clock;

        /// <inheritdoc/>
        public void Dispose() => _clock.Leave();
    }
}
