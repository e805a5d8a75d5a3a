namespace Retouch.Tests.Training.Telemetry;

/// <summary>A clock advanced by the test.</summary>
internal sealed class ManualTime(DateTimeOffset start) : TimeProvider
{
    private TimeSpan _elapsed;

    public ManualTime()
        : this(new DateTimeOffset(2026, 1, 2, 3, 4, 5, 250, TimeSpan.Zero)) { }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow() => start + _elapsed;

    public override long GetTimestamp() => _elapsed.Ticks;

    public void Advance(double seconds) => _elapsed += TimeSpan.FromSeconds(seconds);
}
