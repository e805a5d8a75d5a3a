using Retouch.Core.Formatting;
using Retouch.Evaluation.Pictures;

namespace Retouch.Experiments.Measuring;

/// <summary>Progress of an evaluation in pictures: one line, overwritten in place on a terminal, otherwise a line every 5 s.</summary>
/// <param name="error">Standard error.</param>
/// <param name="terminal">Whether standard error is a terminal.</param>
/// <param name="time">Clock of the estimate.</param>
public sealed class EvaluationProgressLine(TextWriter error, bool terminal, TimeProvider time) : IDisposable
{
    private readonly TimeSpan _interval = terminal ? TimeSpan.FromMilliseconds(200) : TimeSpan.FromSeconds(5);
    private readonly long _started = time.GetTimestamp();
    private TimeSpan _shown;
    private bool _open;

    /// <summary>Reports progress, rate-limited.</summary>
    public void Report(EvaluationProgress progress)
    {
        var elapsed = time.GetElapsedTime(_started);
        if (elapsed - _shown < _interval)
            return;
        _shown = elapsed;
        var share = (double)progress.Done / progress.Total;
        var left = Figures.Duration(elapsed * ((1 - share) / share));
        var text = $"{Figures.Count(progress.Done)}/{Figures.Count(progress.Total, "picture")} ({Figures.Percent(share)}), {left} left";
        if (terminal)
            error.Write("\r\u001b[K" + text);
        else
            error.WriteLine(text);
        _open = terminal;
    }

    /// <summary>Clears the line on a terminal.</summary>
    public void Dispose()
    {
        if (_open)
            error.Write("\r\u001b[K");
    }
}
