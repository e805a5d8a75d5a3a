namespace Retouch.Training.Telemetry;

/// <summary>
/// Progress as plain lines without escape codes, for logs and pipes: the first step, then one line per interval, and the last step.
/// </summary>
/// <param name="writer">Where the lines go (standard error); not disposed.</param>
/// <param name="time">The clock.</param>
/// <param name="interval">The least time between two lines.</param>
public sealed class PlainProgressLine(TextWriter writer, TimeProvider time, TimeSpan interval) : IProgressLine
{
    private readonly StepClock clock = new(time);
    private TrainingProgress? pending;
    private long? printedAt;

    /// <inheritdoc/>
    public void Report(TrainingProgress progress)
    {
        ArgumentNullException.ThrowIfNull(progress);
        clock.Advance(progress.Step);
        pending = progress;
        if (printedAt is not { } since || time.GetElapsedTime(since) >= interval || progress.Step >= progress.TotalSteps)
            Print();
    }

    /// <inheritdoc/>
    public void Note(string message) => writer.WriteLine(message);

    /// <summary>Prints the last report if no line has shown it yet.</summary>
    public void Dispose() => Print();

    private void Print()
    {
        if (pending is not { } progress)
            return;
        string[] parts =
        [
            ProgressText.Position(progress),
            ProgressText.Losses(progress),
            ProgressText.Highlights(progress),
            .. ProgressText.Pace(progress, clock),
        ];
        writer.WriteLine(string.Join("  ", parts.Where(part => part.Length > 0)));
        writer.Flush();
        pending = null;
        printedAt = time.GetTimestamp();
    }
}
