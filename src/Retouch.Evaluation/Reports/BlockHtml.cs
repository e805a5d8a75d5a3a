namespace Retouch.Evaluation.Reports;

/// <summary>Renders the blocks of a report.</summary>
internal sealed class BlockHtml(HtmlWriter html, Palette palette)
{
    private int _figures;

    public void Write(ReportBlock block)
    {
        switch (block)
        {
            case Prose prose:
                foreach (var paragraph in prose.Paragraphs)
                    html.Open("p", ("class", "prose")).Marked(paragraph).CloseLine();
                break;
            case BlockRow row:
                html.Open("div", ("class", "row")).Raw("\n");
                foreach (var part in row.Blocks)
                {
                    html.Open("div", ("class", "cell"));
                    Write(part);
                    html.CloseLine();
                }

                html.CloseLine();
                break;
            case KeyValues values:
                WriteValues(values);
                break;
            case CodeBlock { Collapsed: true } code:
                html.Open("details").Element("summary", code.Title);
                html.Open("pre").Element("code", code.Text).Close().CloseLine();
                break;
            case CodeBlock code:
                html.Open("figure", ("class", "code")).Element("figcaption", code.Title);
                html.Open("pre", ("tabindex", "0")).Element("code", code.Text).Close().CloseLine();
                break;
            case ReportTable table:
                TableHtml.Write(html, palette, table);
                break;
            case LineChart chart:
                LineChartHtml.Write(html, palette, chart, ++_figures);
                break;
            case BarChart chart:
                BarChartHtml.Write(html, palette, chart);
                break;
            case PictureGrid grid:
                PictureHtml.Write(html, palette, grid);
                break;
            default:
                throw new ArgumentException($"Unknown block type {block.GetType().Name}.", nameof(block));
        }
    }

    private void WriteValues(KeyValues values)
    {
        html.Open("div", ("class", "values"));
        if (values.Title is { } title)
            html.Element("h3", title);
        html.Open("dl");
        foreach (var (key, value) in values.Items)
            html.Open("div").Element("dt", key).Element("dd", value).Close();
        html.Close().CloseLine();
    }
}

/// <summary>Elements shared by several blocks.</summary>
internal static class HtmlParts
{
    /// <summary>Colour mark of a name; empty for names without a colour.</summary>
    public static HtmlWriter Swatch(this HtmlWriter html, int? slot, bool isReference = false)
    {
        var kind =
            isReference ? "reference"
            : slot is { } number ? $"s{number % Palette.Colors}{(number >= Palette.Colors ? " dashed" : "")}"
            : null;
        return kind is null ? html : html.Open("i", ("class", "swatch " + kind), ("aria-hidden", "true")).Close();
    }

    /// <summary>CSS class with a series' colour.</summary>
    public static string ColorClass(int? slot, bool isReference) =>
        isReference || slot is null ? "reference" : $"s{slot.Value % Palette.Colors}";

    /// <summary>Note below a figure.</summary>
    public static HtmlWriter Note(this HtmlWriter html, string? note) =>
        note is null ? html : html.Open("p", ("class", "note")).Marked(note).Close();
}
