using Retouch.Core.Formatting;
using Retouch.Evaluation.Reports;
using Retouch.Evaluation.Statistics;
using Retouch.Experiments.Measuring;

namespace Retouch.Experiments.Ablations;

/// <summary>The numbers of an ablation as tables: rows are arms, columns are figures.</summary>
internal static class AblationTables
{
    private const int MostPaired = 10;

    /// <summary>Every row's figures, the whole ones or those by band.</summary>
    /// <param name="plan">What was asked for.</param>
    /// <param name="rows">Rows that are measured on the same pictures.</param>
    /// <param name="byBand">Figures by frequency band, instead of the whole ones.</param>
    /// <returns>As many tables as fit a page each.</returns>
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
            byBand ? "By frequency band" : $"Against the held-out pictures, {rows[0].Data.Size} pixels",
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
                $"is half the width of the {Figures.Percent(e.Confidence)} bootstrap interval over training seeds and pictures "
                + $"({Figures.Count(e.Resamples)} resamples, both drawn anew, independently); "
                + "for a row of one seed, over pictures alone. The held-out pictures count as fixed.",
            Note = !noted
                ? null
                : (
                    $"{Figures.Count(rows[0].Measured[0].Count)} pictures a row and seed, "
                    + $"{Figures.Count(rows[0].Measured[0].References)} real ones. "
                    + string.Join(
                        " ",
                        ProtocolText.Warnings(rows.SelectMany(static r => r.Measured).SelectMany(static m => m.Warnings), static set => set)
                    )
                ).TrimEnd(),
        };
    }

    /// <summary>The differences to the arm that each is compared with, in tables that fit a page.</summary>
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
            $"Differences in {string.Join(" and ", columns.Select(FigureNames.Header))}, and whether they are shown",
            "arm less the one it is compared with",
            [
                .. columns.SelectMany(static name =>
                    (TableColumn[])[new(FigureNames.Header(name)), new("over seeds"), new("seeds that agree"), new("that is")]
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
                $"is half the width of the {confidence} bootstrap interval of the difference, paired: both arms have the same "
                + $"training seeds and draw the same seeds of pictures.",
            Note = count is not { } all
                ? null
                : $"\"over seeds\" is Student's {confidence} interval of the difference from the seeds alone. A difference counts "
                    + $"as shown where both intervals leave 0 out, and is named where it is "
                    + $"{Figures.Percent(plan.Spec.Evaluation.SmallestDifference ?? VerdictRule.Smallest)} of the other's figure or more. "
                    + $"With one seed only the first interval is there; it says nothing of another training, so there is no verdict. "
                    + $"Nor is there one where a warning voids the intervals. "
                    + $"{Figures.Count(all)} comparisons were made: where nothing differs, about "
                    + $"{Figures.Significant(all * (1 - plan.Spec.Evaluation.Confidence), 2)} of them would be called different by "
                    + $"chance.",
        };
    }

    /// <summary>Every arm against every other in the figure that decides; null where there are too few or too many.</summary>
    public static ReportTable? Pairs(AblationPlan plan, IReadOnlyList<AblationRow> rows)
    {
        var (e, decisive) = (plan.Spec.Evaluation, plan.Spec.Evaluation.Decisive);
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
            return $"{Figures.Significant(d.Estimate.Value, 3)}{sign}".Replace('-', '−');
        }

        return new ReportTable(
            $"Every pair: {FigureNames.Header(decisive)}, row less column",
            "arm",
            [.. arms.Select(static arm => new TableColumn(arm.Name))],
            [.. arms.Select(row => new TableRow(row.Name, [.. arms.Select(other => Cell(row, other))]))]
        )
        {
            Note = "▲ the row is better, ▼ it is worse, by both intervals of the paired difference; without a sign no difference is shown.",
        };
    }

    // A table of all figures and their differences could not be read.
    private static bool IsMain(string name, AblationPlan plan) =>
        name == plan.Spec.Evaluation.Decisive || name == "spectrum.high" || !FigureNames.IsPart(name);

    private static TableCell Seeds(AblationRow row) => row.Arm is null ? TableCell.Missing : row.Seeds.Count;

    private static IEnumerable<TableCell> Cells(AblationDifference? d) =>
        d is null
            ? [TableCell.Missing, TableCell.Missing, TableCell.Missing, TableCell.Missing]
            :
            [
                TableCell.Of(d.Estimate.Value, FigureNames.Half(d.Estimate.Interval)),
                d.Estimate.OverSeeds is { } over
                    ? $"{Figures.Significant(over.Low, 3)} to {Figures.Significant(over.High, 3)}".Replace('-', '−')
                    : TableCell.Missing,
                $"{d.Agree} of {d.Seeds}",
                d.Verdict,
            ];
}
