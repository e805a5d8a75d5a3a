using Retouch.Training.Telemetry;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Retouch.Cli.Terminal;

/// <summary>Progress as lines redrawn in place: position and bar, pace, losses with their shares.</summary>
internal sealed class LiveProgressLine : IProgressLine
{
    private static readonly TimeSpan RedrawInterval = TimeSpan.FromMilliseconds(200);

    private readonly IAnsiConsole _console;
    private readonly TimeProvider _time;
    private readonly StepClock _clock;
    private readonly TaskCompletionSource _finished = new();
    private Task? _display;
    private LiveDisplayContext? _context;
    private TrainingProgress? _latest;
    private long? _drawnAt;

    public LiveProgressLine(IAnsiConsole console, TimeProvider time)
    {
        _console = console;
        _time = time;
        _clock = new(time);
    }

    public void Report(TrainingProgress progress)
    {
        _clock.Advance(progress.Step, progress.Unit);
        _latest = progress;
        if (_drawnAt is not { } since || _time.GetElapsedTime(since) >= RedrawInterval || progress.Step >= progress.TotalSteps)
            Draw();
    }

    public void Note(string message)
    {
        // Above the live lines, which Spectre.Console draws again: without erasing them, a shorter note leaves their rest on its line.
        if (_context is null)
            _console.WriteLine(message);
        else
            _console.Write(new NoteLine(message));
    }

    public void Dispose()
    {
        if (_finished.Task.IsCompleted)
            return;
        Draw();
        _finished.SetResult();
        _display?.GetAwaiter().GetResult();
    }

    private void Draw()
    {
        if (_latest is not { } progress)
            return;
        var rows = Render(progress);
        if (_display is null)
        {
            // Reports draw on the caller's thread; this task only waits for Dispose and then restores the cursor. It starts with the first
            // report, so that notes before it are plain lines.
            _display = _console
                .Live(rows)
                .StartAsync(live =>
                {
                    _context = live;
                    return _finished.Task;
                });
        }

        _context?.UpdateTarget(rows);
        _drawnAt = _time.GetTimestamp();
    }

    private Rows Render(TrainingProgress progress)
    {
        var pace = string.Join("  ", ProgressText.Pace(progress, _clock));
        // On a narrow terminal the bar is shortened, not the text.
        var row = new Grid()
            .AddColumn(new GridColumn().NoWrap())
            .AddColumn()
            .AddRow(new Text(ProgressText.Position(progress)), new BarLine(ProgressText.Fraction(progress)));
        // Never a single line: Spectre.Console moves the cursor up by n − 1 lines, and terminals move by one line for 0.
        List<IRenderable> rows = [row, new Text(pace.Length > 0 ? pace : " ", new Style(decoration: Decoration.Dim))];
        if (ProgressText.Losses(progress) is { Length: > 0 } losses)
            rows.Add(new Text(losses, new Style(decoration: Decoration.Dim)));
        if (ProgressText.Highlights(progress) is { Length: > 0 } figures)
            rows.Add(new Text(figures, new Style(decoration: Decoration.Dim)));
        return new(rows);
    }
}

/// <summary>Bar of fixed width; without colours its halves differ in their characters.</summary>
internal sealed class BarLine(double fraction) : Renderable
{
    private const int Width = 24;

    protected override Measurement Measure(RenderOptions options, int maxWidth) => new(Math.Min(8, maxWidth), Math.Min(Width, maxWidth));

    protected override IEnumerable<Segment> Render(RenderOptions options, int maxWidth)
    {
        var width = Math.Min(Width, maxWidth);
        var done = (int)Math.Round(width * fraction);
        var (full, rest) = options.Unicode ? ('━', '─') : ('=', '-');
        yield return new(new string(full, done), new Style(Color.Green));
        yield return new(new string(rest, width - done), new Style(Color.Grey));
    }
}

/// <summary>Text in place of everything below the cursor, with a line break.</summary>
internal sealed class NoteLine(string message) : Renderable
{
    protected override IEnumerable<Segment> Render(RenderOptions options, int maxWidth) =>
        [Segment.Control("\e[J"), .. ((IRenderable)new Text(message)).Render(options, maxWidth), Segment.LineBreak];
}
