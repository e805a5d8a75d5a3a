using System.Globalization;
using Retouch.Core.Io;
using Retouch.Images;
using Retouch.Training.Options;
using Retouch.Training.Telemetry;

namespace Retouch.Training;

/// <summary>Logs of a run: metrics.jsonl, TensorBoard events, sample grids.</summary>
internal sealed class RunLog : IDisposable
{
    private readonly RunFolder _run;
    private readonly MetricsLog _metrics;
    private readonly TensorBoardWriter? _events;

    /// <param name="run">Folder of the run.</param>
    /// <param name="step">Completed steps, −1 without a checkpoint; later records of an earlier log are removed.</param>
    /// <param name="options">Determines whether TensorBoard events are written.</param>
    /// <param name="time">Clock.</param>
    public RunLog(RunFolder run, long step, TrainingOptions options, TimeProvider time)
    {
        _run = run;
        var resumed = File.Exists(run.MetricsFile);
        _metrics = MetricsLog.Resume(run.MetricsFile, step, time);
        _events = options.Log.TensorBoard ? TensorBoardWriter.Create(run.Path, time, resumed ? step : null) : null;
    }

    public void Append(long step, IReadOnlyList<KeyValuePair<string, double>> values)
    {
        _metrics.Append(step, values);
        _events?.Scalars(step, values);
    }

    public void AppendPicture(long step, string tag, Picture picture)
    {
        var png = PictureFile.Encode(picture, PictureFormat.Png);
        AtomicFile.Write(
            Path.Combine(_run.SamplesFolder, string.Create(CultureInfo.InvariantCulture, $"step-{step:D8}.png")),
            stream => stream.Write(png)
        );
        _events?.Image(step, tag, png);
    }

    public void FlushToDisk() => _metrics.FlushToDisk();

    public void Dispose()
    {
        _metrics.Dispose();
        _events?.Dispose();
    }
}
