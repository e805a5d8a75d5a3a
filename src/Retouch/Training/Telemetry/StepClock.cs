namespace Retouch.Training.Telemetry;

/// <summary>
/// Exponential average of the seconds per step over about the last 20 steps, and the remaining time. The first report only sets the start,
/// since the step before it may include loading and compilation.
/// </summary>
public sealed class StepClock(TimeProvider time)
{
    private const double Keep = 0.95;

    private string? _unit;
    private long _lastStep;
    private long _lastTimestamp;
    private bool _started;
    private double _sum;
    private double _weight;

    /// <summary>Average seconds per step, or null before the second report.</summary>
    public double? SecondsPerStep => _weight > 0 ? _sum / _weight : null;

    /// <summary>
    /// Reports <paramref name="step"/> completed steps. A step that is not new has no effect. Another unit is another activity, such as
    /// encoding before the first step, with its own pace: the average starts again.
    /// </summary>
    /// <param name="step">Number of completed steps.</param>
    /// <param name="unit">Unit of the count.</param>
    /// <returns>Whether an activity starts with this report.</returns>
    public bool Advance(long step, string unit = "step")
    {
        var now = time.GetTimestamp();
        var starts = unit != _unit;
        if (starts)
            (_unit, _started, _sum, _weight) = (unit, false, 0, 0);
        if (_started)
        {
            var steps = step - _lastStep;
            if (steps <= 0)
                return false;
            // A report over k steps has the weight of k.
            var kept = Math.Pow(Keep, steps);
            _sum = (_sum * kept) + (time.GetElapsedTime(_lastTimestamp, now).TotalSeconds / steps * (1 - kept));
            _weight = (_weight * kept) + (1 - kept);
        }

        _started = true;
        _lastStep = step;
        _lastTimestamp = now;
        return starts;
    }

    /// <summary>Estimated time until <paramref name="totalSteps"/> are completed, or null.</summary>
    public TimeSpan? Remaining(long totalSteps) =>
        SecondsPerStep is { } seconds ? TimeSpan.FromSeconds(Math.Min(1e9, seconds * Math.Max(0, totalSteps - _lastStep))) : null;
}
