using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Core.Io;
using Retouch.Evaluation.Reports;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Experiments.Watching;

/// <summary>
/// The page of one or several runs: validation, losses, gradients, sample grids, time and memory, log and options. It is served while a run
/// is trained, and written as the run's <c>report.html</c> when it ends.
/// </summary>
public static class RunReport
{
    /// <summary>File name of the report in the run's folder.</summary>
    public const string FileName = "report.html";

    private const int MostLinked = 60;
    private const int MostEmbedded = 12;
    private const long MostEmbeddedBytes = 24L << 20;
    private const int HeaderBytes = 64;

    /// <summary>Writes the report of a run atomically.</summary>
    /// <param name="folder">Folder of the run.</param>
    /// <param name="title">Title of the page; null for the name of the folder.</param>
    /// <returns>Path of the report.</returns>
    /// <exception cref="RetouchException">The folder is not a run, or not writable.</exception>
    public static string Write(string folder, string? title = null)
    {
        var run = WatchedRun.Open([folder]);
        var path = Path.Combine(run[0].Folder.Path, FileName);
        var document = Of(run);
        AtomicFile.WriteText(path, HtmlReport.Render(title is null ? document : document with { Title = title }));
        return path;
    }

    /// <summary>Writes the report of a run that has logged a step; failing to write it is only noted.</summary>
    /// <param name="run">A run that has ended, also by an interruption or an error.</param>
    /// <param name="note">Receives the path of the report.</param>
    /// <param name="title">See <see cref="Write"/>.</param>
    public static void WriteAfter(TrainingRun run, Action<string> note, string? title = null)
    {
        ArgumentNullException.ThrowIfNull(run);
        ArgumentNullException.ThrowIfNull(note);
        try
        {
            if (run.HasMetrics)
                note($"report: {Write(run.Folder!.Path, title)}");
        }
        catch (RetouchException e)
        {
            note($"The report was not written: {e.Message}");
        }
    }

    /// <summary>Content of the page.</summary>
    /// <param name="runs">Runs, at least one.</param>
    /// <param name="link">Address of a sample grid by run and file name; null to embed the pictures.</param>
    public static ReportDocument Of(IReadOnlyList<WatchedRun> runs, Func<int, string, string>? link = null)
    {
        ArgumentNullException.ThrowIfNull(runs);
        var charts = new RunCharts(runs);
        List<ReportSection> sections = [];
        void Add(string title, params IEnumerable<ReportBlock?> blocks)
        {
            ReportBlock[] there = [.. blocks.OfType<ReportBlock>()];
            if (there.Length > 0)
                sections.Add(new ReportSection(title, Paired(there)));
        }

        Add("Problems", runs.Where(static r => r.Problem is not null).Select(static r => new Prose(r.Problem!)));
        Add("Validation", charts.HeldOut());
        Add("Loss", charts.Losses());
        Add("Samples", Pictures(runs, link));
        Add("Preference", charts.Preferences());
        Add("Gradients", charts.Gradients());
        Add("Time and memory", charts.Costs());
        Add(
            "Log",
            runs.Where(static r => r.Log.Count > 0).Select(r => new CodeBlock(Title(runs, r, "Last notes"), string.Join('\n', r.Log)))
        );
        Add("Options", runs.Select(r => new CodeBlock(Title(runs, r, "options.json"), OptionsFile.Write(r.Options), Collapsed: true)));
        return new ReportDocument(runs.Count == 1 ? $"Run {runs[0].Name}" : $"{runs.Count} runs", sections)
        {
            Subtitle = runs.Count == 1 ? Summary(runs[0]) : null,
            Highlights = runs.Count == 1 ? Highlights(runs[0]) : [],
            Arms = runs.Count == 1 ? [] : [.. runs.Select(static r => new ReportArm(r.Name, $"{Summary(r)}; {Position(r)}"))],
            Origin = "All numbers of this page are in the run's `metrics.jsonl`, its sample grids in `samples/`.",
        };
    }

    /// <summary>Charts side by side, in pairs.</summary>
    private static IReadOnlyList<ReportBlock> Paired(ReportBlock[] blocks) =>
        Array.TrueForAll(blocks, static b => b is LineChart) && blocks.Length > 1
            ? [.. blocks.Chunk(2).Select(static pair => new BlockRow(pair))]
            : blocks;

    private static string Title(IReadOnlyList<WatchedRun> runs, WatchedRun run, string title) =>
        runs.Count == 1 ? title : $"{run.Name}: {title}";

    private static string Summary(WatchedRun run)
    {
        var options = run.Options;
        var data =
            options.Data.Pairs
            ?? options.Data.Folder
            ?? ((options.Data.Shards ?? options.Data.Parquet) is { } shards ? string.Join(", ", shards) : "procedural scenes");
        return string.Create(
                CultureInfo.InvariantCulture,
                $"{options.Model.Path ?? "from scratch"}{(options.Lora is { } lora ? $", LoRA of rank {lora.Rank}" : "")}; {data}; "
            )
            + string.Create(
                CultureInfo.InvariantCulture,
                $"batch {options.Batch.Size * options.Batch.Accumulate}, {OptimiserOptions.NameOf(options.Optimiser.Kind)}, "
                    + $"learning rate {options.Optimiser.LearningRate:G}, "
                    + $"{options.Precision}"
            );
    }

    private static string Position(WatchedRun run) =>
        $"step {Figures.Count(run.Step)} of {Figures.Count(run.Options.Steps)} ({Figures.Percent((double)run.Step / run.Options.Steps)})";

    private static IReadOnlyList<Highlight> Highlights(WatchedRun run)
    {
        List<Highlight> list = [new("Step", Figures.Count(run.Step), $"of {Figures.Count(run.Options.Steps)}")];
        if (run.Metrics.GetValueOrDefault("loss/total") is { } loss)
            list.Add(new("Loss", Figures.Significant(loss.Values[^1]), $"{Figures.Significant(loss.Values[0])} at step {loss.Steps[0]}"));
        if (run.Metrics.GetValueOrDefault("time/step") is { } time)
        {
            var seconds = Median([.. time.Values.TakeLast(50)]);
            var left = TimeSpan.FromSeconds(seconds * (run.Options.Steps - run.Step));
            list.Add(
                new(
                    "Time per step",
                    Figures.Duration(TimeSpan.FromSeconds(seconds)),
                    left > TimeSpan.Zero ? $"{Figures.Duration(left)} left" : null
                )
            );
        }

        if (run.Last("memory/resident") is { } memory)
            list.Add(new("Memory", Figures.Bytes((long)memory), "resident"));
        return list;
    }

    private static double Median(double[] values)
    {
        Array.Sort(values);
        return values[values.Length / 2];
    }

    /// <summary>Grids of the steps that all runs have, newest first; the runs are columns.</summary>
    private static PictureGrid? Pictures(IReadOnlyList<WatchedRun> runs, Func<int, string, string>? link)
    {
        WatchedRun[] drawn = [.. runs.Where(static r => r.Samples.Count > 0)];
        if (drawn.Length == 0)
            return null;
        long[] common =
        [
            .. drawn.Select(static r => r.Samples.Select(static s => s.Step)).Aggregate(static (a, b) => a.Intersect(b)).OrderDescending(),
        ];
        if (common.Length == 0)
            return null;
        var steps = Spread(common, link is null ? Embeddable(drawn, common) : MostLinked);
        PictureColumn[] columns =
        [
            .. drawn.Select(run =>
            {
                string[] files = [.. steps.Select(step => run.Samples.First(s => s.Step == step).Path)];
                return new PictureColumn(run.Name, [.. files.Select(f => link is null ? File.ReadAllBytes(f) : Header(f))])
                {
                    Links = link is null
                        ? null
                        : [.. files.Select(f => link(runs.Index().First(r => r.Item == run).Index, Path.GetFileName(f)))],
                };
            }),
        ];
        return new PictureGrid("Sample grids, newest first", [.. steps.Select(static s => $"step {Figures.Count(s)}")], columns)
        {
            Note =
                steps.Count < common.Length ? $"{steps.Count} of {common.Length} grids, at even distances; all are in `samples/`." : null,
        };
    }

    private static int Embeddable(WatchedRun[] runs, long[] steps)
    {
        var each = runs.Sum(r => r.Samples.Where(s => s.Step == steps[0]).Sum(static s => new FileInfo(s.Path).Length));
        return (int)Math.Clamp(MostEmbeddedBytes / Math.Max(each, 1), 2, MostEmbedded);
    }

    /// <summary>At most a number of items at even distances, with the first and the last.</summary>
    private static IReadOnlyList<long> Spread(long[] items, int most) =>
        items.Length <= most ? items : [.. Enumerable.Range(0, most).Select(k => items[(int)((long)k * (items.Length - 1) / (most - 1))])];

    private static byte[] Header(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var bytes = new byte[HeaderBytes];
        return bytes[..stream.ReadAtLeast(bytes, HeaderBytes, throwOnEndOfStream: false)];
    }
}
