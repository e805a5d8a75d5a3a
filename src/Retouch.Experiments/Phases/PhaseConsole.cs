using Retouch.Core.Formatting;
using Retouch.Experiments.Measuring;
using Retouch.Experiments.Sampling;
using Retouch.Experiments.Watching;
using Retouch.Pipelines.Diffusers;
using Retouch.Samplers;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.Telemetry;

namespace Retouch.Experiments.Phases;

/// <summary>Console of the phases of a long experiment (demo, ablations): standard error, clock, cancellation.</summary>
/// <param name="Error">Writer of headings and progress.</param>
/// <param name="Terminal">Whether <paramref name="Error"/> is a terminal, where a line can be overwritten.</param>
/// <param name="Display">Creates the progress display of one phase.</param>
/// <param name="Time">Clock of durations.</param>
/// <param name="Cancellation">Cancels a phase; training writes a checkpoint first.</param>
public sealed record PhaseConsole(
    TextWriter Error,
    bool Terminal,
    Func<IProgressLine> Display,
    TimeProvider Time,
    CancellationToken Cancellation
)
{
    /// <summary>Writes the heading of a phase.</summary>
    /// <exception cref="OperationCanceledException"><see cref="Cancellation"/> was requested.</exception>
    public void Heading(string text)
    {
        Cancellation.ThrowIfCancellationRequested();
        Error.WriteLine();
        Error.WriteLine("── " + text);
    }

    /// <summary>Writes a line.</summary>
    public void Say(string text) => Error.WriteLine(text);

    /// <summary>New progress display of one phase; disposed by the caller.</summary>
    public IProgressLine Progress() => Display();

    /// <summary>New progress display of an evaluation; disposed by the caller.</summary>
    public EvaluationProgressLine Measuring() => new(Error, Terminal, Time);

    /// <summary>Samples pictures from a model into a folder, all at once: a folder with metadata is complete.</summary>
    /// <param name="model">Folder of the model.</param>
    /// <param name="target">New folder.</param>
    /// <param name="request">Seeds, size and sampler.</param>
    /// <param name="device">Compute device.</param>
    /// <exception cref="OperationCanceledException"><see cref="Cancellation"/> was requested; nothing was written.</exception>
    public void Sample(string model, string target, PipelineSampling request, Device device)
    {
        using var pipeline = LatentDiffusionPipeline.Load(model, device);
        using var progress = Progress();
        var pictures = PipelineSampler.Sample(
            pipeline,
            request,
            device,
            (done, total) => progress.Report(new TrainingProgress(done, total) { Unit = "sampler step" }),
            Cancellation
        );
        new SampledFolder(target, pipeline, request).Add(pictures);
    }

    /// <summary>
    /// Trains to the last step, resuming an interrupted run, and writes the run's report; no effect on a finished run.
    /// </summary>
    /// <param name="title">Heading of the phase and of the report.</param>
    /// <param name="options">Options of a new run; a resumed run keeps its own.</param>
    /// <param name="run">Folder of the run.</param>
    /// <returns>Time and peak memory over all starts, also written to the folder.</returns>
    /// <exception cref="OperationCanceledException"><see cref="Cancellation"/> was requested; the run can be resumed.</exception>
    public PhaseRecord Train(string title, TrainingOptions options, string run)
    {
        Heading(title);
        var before = PhaseRecord.Read(run) ?? new PhaseRecord(false, 0, 0);
        if (before.Finished)
        {
            Say("Already complete.");
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
            Record(finished: false).Write(run);
            throw;
        }
        finally
        {
            RunReport.WriteAfter(training, Say, title);
        }

        var record = Record(finished: true);
        record.Write(run);
        Say($"Took {Figures.Duration(TimeSpan.FromSeconds(record.Seconds))}; peak memory {Figures.Bytes(record.PeakBytes)}.");
        return record;
    }

    /// <summary>Model folder of a run: its first weight average, or its weights if there is none.</summary>
    /// <param name="run">Folder of a finished run.</param>
    public static string ModelOf(string run)
    {
        var options = OptionsFile.Bind<TrainingOptions>(OptionsFile.Read(Path.Combine(run, "options.json")), run);
        return RunFolder.Open(run).ModelFolder(options.Averages.Count > 0 ? options.Averages[0].Decay : null);
    }
}
