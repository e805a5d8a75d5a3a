using Retouch.Core.Formatting;
using Retouch.Experiments.Measuring;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.Telemetry;

namespace Retouch.Experiments.Demo;

/// <summary>What the phases of a demo share: standard error, the clock, the interruption.</summary>
/// <param name="Error">Progress goes here.</param>
/// <param name="Terminal">Whether a person looks at it, so that a line may be overwritten.</param>
/// <param name="Display">Makes the progress display of one phase.</param>
/// <param name="Time">The clock.</param>
/// <param name="Cancellation">The first Ctrl-C.</param>
internal sealed record DemoConsole(
    TextWriter Error,
    bool Terminal,
    Func<IProgressLine> Display,
    TimeProvider Time,
    CancellationToken Cancellation
)
{
    /// <summary>Says what begins now.</summary>
    public void Heading(string text)
    {
        Cancellation.ThrowIfCancellationRequested();
        Error.WriteLine();
        Error.WriteLine("── " + text);
    }

    /// <summary>Says something that stays.</summary>
    public void Say(string text) => Error.WriteLine(text);

    /// <summary>A display of its own for one phase.</summary>
    public IProgressLine Progress() => Display();

    /// <summary>A display of how many pictures are measured.</summary>
    public EvaluationProgressLine Measuring() => new(Error, Terminal, Time);

    /// <summary>Trains to the end, from wherever an earlier start left off; does nothing where that was the end.</summary>
    /// <param name="title">What is trained.</param>
    /// <param name="options">For a fresh start.</param>
    /// <param name="run">The run's folder.</param>
    public PhaseRecord Train(string title, TrainingOptions options, string run)
    {
        Heading(title);
        var before = DemoFolder.ReadPhase(run) ?? new PhaseRecord(false, 0, 0);
        if (before.Finished)
        {
            Say("Done already.");
            return before;
        }

        ProcessMemory.Release();
        ProcessMemory.ResetPeak();
        var start = Time.GetTimestamp();
        PhaseRecord Record(bool finished) =>
            new(finished, before.Seconds + Time.GetElapsedTime(start).TotalSeconds, Math.Max(before.PeakBytes, ProcessMemory.Peak()));
        using var training = File.Exists(Path.Combine(run, "options.json"))
            ? TrainingRun.Resume(run, null, Time)
            : TrainingRun.Start(options, run, Time);
        try
        {
            using var progress = Progress();
            training.Train(progress, Cancellation);
        }
        catch (OperationCanceledException)
        {
            DemoFolder.WritePhase(run, Record(finished: false));
            throw;
        }

        var record = Record(finished: true);
        DemoFolder.WritePhase(run, record);
        Say($"Took {Figures.Duration(TimeSpan.FromSeconds(record.Seconds))}, at most {Figures.Bytes(record.PeakBytes)} of memory.");
        return record;
    }

    /// <summary>The folder of the first average of a run, or of its weights where it keeps none.</summary>
    public static string ModelOf(string run)
    {
        var options = OptionsFile.Bind<TrainingOptions>(OptionsFile.Read(Path.Combine(run, "options.json")), run);
        return RunFolder.Open(run).ModelFolder(options.Averages.Count > 0 ? options.Averages[0].Decay : null);
    }
}
