using Retouch.Core.Formatting;
using Retouch.Evaluation;

namespace Retouch.Experiments.Measuring;

/// <summary>How many pictures an evaluation has read: one line that is overwritten on a terminal, else a line every few seconds.</summary>
internal sealed class EvaluationProgressLine(TextWriter error, bool terminal, TimeProvider time) : IDisposable
{
    private readonly TimeSpan interval = terminal ? TimeSpan.FromMilliseconds(200) : TimeSpan.FromSeconds(5);
    private readonly long started = time.GetTimestamp();
    private TimeSpan shown;
    private bool open;

    /// <summary>Says how far it is; writes only when the last time is long enough ago.</summary>
    public void Report(EvaluationProgress progress)
    {
        var elapsed = time.GetElapsedTime(started);
        if (elapsed - shown < interval)
            return;
        shown = elapsed;
        var share = (double)progress.Done / progress.Total;
        var left = Figures.Duration(elapsed * ((1 - share) / share));
        var text = $"{Figures.Count(progress.Done)}/{Figures.Count(progress.Total)} pictures ({Figures.Percent(share)}), {left} left";
        if (terminal)
            error.Write("\r\u001b[K" + text);
        else
            error.WriteLine(text);
        open = terminal;
    }

    public void Dispose()
    {
        if (open)
            error.Write("\r\u001b[K");
    }
}
