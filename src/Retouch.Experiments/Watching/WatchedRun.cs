using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Core.Io;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.Telemetry;

namespace Retouch.Experiments.Watching;

/// <summary>A metric over the steps of a run.</summary>
/// <param name="Steps">Steps, ascending.</param>
/// <param name="Values">Values, as many.</param>
public sealed record WatchedMetric(List<double> Steps, List<double> Values);

/// <summary>A run's folder while it is trained: metrics, sample grids and log, read incrementally.</summary>
public sealed class WatchedRun
{
    private const int LogLines = 200;

    private readonly MetricsTail _tail;
    private readonly Dictionary<string, WatchedMetric> _metrics = new(StringComparer.Ordinal);

    private WatchedRun(RunFolder folder, string name)
    {
        (Folder, Name) = (folder, name);
        _tail = new MetricsTail(folder.MetricsFile);
        Options = OptionsFile.Bind<TrainingOptions>(OptionsFile.Read(folder.OptionsFile), folder.OptionsFile);
        Refresh();
    }

    /// <summary>Unique name.</summary>
    public string Name { get; }

    /// <summary>The run's folder.</summary>
    public RunFolder Folder { get; }

    /// <summary>Options of the run.</summary>
    public TrainingOptions Options { get; private set; }

    /// <summary>Metrics by log name.</summary>
    public IReadOnlyDictionary<string, WatchedMetric> Metrics => _metrics;

    /// <summary>Last logged step; 0 before the first.</summary>
    public long Step { get; private set; }

    /// <summary>Sample grids, ascending by step.</summary>
    public IReadOnlyList<(long Step, string Path)> Samples { get; private set; } = [];

    /// <summary>The last notes of the run.</summary>
    public IReadOnlyList<string> Log { get; private set; } = [];

    /// <summary>Reason why the metrics are incomplete, or null.</summary>
    public string? Problem { get; private set; }

    /// <summary>Opens runs, named by the last folders of their paths.</summary>
    /// <param name="folders">Paths of the runs.</param>
    /// <exception cref="InputException">A folder does not exist or is not a run.</exception>
    public static IReadOnlyList<WatchedRun> Open(IReadOnlyList<string> folders)
    {
        RunFolder[] runs = [.. folders.Select(RunFolder.Open).DistinctBy(static r => r.Path)];
        var names = ShortPaths.Of([.. runs.Select(static r => r.Path)]);
        return [.. runs.Select((run, k) => new WatchedRun(run, names[k]))];
    }

    /// <summary>Last value of a metric, or null.</summary>
    public double? Last(string metric) => _metrics.GetValueOrDefault(metric)?.Values[^1];

    /// <summary>Reads what was written since the last call.</summary>
    public void Refresh()
    {
        try
        {
            var records = _tail.Read(out var restarted);
            Problem = null;
            if (restarted)
                _metrics.Clear();
            foreach (var record in records)
                Add(record);
        }
        catch (InputException e)
        {
            Problem = e.Message;
        }

        Samples = Directory.Exists(Folder.SamplesFolder)
            ?
            [
                .. Directory
                    .EnumerateFiles(Folder.SamplesFolder, "step-*.png")
                    .Select(static f => (Step: StepOf(f), Path: f))
                    .Where(static f => f.Step >= 0)
                    .Order(),
            ]
            : [];
        try
        {
            using var stream = new FileStream(Folder.LogFile, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            using var reader = new StreamReader(stream);
            Log = [.. reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries).TakeLast(LogLines)];
        }
        catch (IOException)
        {
            // Runs of earlier versions have no log.
        }
    }

    private void Add(MetricsRecord record)
    {
        Step = record.Step;
        foreach (var (name, value) in record.Values)
        {
            if (!_metrics.TryGetValue(name, out var metric))
                _metrics.Add(name, metric = new([], []));
            // A metric has one value per step; of several the last is shown.
            if (metric.Steps.Count > 0 && metric.Steps[^1] >= record.Step)
                metric.Values[^1] = value;
            else
            {
                metric.Steps.Add(record.Step);
                metric.Values.Add(value);
            }
        }
    }

    private static long StepOf(string path) =>
        long.TryParse(Path.GetFileNameWithoutExtension(path).AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out var step)
            ? step
            : -1;
}
