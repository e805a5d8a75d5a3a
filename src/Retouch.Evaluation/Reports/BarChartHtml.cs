using System.Globalization;

namespace Retouch.Evaluation.Reports;

/// <summary>Renders grouped bars as a table with drawn cells: no script, accessible to screen readers, equal in print.</summary>
internal static class BarChartHtml
{
    public static void Write(HtmlWriter html, Palette palette, BarChart chart)
    {
        var scale = Range(chart);
        var decimals = TableMarks.Decimals([
            .. chart.Series.SelectMany(series => series.Values.Select((value, i) => (value, series.HalfWidths?[i]))),
        ]);
        html.Open("figure", ("class", "bars")).Element("figcaption", chart.Title);
        html.Open("ul", ("class", "legend"));
        foreach (var series in chart.Series)
            html.Open("li").Swatch(palette.Find(series.Name), series.IsReference).Element("span", series.Name).Close();
        html.CloseLine();
        html.Element("p", chart.Unit, ("class", "y-label")).Raw("\n");
        for (var category = 0; category < chart.Categories.Count; category++)
        {
            html.Open("div", ("class", "group")).Element("p", chart.Categories[category], ("class", "category")).Open("ul");
            foreach (var series in chart.Series)
                WriteBar(html, palette, series, category, scale, decimals);
            html.Close().CloseLine();
        }

        html.Note(chart.Note).CloseLine();
    }

    private static void WriteBar(
        HtmlWriter html,
        Palette palette,
        BarSeries series,
        int category,
        (double Low, double High) scale,
        int? decimals
    )
    {
        var value = series.Values[category];
        var half = series.HalfWidths?[category];
        html.Open("li")
            .Element("span", series.Name + ": ", ("class", "only-read"))
            .Open("span", ("class", "track"), ("aria-hidden", "true"));
        if (double.IsFinite(value))
        {
            var color = HtmlParts.ColorClass(palette.Find(series.Name), series.IsReference);
            html.Open("i", ("class", "bar " + color), ("style", Span(Math.Min(0, value), Math.Max(0, value)))).Close();
            if (half is > 0 && double.IsFinite(half.Value))
                html.Open("i", ("class", "whisker"), ("style", Span(value - half.Value, value + half.Value))).Close();
        }

        html.Open("i", ("class", "zero"), ("style", $"left:{Percent(0)}%")).Close().Close();
        html.Element(
                "span",
                TableHtml.Number(value, decimals) + (half is { } width ? " ± " + TableHtml.Number(width, decimals) : ""),
                ("class", "value")
            )
            .Close();

        string Span(double from, double to) => $"left:{Percent(from)}%;width:{Fixed(100 * (to - from) / (scale.High - scale.Low))}%";
        string Percent(double at) => Fixed(100 * (at - scale.Low) / (scale.High - scale.Low));
        static string Fixed(double percent) => percent.ToString("0.##", CultureInfo.InvariantCulture);
    }

    /// <summary>Range of bars and whiskers, extended to zero.</summary>
    private static (double Low, double High) Range(BarChart chart)
    {
        double low = 0,
            high = 0;
        foreach (var series in chart.Series)
        {
            for (var i = 0; i < series.Values.Count; i++)
            {
                var half = series.HalfWidths?[i] is { } width && double.IsFinite(width) ? Math.Max(0, width) : 0;
                if (!double.IsFinite(series.Values[i]))
                    continue;
                low = Math.Min(low, series.Values[i] - half);
                high = Math.Max(high, series.Values[i] + half);
            }
        }

        return high > low ? (low, high) : (0, 1);
    }
}
