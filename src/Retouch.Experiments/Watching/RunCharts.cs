using System.Text.RegularExpressions;
using Retouch.Evaluation.Reports;

namespace Retouch.Experiments.Watching;

/// <summary>
/// Charts of runs: for one run a series per metric, for several runs a chart per metric with a series per run, in the run's colour.
/// </summary>
/// <param name="runs">Runs, at least one.</param>
internal sealed partial class RunCharts(IReadOnlyList<WatchedRun> runs)
{
    private const double Smoothing = 0.9;
    private const string Validation = "validation/";

    private bool IsSingle => runs.Count == 1;

    private IReadOnlyList<string> Names => [.. runs.SelectMany(static r => r.Metrics.Keys).Distinct(StringComparer.Ordinal)];

    /// <summary>Held-out losses, for the averages and the weights, and by part of the schedule.</summary>
    public IEnumerable<LineChart?> HeldOut()
    {
        var terms = Names
            .Select(Split)
            .Where(static n => n is { Part: null })
            .Select(static n => n!.Value.Term)
            .Distinct(StringComparer.Ordinal);
        foreach (var term in terms)
        {
            if (!IsSingle)
            {
                yield return Chart($"Held-out {term}", "unweighted", runs.Select(r => (r.Name, r, Shown(r, term))));
                continue;
            }

            var found = runs[0].Metrics.Keys.Select(n => (Name: n, Split: Split(n))).Where(n => n.Split?.Term == term).ToArray();
            yield return Chart(
                $"Held-out {term}",
                "unweighted",
                found.Where(static n => n.Split!.Value.Part is null).Select(n => (n.Split!.Value.Weights, runs[0], n.Name))
            );
            var shown = Shown(runs[0], term);
            yield return Chart(
                $"Held-out {term} by timestep, {Split(shown)?.Weights}",
                "unweighted",
                found
                    .Where(n => n.Split!.Value.Part is not null && n.Name.StartsWith(shown + "/", StringComparison.Ordinal))
                    .Select(n => ($"timesteps {n.Split!.Value.Part![1..].Replace("-", " to ", StringComparison.Ordinal)}", runs[0], n.Name))
            );
        }
    }

    /// <summary>Total loss, terms and shares.</summary>
    public IEnumerable<LineChart?> Losses()
    {
        string[] terms =
        [
            .. Names
                .Where(static n => n.StartsWith("loss/", StringComparison.Ordinal) && n.EndsWith("/raw", StringComparison.Ordinal))
                .Select(static n => n[5..^4]),
        ];
        yield return Each("Total loss", "weighted", "loss/total", Smoothing);
        if (terms.Length > 1 || !IsSingle)
        {
            foreach (var term in terms)
                yield return Each($"{term}, unweighted", "loss", $"loss/{term}/raw", Smoothing);
        }

        if (terms.Length > 1 && IsSingle)
            yield return Chart(
                "Shares of the loss",
                "share of the total loss",
                terms.Select(t => (t, runs[0], $"loss/{t}/share")),
                stacked: true
            );
    }

    /// <summary>Gradient norms and ratios, weights of terms, learning rate.</summary>
    public IEnumerable<LineChart?> Gradients()
    {
        yield return Each("Gradient norm", "before clipping", "gradient/norm", Smoothing, log: true);
        foreach (var chart in Family("/gradient_ratio", "Gradient ratio", "relative to the diffusion loss", log: true))
            yield return chart;
        foreach (var chart in Family("/weight", "Measured weight", "weight"))
            yield return chart;
        yield return Each("Learning rate", "learning rate", "learning_rate");
    }

    /// <summary>Implicit accuracy and margin of a preference.</summary>
    public IEnumerable<LineChart?> Preferences() =>
        Family("/accuracy", "Implicit accuracy", "share of pairs").Concat(Family("/margin", "Implicit margin", "reward difference"));

    /// <summary>Seconds per step, of them waiting for data, and memory.</summary>
    public IEnumerable<LineChart?> Costs()
    {
        yield return Each("Time per step", "seconds", "time/step", Smoothing);
        yield return Each("Waiting for data", "seconds per step", "time/data", Smoothing);
        yield return Each("Resident memory", "GiB", "memory/resident", scale: 1.0 / (1L << 30));
    }

    private static string Shown(WatchedRun run, string term)
    {
        var average =
            run.Options.Averages.Count > 0
                ? run.Metrics.Keys.FirstOrDefault(n => Split(n) is { Part: null } s && s.Term == term && s.Weights != "weights")
                : null;
        return average ?? $"{Validation}weights/{term}";
    }

    /// <summary>Parts of <c>validation/WEIGHTS/TERM[/tFROM-TO]</c>, or null for another metric.</summary>
    private static (string Weights, string Term, string? Part)? Split(string name)
    {
        if (!name.StartsWith(Validation, StringComparison.Ordinal))
            return null;
        var rest = name[Validation.Length..];
        var slash = rest.IndexOf('/', StringComparison.Ordinal);
        var (weights, term) = (rest[..slash], rest[(slash + 1)..]);
        return Range().Match(term) is { Success: true } part
            ? (weights, term[..part.Index], term[(part.Index + 1)..])
            : (weights, term, null);
    }

    /// <summary>Charts of all training metrics with a common ending.</summary>
    private IEnumerable<LineChart?> Family(string ending, string title, string axis, bool log = false)
    {
        string[] found =
        [
            .. Names.Where(n => n.EndsWith(ending, StringComparison.Ordinal) && !n.StartsWith(Validation, StringComparison.Ordinal)),
        ];
        return found.Select(n => Each($"{title}: {n[..^ending.Length]}", axis, n, Smoothing, log));
    }

    private LineChart? Each(string title, string axis, string metric, double smoothing = 0, bool log = false, double scale = 1) =>
        Chart(title, axis, runs.Select(r => (r.Name, r, metric)), smoothing, log, scale: scale);

    private static LineChart? Chart(
        string title,
        string axis,
        IEnumerable<(string Series, WatchedRun Run, string Metric)> parts,
        double smoothing = 0,
        bool log = false,
        bool stacked = false,
        double scale = 1
    )
    {
        ChartSeries[] series =
        [
            .. parts
                .Where(static p => p.Run.Metrics.ContainsKey(p.Metric))
                .Select(p =>
                {
                    var metric = p.Run.Metrics[p.Metric];
                    return new ChartSeries(p.Series, metric.Steps, scale == 1 ? metric.Values : [.. metric.Values.Select(v => v * scale)]);
                }),
        ];
        if (series.Length == 0)
            return null;
        return new LineChart(title, new ChartAxis("step"), new ChartAxis(axis, log), series)
        {
            Smoothing = stacked || series.Max(static s => s.X.Count) < 30 ? 0 : smoothing,
            Stacked = stacked && series.All(s => s.X.SequenceEqual(series[0].X)),
        };
    }

    [GeneratedRegex(@"/t[\d.]+-[\d.]+$", RegexOptions.CultureInvariant)]
    private static partial Regex Range();
}
