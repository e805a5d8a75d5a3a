using System.Globalization;
using Retouch.Images;

namespace Retouch.Evaluation.Reports;

/// <summary>Renders pictures side by side: one enlarged picture per arm, and thumbnails of all samples below.</summary>
internal static class PictureHtml
{
    // Pictures up to this width are magnified on any screen, with hard pixel edges instead of interpolation.
    private const int SmallWidth = 256;

    public static void Write(HtmlWriter html, Palette palette, PictureGrid grid)
    {
        var header = PngHeader.Read(grid.Columns[0].Pictures[0]);
        html.Open(
            "figure",
            ("class", "pictures" + (header.Width <= SmallWidth ? " small" : "") + (grid.IsSheet ? " sheet" : "")),
            (
                "style",
                $"--n:{grid.Columns.Count};--aspect:{header.Width}/{header.Height};--across:{Across(grid.Samples.Count, 6)}"
                    + $";--across-narrow:{Across(grid.Samples.Count, 3)}"
            )
        );
        html.Element("figcaption", grid.Title).Raw("\n");
        html.Open("div", ("class", "tools"));
        html.Element("button", "‹", ("type", "button"), ("data-do", "previous"), ("aria-label", "Previous sample"));
        html.Element("p", Caption(grid, 0), ("class", "sample"), ("aria-live", "polite"));
        html.Element("button", "›", ("type", "button"), ("data-do", "next"), ("aria-label", "Next sample"));
        html.Open("span", ("class", "zooms"), ("role", "group"), ("aria-label", "Zoom"));
        foreach (var zoom in (ReadOnlySpan<int>)[1, 2, 4, 8])
            html.Element(
                "button",
                $"{zoom}×",
                ("type", "button"),
                ("data-zoom", zoom.ToString(CultureInfo.InvariantCulture)),
                ("aria-pressed", zoom == 1 ? "true" : "false")
            );
        html.Close().CloseLine();
        html.Open("div", ("class", "columns")).Raw("\n");
        for (var column = 0; column < grid.Columns.Count; column++)
            WriteColumn(html, palette, grid, column);
        html.CloseLine();
        html.Element(
            "p",
            "Click or tap a large picture to zoom; all pictures share position and scale. Keys: arrows change the sample or move "
                + "the view, + and − zoom, 0 resets it.",
            ("class", "note hint")
        );
        html.Note(grid.Note).CloseLine();
    }

    private static void WriteColumn(HtmlWriter html, Palette palette, PictureGrid grid, int number)
    {
        var column = grid.Columns[number];
        html.Open("div", ("class", "column")).Open("h3").Swatch(palette.Find(column.Name)).Text(column.Name).Close();
        html.Open("div", ("class", "lens"), ("tabindex", "0"), ("role", "group"), ("aria-label", $"{column.Name}, large"));
        html.Void("img", ("src", Uri(column, 0)), ("alt", Alternative(grid, column, 0))).Close().Raw("\n");
        html.Open("div", ("class", "thumbs"));
        for (var sample = 0; sample < grid.Samples.Count; sample++)
        {
            // The thumbnails of one column suffice for keyboard navigation.
            html.Open(
                "button",
                ("type", "button"),
                ("data-sample", sample.ToString(CultureInfo.InvariantCulture)),
                ("data-caption", number == 0 ? Caption(grid, sample) : null),
                ("tabindex", number == 0 ? null : "-1"),
                ("aria-pressed", sample == 0 ? "true" : "false")
            );
            html.Void("img", ("src", Uri(column, sample)), ("alt", Alternative(grid, column, sample))).CloseLine();
        }

        html.Close().CloseLine();
    }

    /// <summary>Thumbnails per row: a number near <paramref name="most"/> without a gap in the last row, if possible.</summary>
    private static int Across(int samples, int most)
    {
        for (var across = most; across >= Math.Max(2, most - 2); across--)
        {
            if (samples % across == 0)
                return across;
        }

        return most;
    }

    private static string Caption(PictureGrid grid, int sample) => $"{sample + 1} of {grid.Samples.Count}: {grid.Samples[sample]}";

    private static string Alternative(PictureGrid grid, PictureColumn column, int sample) => $"{grid.Samples[sample]}, {column.Name}";

    private static string Uri(PictureColumn column, int sample) =>
        column.Links?[sample] ?? "data:image/png;base64," + Convert.ToBase64String(column.Pictures[sample]);
}
