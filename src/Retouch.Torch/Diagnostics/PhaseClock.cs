namespace Retouch.Torch.Diagnostics;

/// <summary>
/// Adds up where time goes: each phase counts what is spent in it, without the phases inside it. For one thread; where none is wanted, null
/// stands in its place (<c>using var phase = clock?.Enter("backward");</c>).
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="device">Waited for where a phase begins or ends, so that work queued on an accelerator counts where it was asked
/// for.</param>
public sealed class PhaseClock(TimeProvider time, Device device)
{
    private readonly Dictionary<string, TimeSpan> _spent = new(StringComparer.Ordinal);
    private readonly Stack<string> _open = new();
    private long _since;

    /// <summary>Whether phases are counted; while not, nothing is waited for either.</summary>
    public bool Running { get; set; }

    /// <summary>Time of every phase so far.</summary>
    public IReadOnlyDictionary<string, TimeSpan> Spent => _spent;

    /// <summary>Begins a phase; it ends when the result is disposed, innermost first. Null while the clock does not run.</summary>
    /// <param name="name">Phases of the same name are added up.</param>
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

    /// <summary>A phase that has begun.</summary>
    public readonly struct Phase : IDisposable
    {
        private readonly PhaseClock _clock;

        internal Phase(PhaseClock clock) => _clock = clock;

        /// <inheritdoc/>
        public void Dispose() => _clock.Leave();
    }
}
