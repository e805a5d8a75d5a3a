using System.Globalization;
using System.Text;

namespace Retouch.Evaluation.Reports;

/// <summary>
/// Numbers of tables and charts as CSV (RFC 4180, but with line feeds): a header line, full precision, decimal points.
/// </summary>
internal static class ReportCsv
{
    /// <summary>Title and text of each table and chart, in the order of the report.</summary>
    public static IEnumerable<(string Title, string Text)> Of(ReportDocument document)
    {
        foreach (var block in ReportChecks.Blocks(document))
        {
            switch (block)
            {
                case ReportTable table:
                    yield return (table.Title, Join(Rows(table)));
                    break;
                case LineChart chart:
                    yield return (chart.Title, Join(Rows(chart)));
                    break;
                case BarChart chart:
                    yield return (chart.Title, Join(Rows(chart)));
                    break;
                default:
                    break;
            }
        }
    }

    private static IEnumerable<string[]> Rows(ReportTable table)
    {
        var widths = table.Columns.Select((_, column) => table.Rows.Any(row => row.Cells[column].HalfWidth is not null)).ToArray();
        yield return
        [
            table.RowHeader,
            .. table.Columns.SelectMany(
                (column, i) =>
                {
                    var name = column.Unit is { } unit ? $"{column.Header} ({unit})" : column.Header;
                    return widths[i] ? [name, name + " ±"] : new[] { name };
                }
            ),
        ];
        foreach (var row in table.Rows)
        {
            yield return
            [
                row.Name,
                .. row.Cells.SelectMany(
                    (cell, i) =>
                    {
                        var value = cell.Text ?? Number(cell.Value);
                        return widths[i] ? [value, Number(cell.HalfWidth)] : new[] { value };
                    }
                ),
            ];
        }
    }

    private static IEnumerable<string[]> Rows(LineChart chart)
    {
        var bands = chart.Series.Any(series => series.Low is not null);
        yield return ["series", chart.X.Label, chart.Y.Label, .. bands ? ["low", "high"] : Array.Empty<string>()];
        foreach (var series in chart.Series)
        {
            for (var i = 0; i < series.X.Count; i++)
            {
                yield return
                [
                    series.Name,
                    Number(series.X[i]),
                    Number(series.Y[i]),
                    .. bands ? [Number(series.Low?[i]), Number(series.High?[i])] : Array.Empty<string>(),
                ];
            }
        }
    }

    private static IEnumerable<string[]> Rows(BarChart chart)
    {
        yield return ["category", "series", chart.Unit, "±"];
        for (var i = 0; i < chart.Categories.Count; i++)
        {
            foreach (var series in chart.Series)
                yield return [chart.Categories[i], series.Name, Number(series.Values[i]), Number(series.HalfWidths?[i])];
        }
    }

    private static string Number(double? value) => value is { } number ? number.ToString("R", CultureInfo.InvariantCulture) : "";

    private static string Join(IEnumerable<string[]> rows)
    {
        var text = new StringBuilder();
        foreach (var row in rows)
            text.AppendJoin(',', row.Select(Quote)).Append('\n');
        return text.ToString();
    }

    private static string Quote(string field) =>
        field.AsSpan().IndexOfAny(",\"\r\n") < 0 ? field : "\"" + field.Replace("\"", "\"\"", StringComparison.Ordinal) + "\"";
}
