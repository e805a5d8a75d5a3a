namespace Retouch.Tests.Training.Telemetry;

/// <summary>A clock that stands still until it is told to move.</summary>
internal sealed class ManualTime(DateTimeOffset start) : TimeProvider
{
    private TimeSpan elapsed;

    public ManualTime()
        : this(new DateTimeOffset(2026, 1, 2, 3, 4, 5, 250, TimeSpan.Zero)) { }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow() => start + elapsed;

    public override long GetTimestamp() => elapsed.Ticks;

    public void Advance(double seconds) => elapsed += TimeSpan.FromSeconds(seconds);
}
