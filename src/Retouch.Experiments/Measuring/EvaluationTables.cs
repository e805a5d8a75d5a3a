using Retouch.Core.Formatting;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Reports;
using Retouch.Evaluation.Statistics;
using Figure = Retouch.Evaluation.Measuring.Figure;

namespace Retouch.Experiments.Measuring;

/// <summary>Figures of an evaluation as tables: rows are sets, columns are figures.</summary>
internal static class EvaluationTables
{
    /// <summary>Figures of all sets, overall or by frequency band, in tables of page width.</summary>
    /// <param name="result">Result of the evaluation.</param>
    /// <param name="names">Display names of the sets.</param>
    /// <param name="byBand">Figures by band instead of overall.</param>
    public static IEnumerable<ReportTable> Quality(EvaluationResult result, IReadOnlyList<string> names, bool byBand) =>
        result
            .Sets[0]
            .Figures.Where(figure => FigureNames.IsPart(figure.Name) == byBand)
            .Chunk(FigureNames.MostColumns)
            .Select(columns => Quality(result, names, byBand, columns));

    private static ReportTable Quality(EvaluationResult result, IReadOnlyList<string> names, bool byBand, Figure[] columns)
    {
        var rows = result
            .Sets.Select(
                (set, k) =>
                    new TableRow(
                        names[k],
                        [
                            .. columns
                                .Select(c => set.Figures.First(f => f.Name == c.Name))
                                .Select(static f => TableCell.Of(f.Value, (f.Interval.High - f.Interval.Low) / 2)),
                        ]
                    )
            )
            .ToList();
        if (columns.Any(static c => c.Reference is not null))
            rows.Add(
                new TableRow(
                    "real pictures (no distance)",
                    [.. columns.Select(static c => c.Reference is { } own ? own : TableCell.Missing)]
                )
                {
                    IsReference = true,
                }
            );
        var bootstrap = result.Protocol.Bootstrap;
        return new ReportTable(
            byBand ? "By frequency band" : "Results against real pictures",
            "set",
            [.. columns.Select(static c => new TableColumn(FigureNames.Header(c.Name), FigureNames.Of(c.Better)))],
            rows
        )
        {
            IntervalNote =
                $"is the half-width of the {Figures.Percent(bootstrap.Confidence)} bootstrap interval "
                + $"({Figures.Count(bootstrap.Resamples)} resamples of a set's pictures; the real pictures are treated as fixed).",
        };
    }

    /// <summary>Differences of all other sets to the first, in tables of page width; empty for a single set.</summary>
    public static IEnumerable<ReportTable> Differences(EvaluationResult result, IReadOnlyList<string> names)
    {
        string[] columns =
        [
            .. result
                .Sets[0]
                .Figures.Where(static f => f.Better != Preference.None && !FigureNames.IsPart(f.Name))
                .Select(static f => f.Name)
                .Where(name => result.Differences.Any(d => d.Figure == name)),
        ];
        return columns
            .Chunk(FigureNames.MostColumns / 2)
            .Select((part, k) => Differences(result, names, part, k == 0 ? columns.Length * (result.Sets.Count - 1) : null));
    }

    private static ReportTable Differences(EvaluationResult result, IReadOnlyList<string> names, string[] columns, int? count)
    {
        var rows = result
            .Sets.Select((set, k) => (set.Name, Shown: names[k]))
            .Skip(1)
            .Select(set => new TableRow(set.Shown, [.. columns.SelectMany(column => Cells(result, set.Name, column))]));
        var paired = result.Differences.All(static d => d.Paired);
        return new ReportTable(
            $"Differences to {names[0]}",
            "set",
            [.. columns.SelectMany(static name => (TableColumn[])[new(FigureNames.Header(name)), new("verdict")])],
            [.. rows]
        )
        {
            IntervalNote =
                $"is the half-width of the {Figures.Percent(result.Protocol.Bootstrap.Confidence)} bootstrap interval of the "
                + $"difference"
                + (
                    paired
                        ? ", paired: pictures of the same name are resampled together"
                        : "; the sets have different names and are resampled independently"
                )
                + $".",
            Note = count is not { } all
                ? null
                : $"A difference is better or worse if its interval excludes 0 and it is at least {Smallest(result)} of the first set's "
                    + $"figure; there is no verdict if a warning voids the interval. {all} "
                    + $"{(all == 1 ? "comparison was" : "comparisons were")} made: without any real difference, about "
                    + $"{Figures.Significant(all * (1 - result.Protocol.Bootstrap.Confidence), 2)} of them would have a verdict by "
                    + $"chance. The intervals cover the variation between pictures, not between trainings: models are represented by "
                    + $"one training each, and another training seed may change a verdict (retouch ablate supports "
                    + $"several).",
        };
    }

    private static string Smallest(EvaluationResult result) => Figures.Percent(result.Protocol.SmallestDifference);

    private static IEnumerable<TableCell> Cells(EvaluationResult result, string set, string figure) =>
        result.Differences.FirstOrDefault(d => d.Set == set && d.Figure == figure) is not { } d
            ? [TableCell.Missing, TableCell.Missing]
            : [TableCell.Of(d.Value, FigureNames.Half(d.Interval)), FigureNames.Said(d.Verdict, result.Protocol.SmallestDifference)];
}
