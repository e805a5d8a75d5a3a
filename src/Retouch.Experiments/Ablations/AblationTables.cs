using Retouch.Core.Formatting;
using Retouch.Evaluation.Reports;
using Retouch.Evaluation.Statistics;
using Retouch.Experiments.Measuring;

namespace Retouch.Experiments.Ablations;

/// <summary>Results of an ablation as tables: rows are arms, columns are figures.</summary>
internal static class AblationTables
{
    private const int MostPaired = 10;

    /// <summary>Figures of all rows, overall or by frequency band.</summary>
    /// <param name="plan">Plan.</param>
    /// <param name="rows">Rows with the same reference pictures.</param>
    /// <param name="byBand">Figures by frequency band instead of overall.</param>
    /// <returns>One or more tables, each of page width.</returns>
    public static IEnumerable<ReportTable> Quality(AblationPlan plan, IReadOnlyList<AblationRow> rows, bool byBand)
    {
        string[] all =
        [
            .. rows.SelectMany(static row => row.Figures)
                .Select(static f => f.Name)
                .Distinct()
                .Where(name => FigureNames.IsPart(name) == byBand),
        ];
        return all.Chunk(FigureNames.MostColumns).Select((names, k) => Quality(plan, rows, byBand, names, noted: k == 0 && !byBand));
    }

    private static ReportTable Quality(AblationPlan plan, IReadOnlyList<AblationRow> rows, bool byBand, string[] names, bool noted)
    {
        var e = plan.Spec.Evaluation;
        var better = names.Select(name => rows.Select(row => row.Find(name)).First(static f => f is not null)!.Better);
        var columns = names
            .Zip(better, static (name, better) => new TableColumn(FigureNames.Header(name), FigureNames.Of(better)))
            .Prepend(new TableColumn("seeds"));
        return new ReportTable(
            byBand ? "By frequency band" : $"Results against held-out pictures, {rows[0].Data.Size} pixels",
            "arm",
            [.. columns],
            [
                .. rows.Select(row => new TableRow(
                    row.Name,
                    [
                        Seeds(row),
                        .. names.Select(name =>
                            row.Find(name) is { } f
                                ? TableCell.Of(f.Estimate.Value, FigureNames.Half(f.Estimate.Interval))
                                : TableCell.Missing
                        ),
                    ]
                )
                {
                    IsReference = row.Arm is null,
                }),
            ]
        )
        {
            IntervalNote =
                $"is the half-width of the {Figures.Percent(e.Confidence)} bootstrap interval over training seeds and pictures "
                + $"({Figures.Count(e.Resamples)} resamples, independent for both); "
                + "with one seed, over pictures alone. The held-out pictures are treated as fixed.",
            Note = !noted
                ? null
                : (
                    $"{Figures.Count(rows[0].Measured[0].Count, "picture")} per row and seed, "
                    + $"{Figures.Count(rows[0].Measured[0].References)} real ones. "
                    + string.Join(
                        " ",
                        ProtocolText.Warnings(rows.SelectMany(static r => r.Measured).SelectMany(static m => m.Warnings), static set => set)
                    )
                ).TrimEnd(),
        };
    }

    /// <summary>Differences to each arm's comparison arm, in tables of page width.</summary>
    public static IEnumerable<ReportTable> Differences(AblationPlan plan, AblationFigures figures, IReadOnlyList<AblationRow> rows)
    {
        var names = rows.Select(static r => r.Name).ToHashSet(StringComparer.Ordinal);
        var shown = figures.Differences.Where(d => names.Contains(d.Row)).ToArray();
        string[] columns =
        [
            .. shown
                .Select(static d => d.Figure)
                .Distinct()
                .Where(name => rows.Any(row => row.Find(name) is { Better: not Preference.None }) && IsMain(name, plan)),
        ];
        var groups = shown.GroupBy(static d => (d.Row, d.Against)).ToArray();
        return columns.Chunk(2).Select((part, k) => Differences(plan, groups, part, k == 0 ? groups.Length * columns.Length : null));
    }

    private static ReportTable Differences(
        AblationPlan plan,
        IReadOnlyList<IGrouping<(string Row, string Against), AblationDifference>> groups,
        string[] columns,
        int? count
    )
    {
        var confidence = Figures.Percent(plan.Spec.Evaluation.Confidence);
        return new ReportTable(
            $"Differences in {string.Join(" and ", columns.Select(FigureNames.Header))}, with verdicts",
            "arm less comparison arm",
            [
                .. columns.SelectMany(static name =>
                    (TableColumn[])[new(FigureNames.Header(name)), new("over seeds"), new("seeds of equal sign"), new("verdict")]
                ),
            ],
            [
                .. groups.Select(group => new TableRow(
                    $"{group.Key.Row} − {group.Key.Against}",
                    [.. columns.SelectMany(name => Cells(group.FirstOrDefault(d => d.Figure == name)))]
                )),
            ]
        )
        {
            IntervalNote =
                $"is the half-width of the {confidence} bootstrap interval of the difference, paired: both arms share the "
                + $"training seeds and the picture seeds.",
            Note = count is not { } all
                ? null
                : $"\"over seeds\" is Student's {confidence} interval of the difference from the seeds alone. A difference has a "
                    + $"verdict if both intervals exclude 0 and it is at least "
                    + $"{Figures.Percent(plan.Spec.Evaluation.SmallestDifference ?? VerdictRule.Smallest)} of the comparison arm's figure. "
                    + $"With one seed the variation between trainings is unknown, and there is no verdict, "
                    + $"nor if a limitation voids the intervals. "
                    + $"{Figures.Count(all)} comparisons were made: without any real difference, about "
                    + $"{Figures.Significant(all * (1 - plan.Spec.Evaluation.Confidence), 2)} of them would have a verdict by "
                    + $"chance.",
        };
    }

    /// <summary>All pairs of arms in the decisive figure; null with too few or too many arms.</summary>
    public static ReportTable? Pairs(AblationPlan plan, IReadOnlyList<AblationRow> rows)
    {
        var (e, decisive) = (plan.Spec.Evaluation, AblationFigures.Decisive(plan.Spec.Evaluation.Decisive, rows));
        AblationRow[] arms =
        [
            .. rows.Where(static row => row.Arm is not null).GroupBy(static row => row.Arm!.Name).Select(static g => g.Last()),
        ];
        if (arms.Length is < 3 or > MostPaired)
            return null;
        TableCell Cell(AblationRow row, AblationRow other)
        {
            if (row == other || AblationFigures.Compare(row, other, decisive, e) is not { } d)
                return TableCell.Missing;
            var sign =
                d.Verdict == AblationVerdict.Better ? " ▲"
                : d.Verdict == AblationVerdict.Worse ? " ▼"
                : "";
            return $"{Figures.Typeset(d.Estimate.Value, 3)}{sign}";
        }

        return new ReportTable(
            $"All pairs: {FigureNames.Header(decisive)}, row less column",
            "arm",
            [.. arms.Select(static arm => new TableColumn(arm.Name))],
            [.. arms.Select(row => new TableRow(row.Name, [.. arms.Select(other => Cell(row, other))]))]
        )
        {
            Note = "▲ row better, ▼ row worse, by both intervals of the paired difference; no sign: not significant.",
        };
    }

    // A single table of all figures and differences would be illegible.
    private static bool IsMain(string name, AblationPlan plan) =>
        name == plan.Spec.Evaluation.Decisive || name == "spectrum.high" || !FigureNames.IsPart(name);

    private static TableCell Seeds(AblationRow row) => row.Arm is null ? TableCell.Missing : row.Seeds.Count;

    private static IEnumerable<TableCell> Cells(AblationDifference? d) =>
        d is null
            ? [TableCell.Missing, TableCell.Missing, TableCell.Missing, TableCell.Missing]
            :
            [
                TableCell.Of(d.Estimate.Value, FigureNames.Half(d.Estimate.Interval)),
                d.Estimate.OverSeeds is { } over ? $"{Figures.Typeset(over.Low, 3)} to {Figures.Typeset(over.High, 3)}" : TableCell.Missing,
                $"{d.Agree} of {d.Seeds}",
                d.Verdict,
            ];
}
