namespace Retouch.Training.Telemetry;

/// <summary>
/// Progress as plain lines without escape codes, for logs and pipes: the first step, one line per interval, and the last step.
/// </summary>
/// <param name="writer">Output (standard error); not disposed here.</param>
/// <param name="time">Clock.</param>
/// <param name="interval">Minimum time between two lines.</param>
public sealed class PlainProgressLine(TextWriter writer, TimeProvider time, TimeSpan interval) : IProgressLine
{
    private readonly StepClock _clock = new(time);
    private TrainingProgress? _pending;
    private long? _printedAt;

    /// <inheritdoc/>
    public void Report(TrainingProgress progress)
    {
        ArgumentNullException.ThrowIfNull(progress);
        var starts = _clock.Advance(progress.Step, progress.Unit);
        _pending = progress;
        if (starts || _printedAt is not { } since || time.GetElapsedTime(since) >= interval || progress.Step >= progress.TotalSteps)
            Print();
    }

    /// <inheritdoc/>
    public void Note(string message) => writer.WriteLine(message);

    /// <summary>Prints the last report if it is not printed yet.</summary>
    public void Dispose() => Print();

    private void Print()
    {
        if (_pending is not { } progress)
            return;
        string[] parts =
        [
            ProgressText.Position(progress),
            ProgressText.Losses(progress),
            ProgressText.Highlights(progress),
            .. ProgressText.Pace(progress, _clock),
        ];
        writer.WriteLine(string.Join("  ", parts.Where(part => part.Length > 0)));
        writer.Flush();
        _pending = null;
        _printedAt = time.GetTimestamp();
    }
}
