namespace Retouch.Training.Telemetry;

/// <summary>
/// Measures seconds per step as an exponential average over about the last 20 steps, and from that the time left. The first report only
/// sets the start: the step before it may hold loading and compiling.
/// </summary>
public sealed class StepClock(TimeProvider time)
{
    private const double Keep = 0.95;

    private long lastStep;
    private long lastTimestamp;
    private bool started;
    private double sum;
    private double weight;

    /// <summary>The averaged duration of a step, or null before two steps were reported.</summary>
    public double? SecondsPerStep => weight > 0 ? sum / weight : null;

    /// <summary>Says that <paramref name="step"/> steps are done. A step not past the last one changes nothing.</summary>
    public void Advance(long step)
    {
        var now = time.GetTimestamp();
        if (started)
        {
            var steps = step - lastStep;
            if (steps <= 0)
                return;
            // Reports may skip steps: one of k steps weighs as k.
            var kept = Math.Pow(Keep, steps);
            sum = (sum * kept) + (time.GetElapsedTime(lastTimestamp, now).TotalSeconds / steps * (1 - kept));
            weight = (weight * kept) + (1 - kept);
        }

        started = true;
        lastStep = step;
        lastTimestamp = now;
    }

    /// <summary>The time until <paramref name="totalSteps"/> are done at this pace, or null while the pace is not known.</summary>
    public TimeSpan? Remaining(long totalSteps) =>
        SecondsPerStep is { } seconds ? TimeSpan.FromSeconds(Math.Min(1e9, seconds * Math.Max(0, totalSteps - lastStep))) : null;
}
