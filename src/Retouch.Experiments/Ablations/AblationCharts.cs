using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Evaluation.Frequency;
using Retouch.Evaluation.Reports;
using Retouch.Evaluation.Statistics;
using Retouch.Experiments.Measuring;
using Retouch.Training;
using Retouch.Training.Telemetry;

namespace Retouch.Experiments.Ablations;

/// <summary>Charts of an ablation.</summary>
internal static class AblationCharts
{
    private const double Smoothing = 0.9;
    private const int MostCurves = 8;

    /// <summary>
    /// Decisive figure over a numeric axis, for the arms of the grid; null unless the grid has exactly one such axis.
    /// </summary>
    public static LineChart? OverAxis(AblationPlan plan, IReadOnlyList<AblationRow> rows)
    {
        if (plan.Spec.Axes.Count == 0)
            return null;
        string[] numeric =
        [
            .. plan
                .Spec.Axes.Where(static axis => axis.Value!.AsArray().Count > 1 && axis.Value!.AsArray().All(IsNumber))
                .Select(static axis => axis.Key),
        ];
        if (numeric is not [var path])
            return null;
        var decisive = AblationFigures.Decisive(plan.Spec.Evaluation.Decisive, rows);
        var points = rows.Where(row =>
                row.Arm is { } arm
                && arm.Settings.Any(s => s.Key == path)
                && arm.Settings.Select(static s => s.Key)
                    .ToHashSet()
                    .SetEquals(plan.Spec.Axes.Select(static a => a.Key).Where(static k => k != "from"))
            )
            .Select(row =>
                (
                    Row: row,
                    X: Number(row.Arm!.Settings.First(s => s.Key == path).Value!),
                    Others: string.Join(
                        ", ",
                        row.Arm!.Settings.Where(s => s.Key != path).Select(static s => $"{s.Key.Split('.')[^1]} {s.Value?.ToJsonString()}")
                    )
                )
            );
        ChartSeries[] series =
        [
            .. points
                .GroupBy(static p => p.Others + Suffix(p.Row))
                .Where(static g => g.Count() > 1)
                .Select(group =>
                    Curve(
                        group.Key.Length == 0 ? path.Split('.')[^1] : group.Key,
                        group.OrderBy(static p => p.X).Select(p => (p.X, p.Row.Find(decisive)?.Estimate))
                    )
                ),
        ];
        if (series.Length == 0)
            return null;
        ChartSeries[] flat =
        [
            .. rows.Where(row => row.Arm is null || row.Arm.Settings.All(s => s.Key != path))
                .Take(2)
                .Select(row => Curve(row.Name, series[0].X.Select(x => (x, row.Find(decisive)?.Estimate))) with { IsReference = true }),
        ];
        return new LineChart(
            $"{FigureNames.Header(decisive)} over {path}",
            new ChartAxis(path.Split('.')[^1]),
            new ChartAxis(FigureNames.Header(decisive)),
            [.. series, .. flat]
        )
        {
            Note = "Bands: the intervals of the table. Horizontal lines: arms without this option.",
        };
    }

    /// <summary>Decisive figure over sampler steps, decays or guidance scales; empty for axes with one value.</summary>
    public static IEnumerable<LineChart> OverVariants(AblationPlan plan, IReadOnlyList<AblationRow> rows)
    {
        var decisive = AblationFigures.Decisive(plan.Spec.Evaluation.Decisive, rows);
        (string Title, Func<Variant, double> X, Func<Variant, Variant> Fixed)[] axes =
        [
            ("sampler steps", static v => v.Steps, static v => v with { Steps = 0 }),
            ("guidance", static v => v.Guidance, static v => v with { Guidance = 0 }),
            ("time constant of the average, steps", static v => 1 / (1 - v.Decay), static v => v with { Decay = 0 }),
        ];
        foreach (var (title, x, rest) in axes)
        {
            ChartSeries[] series =
            [
                .. rows.GroupBy(row => (row.Model, Others: rest(row.Variant)))
                    .Where(static g => g.Count() > 1)
                    .Take(MostCurves)
                    .Select(group =>
                        Curve(
                            group.Key.Model,
                            group
                                .DistinctBy(row => x(row.Variant))
                                .OrderBy(row => x(row.Variant))
                                .Select(row => (x(row.Variant), row.Find(decisive)?.Estimate))
                        ) with
                        {
                            IsReference = group.First().Arm is null,
                        }
                    ),
            ];
            if (series.Length > 0)
                yield return new LineChart(
                    $"{FigureNames.Header(decisive)} over {title}",
                    new ChartAxis(title, Log: true),
                    new ChartAxis(FigureNames.Header(decisive)),
                    series
                );
        }
    }

    /// <summary>Spectra relative to the real one, for the first seed of each arm.</summary>
    public static LineChart? Spectra(IReadOnlyList<AblationRow> rows)
    {
        ChartSeries[] series =
        [
            .. rows.Where(static row => row.Measured[0] is { Profile: not null, ReferenceProfile: not null })
                .GroupBy(static row => row.Model)
                .Select(static g => g.Last())
                .Take(MostCurves)
                .Select(row =>
                {
                    var ratio = SpectrumError.LogRatio(row.Measured[0].Profile!, row.Measured[0].ReferenceProfile!);
                    return new ChartSeries(row.Model, [.. Enumerable.Range(1, ratio.Length).Select(static k => (double)k)], ratio)
                    {
                        IsReference = row.Arm is null,
                    };
                }),
        ];
        return series.Length == 0
            ? null
            : new LineChart(
                "Spectrum relative to real pictures",
                new ChartAxis("frequency, cycles per picture"),
                new ChartAxis("log₁₀ of the ratio"),
                series
            )
            {
                Note = "0: equal to the real spectrum; −0.3: half its power. First seed of each arm.",
            };
    }

    /// <summary>Training metric of each arm, for the first seed.</summary>
    public static LineChart? Training(AblationPlan plan, AblationFolder folder, string metric, string title, string axis)
    {
        List<ChartSeries> series = [];
        foreach (var arm in plan.Arms)
        {
            if (
                plan
                    .Spec.Seeds.Select(seed => folder.Run(arm, seed))
                    .FirstOrDefault(static run => File.Exists(Path.Combine(run, "metrics.jsonl")))
                is not { } run
            )
                continue;
            var found = MetricsSeries.Of(MetricsReader.Read(RunFolder.Open(run).MetricsFile), metric);
            if (found.Values.Count > 0)
                series.Add(new ChartSeries(arm.Name, found.Steps, found.Values));
        }

        return series.Count == 0
            ? null
            : new LineChart(title, new ChartAxis("step"), new ChartAxis(axis), series) { Smoothing = Smoothing };
    }

    /// <summary>Training metrics of preference objectives, for each space in use.</summary>
    public static IEnumerable<LineChart?> Preferences(AblationPlan plan, AblationFolder folder)
    {
        foreach (
            var (name, where) in new[]
            {
                ("preference_latent", "latent space"),
                ("preference_pixel", "pixels"),
                ("preference_features", "the decoder's features"),
            }
        )
        {
            yield return Training(plan, folder, $"{name}/accuracy", $"Implicit accuracy in {where}", "share of pairs");
            yield return Training(
                plan,
                folder,
                $"{name}/winner_excess",
                $"Error of winners relative to the reference model, in {where}",
                "relative error"
            );
            yield return Training(
                plan,
                folder,
                $"{name}/loser_excess",
                $"Error of losers relative to the reference model, in {where}",
                "relative error"
            );
        }

        yield return Training(plan, folder, "preference/drift", "Drift from the reference model", "mean square");
    }

    private static string Suffix(AblationRow row) => row.Name[row.Arm!.Name.Length..];

    private static ChartSeries Curve(string name, IEnumerable<(double X, SeedEstimate? Y)> points)
    {
        var there = points.Where(static p => p.Y is not null).ToArray();
        return new ChartSeries(name, [.. there.Select(static p => p.X)], [.. there.Select(static p => p.Y!.Value)])
        {
            Low = [.. there.Select(static p => p.Y!.Interval.Low)],
            High = [.. there.Select(static p => p.Y!.Interval.High)],
        };
    }

    private static bool IsNumber(JsonNode? node) => node is JsonValue value && value.GetValueKind() == JsonValueKind.Number;

    private static double Number(JsonNode node) => double.Parse(node.ToJsonString(), CultureInfo.InvariantCulture);
}
