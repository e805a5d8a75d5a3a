using System.Globalization;
using System.Text;
using System.Text.Json;
using Retouch.Core.Formatting;

namespace Retouch.Evaluation.Reports;

/// <summary>Renders a line chart: caption, legend and summary as HTML, the points as JSON for the drawing script.</summary>
internal static class LineChartHtml
{
    public static void Write(HtmlWriter html, Palette palette, LineChart chart, int number)
    {
        var title = $"chart-{number}";
        html.Open("figure", ("class", "chart"), ("aria-labelledby", title));
        html.Open("figcaption", ("id", title)).Text(chart.Title).Close().Raw("\n");
        html.Open("ul", ("class", "legend"));
        foreach (var series in chart.Series)
            html.Open("li")
                .Swatch(palette.Find(series.Name), series.IsReference)
                .Element("span", series.Name)
                .Open("output")
                .Close()
                .Close();
        html.CloseLine();
        html.Element("p", chart.Y.Label, ("class", "y-label"), ("aria-hidden", "true"));
        html.Open("div", ("class", "plot"), ("role", "img"), ("aria-label", Summary(chart))).CloseLine();
        html.Element("p", chart.X.Label, ("class", "x-label"), ("aria-hidden", "true")).Raw("\n");
        html.Note(Notes(chart));
        html.Open("script", ("type", "application/json")).Raw(Data(chart, palette)).Close().CloseLine();
    }

    private static string Summary(LineChart chart)
    {
        var lines = chart.Series.Select(series =>
        {
            var finite = Enumerable.Range(0, series.Y.Count).Where(i => double.IsFinite(series.Y[i])).ToArray();
            return finite.Length == 0
                ? $"{series.Name}: no values."
                : $"{series.Name}: from {At(series, finite[0])} to {At(series, finite[^1])}, lowest "
                    + $"{At(series, finite.MinBy(i => series.Y[i]))}, highest {At(series, finite.MaxBy(i => series.Y[i]))}.";
        });
        return $"{chart.Title}. {chart.Y.Label} over {chart.X.Label}. " + string.Join(" ", lines);

        static string At(ChartSeries series, int i) => $"{Figures.Significant(series.Y[i], 3)} at {Figures.Significant(series.X[i], 4)}";
    }

    private static string? Notes(LineChart chart)
    {
        List<string> notes = [];
        if (chart.Note is { } note)
            notes.Add(note);
        if (chart.Smoothing > 0 && !chart.Stacked)
            notes.Add($"Strong lines: exponential average with weight {Figures.Significant(chart.Smoothing, 2)}; faint lines: raw values.");
        var hidden = chart.Series.Sum(series => series.Y.Count(value => !double.IsFinite(value)));
        if (hidden > 0)
            notes.Add($"Non-finite values, shown as gaps: {Figures.Count(hidden)}.");
        if (ChartCurves.Undrawable(chart) is > 0 and var count)
            notes.Add($"Non-positive points, not shown on the logarithmic axis: {Figures.Count(count)}.");
        if (chart.Series.Any(series => series.Y.Count > ChartCurves.MostPoints))
            notes.Add("Long series are thinned for drawing, without loss of peaks; the files contain all points.");
        return notes.Count == 0 ? null : string.Join(" ", notes);
    }

    private static string Data(LineChart chart, Palette palette)
    {
        using var bytes = new MemoryStream();
        // The default encoder escapes < and &, so that no text can end the script element.
        using (var json = new Utf8JsonWriter(bytes))
        {
            var stack = chart.Stacked ? ChartCurves.Stack(chart.Series) : null;
            json.WriteStartObject();
            json.WriteBoolean("logX", chart.X.Log);
            json.WriteBoolean("logY", chart.Y.Log);
            json.WriteBoolean("stacked", chart.Stacked);
            json.WriteStartArray("series");
            for (var i = 0; i < chart.Series.Count; i++)
            {
                // All layers of a stack use the same points, selected from the top layer, so that their borders coincide.
                var kept = ChartCurves.Thin(stack is null ? chart.Series[i].Y : stack[^1]);
                WriteSeries(json, chart, palette, chart.Series[i], stack?[i], kept);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(bytes.ToArray());
    }

    private static void WriteSeries(Utf8JsonWriter json, LineChart chart, Palette palette, ChartSeries series, double[]? tops, int[] kept)
    {
        kept = [.. kept.Where(i => !chart.X.Log || series.X[i] > 0)];
        json.WriteStartObject();
        json.WriteString("name", series.Name);
        var slot = palette.Find(series.Name);
        json.WriteString("color", HtmlParts.ColorClass(slot, series.IsReference));
        json.WriteBoolean("dashed", series.IsReference || slot >= Palette.Colors);
        Values("x", series.X);
        Values("y", series.Y);
        if (tops is not null)
            Values("top", tops);
        else if (chart.Smoothing > 0 && !series.IsReference)
            Values("smooth", ChartCurves.Smooth(series.Y, chart.Smoothing));
        if (series.Low is not null)
        {
            Values("low", series.Low);
            Values("high", series.High!);
        }

        json.WriteEndObject();

        void Values(string name, IReadOnlyList<double> values)
        {
            json.WriteStartArray(name);
            foreach (var i in kept)
            {
                // Six digits exceed the resolution of a screen.
                if (double.IsFinite(values[i]) && !(chart.Y.Log && name != "x" && values[i] <= 0))
                    json.WriteNumberValue(name == "x" ? values[i] : Rounded(values[i]));
                else
                    json.WriteNullValue();
            }

            json.WriteEndArray();
        }
    }

    private static double Rounded(double value) =>
        double.Parse(value.ToString("e5", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
}
