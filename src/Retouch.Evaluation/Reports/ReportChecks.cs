using Retouch.Images;

namespace Retouch.Evaluation.Reports;

/// <summary>Consistency checks of a report before it is written.</summary>
internal static class ReportChecks
{
    /// <exception cref="ArgumentException">Lengths differ, or a value is out of range; the message names the block.</exception>
    public static void Check(ReportDocument document)
    {
        ArgumentNullException.ThrowIfNull(document);
        foreach (var block in Blocks(document))
        {
            if (Fault(block) is { } fault)
                throw new ArgumentException(fault, nameof(document));
        }
    }

    /// <summary>All blocks of the report in reading order, including those inside rows.</summary>
    public static IEnumerable<ReportBlock> Blocks(ReportDocument document) =>
        document.Sections.SelectMany(section => section.Blocks).SelectMany(Flatten);

    private static IEnumerable<ReportBlock> Flatten(ReportBlock block) => block is BlockRow row ? row.Blocks.SelectMany(Flatten) : [block];

    private static string? Fault(ReportBlock block) =>
        block switch
        {
            ReportTable table when table.Rows.FirstOrDefault(row => row.Cells.Count != table.Columns.Count) is { } row =>
                $"Table '{table.Title}', row '{row.Name}': {row.Cells.Count} cells for {table.Columns.Count} columns.",
            LineChart { Series.Count: 0 } chart => $"Chart '{chart.Title}' has no series.",
            LineChart chart when chart.Series.FirstOrDefault(series => !IsWhole(series)) is { } series =>
                $"Chart '{chart.Title}', series '{series.Name}': X must be ascending, and Y, Low and High as long as X.",
            LineChart { Smoothing: not (>= 0 and < 1) } chart => $"Chart '{chart.Title}': smoothing is {chart.Smoothing}, not in [0, 1).",
            LineChart { Stacked: true } chart when chart.Y.Log || chart.Series.Any(series => !series.X.SequenceEqual(chart.Series[0].X)) =>
                $"Chart '{chart.Title}': stacked series require a common X and a linear Y axis.",
            BarChart chart when chart.Categories.Count == 0 || chart.Series.Count == 0 => $"Bars '{chart.Title}' are empty.",
            BarChart chart
                when chart.Series.FirstOrDefault(series =>
                    series.Values.Count != chart.Categories.Count
                    || (series.HalfWidths is { } halves && halves.Count != chart.Categories.Count)
                )
                    is { } series => $"Bars '{chart.Title}', series '{series.Name}': one value per category is required.",
            PictureGrid grid when grid.Samples.Count == 0 || grid.Columns.Count == 0 => $"Pictures '{grid.Title}' are empty.",
            PictureGrid grid when grid.Columns.FirstOrDefault(column => column.Pictures.Count != grid.Samples.Count) is { } column =>
                $"Pictures '{grid.Title}', column '{column.Name}': {column.Pictures.Count} pictures for {grid.Samples.Count} samples.",
            PictureGrid grid => grid
                .Columns.SelectMany(column => column.Pictures.Select(picture => PictureFault(grid, column, picture)))
                .FirstOrDefault(fault => fault is not null),
            _ => null,
        };

    private static bool IsWhole(ChartSeries series) =>
        series.Y.Count == series.X.Count
        && (series.Low is null) == (series.High is null)
        && (series.Low is null || (series.Low.Count == series.X.Count && series.High!.Count == series.X.Count))
        && series.X.All(double.IsFinite)
        && series.X.Zip(series.X.Skip(1)).All(pair => pair.First < pair.Second);

    private static string? PictureFault(PictureGrid grid, PictureColumn column, byte[] picture)
    {
        try
        {
            PngHeader.Read(picture);
            return null;
        }
        catch (ArgumentException e)
        {
            return $"Pictures '{grid.Title}', column '{column.Name}': {e.Message}";
        }
    }
}
