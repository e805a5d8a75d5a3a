using System.Globalization;
using Retouch.Core.Formatting;

namespace Retouch.Evaluation.Reports;

/// <summary>Renders tables: aligned decimal points, the best value marked by a symbol besides colour.</summary>
internal static class TableHtml
{
    public static void Write(HtmlWriter html, Palette palette, ReportTable table)
    {
        var marks = table.Columns.Select((_, column) => TableMarks.Of(table, column)).ToArray();
        var decimals = table.Columns.Select((_, column) => TableMarks.Decimals(table, column)).ToArray();
        // The visible caption stays in place while a wide table scrolls; the table's own caption is for screen readers.
        html.Open("figure", ("class", "table"))
            .Element("figcaption", table.Title, ("aria-hidden", "true"))
            .Open("div", ("class", "scroll"), ("tabindex", "0"), ("role", "region"), ("aria-label", table.Title));
        html.Open("table")
            .Element("caption", table.Title, ("class", "only-read"))
            .Open("thead")
            .Open("tr")
            .Element("th", table.RowHeader, ("scope", "col"));
        for (var column = 0; column < table.Columns.Count; column++)
            WriteHeader(html, table, column);
        html.Close().Close().Raw("\n").Open("tbody").Raw("\n");
        for (var row = 0; row < table.Rows.Count; row++)
        {
            var reference = table.Rows[row].IsReference;
            html.Open("tr", ("class", reference ? "reference" : null)).Open("th", ("scope", "row"));
            html.Swatch(palette.Find(table.Rows[row].Name), reference).Text(table.Rows[row].Name).Close();
            for (var column = 0; column < table.Columns.Count; column++)
                WriteCell(html, table.Rows[row].Cells[column], decimals[column], marks[column][row]);
            html.CloseLine();
        }

        html.Close().Close().CloseLine();
        html.Note(Legend(table, marks)).Note(table.Note).CloseLine();
    }

    /// <summary>Number as shown in tables and bars, with a minus sign as wide as a plus.</summary>
    public static string Number(double value, int? decimals)
    {
        var text =
            !double.IsFinite(value) || decimals is null
                ? Figures.Significant(value, 3)
                : value.ToString((Math.Abs(value) < 10000 ? "F" : "N") + decimals, CultureInfo.InvariantCulture);
        return text.Replace('-', '−');
    }

    private static void WriteHeader(HtmlWriter html, ReportTable table, int column)
    {
        var (name, better) = (table.Columns[column].Header, table.Columns[column].Better);
        html.Open("th", ("scope", "col"), ("class", IsNumeric(table, column) ? "number" : null)).Text(name);
        if (better != Better.Neither)
        {
            html.Open("span", ("class", "aim"), ("title", better == Better.Lower ? "lower is better" : "higher is better"))
                .Text(better == Better.Lower ? "\u00A0↓" : "\u00A0↑")
                .Close();
        }

        if (table.Columns[column].Unit is { } unit)
            html.Element("span", unit, ("class", "unit"));
        html.Close();
    }

    private static void WriteCell(HtmlWriter html, TableCell cell, int? decimals, CellMark mark)
    {
        if (cell.Text is { } text)
        {
            html.Element("td", text);
            return;
        }

        if (cell.Value is not { } value)
        {
            html.Open("td", ("class", "number missing"))
                .Element("span", "–", ("aria-label", "not measured"), ("role", "img"), ("class", "digits"))
                .Close();
            return;
        }

        html.Open("td", ("class", mark == CellMark.None ? "number" : "number marked"))
            .Element("span", Number(value, decimals), ("class", "digits"));
        if (cell.HalfWidth is { } half)
            html.Element("span", "\u202F±\u202F" + Number(half, decimals), ("class", "interval"));
        if (mark != CellMark.None)
            html.Element(
                "span",
                mark == CellMark.Best ? "●" : "○",
                ("class", "mark"),
                ("role", "img"),
                ("aria-label", mark == CellMark.Best ? "best" : "among the best")
            );
        html.Close();
    }

    private static string? Legend(ReportTable table, CellMark[][] marks)
    {
        List<string> parts = [];
        if (table.Columns.Any(column => column.Better == Better.Lower))
            parts.Add("↓ lower is better.");
        if (table.Columns.Any(column => column.Better == Better.Higher))
            parts.Add("↑ higher is better.");
        if (marks.Any(column => column.Contains(CellMark.Best)))
            parts.Add("● best value of its column.");
        if (marks.Any(column => column.Contains(CellMark.AmongBest)))
            parts.Add("○ among the best: equal, or with overlapping intervals.");
        if (table.IntervalNote is { } note)
            parts.Add("± " + note);
        // Marks on single measurements suggest more certainty than there is.
        if (
            Enumerable
                .Range(0, table.Columns.Count)
                .Any(column =>
                    marks[column].Any(mark => mark != CellMark.None)
                    && table.Rows.Any(row => !row.IsReference && row.Cells[column] is { Value: not null, HalfWidth: null })
                )
        )
            parts.Add("Marked columns without ± compare single measurements without an estimate of their variation.");
        return parts.Count == 0 ? null : string.Join(" ", parts);
    }

    private static bool IsNumeric(ReportTable table, int column) => table.Rows.All(row => row.Cells[column].Text is null);
}
