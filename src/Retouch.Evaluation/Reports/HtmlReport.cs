using System.Security.Cryptography;
using System.Text;

namespace Retouch.Evaluation.Reports;

/// <summary>
/// Renders a report as one self-contained HTML page with style, scripts, numbers and pictures; its content security policy forbids
/// external resources.
/// </summary>
public static class HtmlReport
{
    /// <summary>Renders the page. Equal documents give equal text on all machines.</summary>
    /// <param name="document">Content of the page.</param>
    /// <param name="live">
    /// Whether the page follows its server: it requests <c>version</c> every few seconds and, after a change, the page again. The policy
    /// then permits pictures and requests from that server.
    /// </param>
    /// <exception cref="ArgumentException">Lengths in the document differ; the message names the block.</exception>
    public static string Render(ReportDocument document, bool live = false)
    {
        ReportChecks.Check(document);
        var scripts = Scripts(live);
        var html = new HtmlWriter();
        html.Raw("<!DOCTYPE html>\n<!-- Charts are drawn by uPlot 1.6.32.\n").Raw(Asset("uPlot.LICENSE.txt").TrimEnd()).Raw("\n-->\n");
        html.Open("html", ("lang", "en")).Open("head").Raw("\n");
        html.Void("meta", ("charset", "utf-8")).Raw("\n");
        html.Void("meta", ("http-equiv", "Content-Security-Policy"), ("content", Policy(live))).Raw("\n");
        html.Void("meta", ("name", "viewport"), ("content", "width=device-width, initial-scale=1")).Raw("\n");
        html.Void("meta", ("name", "color-scheme"), ("content", "light dark")).Raw("\n");
        // Without it, browsers ask a live page's server for favicon.ico.
        if (live)
            html.Void("link", ("rel", "icon"), ("href", "data:,")).Raw("\n");
        html.Element("title", document.Title).Raw("\n");
        html.Open("style").Raw(Asset("uPlot.min.css")).Raw("\n").Raw(Asset("report.css")).CloseLine().CloseLine();
        html.Open("body").Raw("\n");
        Header(html, document);
        var blocks = new BlockHtml(html, new(document));
        html.Open("main").Raw("\n");
        for (var i = 0; i < document.Sections.Count; i++)
        {
            var heading = $"section-{i + 1}";
            html.Open("section", ("aria-labelledby", heading)).Element("h2", document.Sections[i].Title, ("id", heading)).Raw("\n");
            foreach (var block in document.Sections[i].Blocks)
                blocks.Write(block);
            html.CloseLine();
        }

        html.CloseLine();
        var origin =
            document.Origin
            ?? $"All numbers of this page are also in `{ReportWriter.JsonName}` and, as CSV, in `{ReportWriter.DataFolder}/` next to it.";
        html.Open("footer").Open("p").Marked(origin).Close().CloseLine();
        foreach (var script in scripts)
            html.Open("script").Raw(script).CloseLine();
        return html.CloseLine().CloseLine().ToString();
    }

    private static void Header(HtmlWriter html, ReportDocument document)
    {
        html.Open("header").Element("h1", document.Title);
        if (document.Subtitle is { } subtitle)
            html.Element("p", subtitle, ("class", "subtitle"));
        if (document.Verdict is { } verdict)
        {
            var (tone, sign, name) = verdict.Tone switch
            {
                VerdictTone.Better => ("better", "▲", "Better"),
                VerdictTone.Worse => ("worse", "▼", "Worse"),
                VerdictTone.Mixed => ("unclear", "◆", "Better in some, worse in others"),
                _ => ("unclear", "◆", "No clear difference"),
            };
            html.Open("div", ("class", "verdict " + tone))
                .Open("p", ("class", "tone"))
                .Element("span", sign, ("aria-hidden", "true"))
                .Text(" " + name)
                .Close();
            html.Open("p", ("class", "headline")).Marked(verdict.Headline).Close();
            if (verdict.Detail is { } detail)
                html.Open("p", ("class", "detail")).Marked(detail).Close();
            html.CloseLine();
        }

        if (document.Highlights.Count > 0)
        {
            html.Open("dl", ("class", "highlights"));
            foreach (var highlight in document.Highlights)
            {
                html.Open("div").Element("dt", highlight.Label).Element("dd", highlight.Value, ("class", "value"));
                if (highlight.Detail is { } detail)
                    html.Element("dd", detail, ("class", "detail"));
                html.Close();
            }

            html.CloseLine();
        }

        if (document.Arms.Count > 0)
        {
            var palette = new Palette(document);
            html.Open("ul", ("class", "arm-list"), ("aria-label", "Arms"));
            foreach (var arm in document.Arms)
                html.Open("li")
                    .Open("span", ("class", "name"))
                    .Swatch(palette.Find(arm.Name))
                    .Text(arm.Name)
                    .Close()
                    .Element("span", arm.Summary, ("class", "summary"))
                    .Close();
            html.CloseLine();
        }

        if (document.Sections.Count > 2)
        {
            html.Open("nav", ("aria-label", "Contents")).Open("ol");
            for (var i = 0; i < document.Sections.Count; i++)
                html.Open("li").Element("a", document.Sections[i].Title, ("href", $"#section-{i + 1}")).Close();
            html.Close().CloseLine();
        }

        html.CloseLine();
    }

    /// <summary>Content security policy of a page.</summary>
    /// <param name="live">See <see cref="Render"/>.</param>
    public static string Policy(bool live)
    {
        var hashes = Scripts(live).Select(script => $"'sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(script)))}'");
        var own = live ? " 'self'; connect-src 'self'" : "";
        return $"default-src 'none'; img-src data:{own}; style-src 'unsafe-inline'; script-src {string.Join(' ', hashes)}; "
            + "base-uri 'none'; form-action 'none'";
    }

    // A script element ends at the first "</script"; a test checks that the assets contain none.
    private static string[] Scripts(bool live) =>
        [Asset("uPlot.iife.min.js"), Asset("charts.js"), Asset("pictures.js"), .. live ? [Asset("live.js")] : Array.Empty<string>()];

    private static string Asset(string name)
    {
        using var stream =
            typeof(HtmlReport).Assembly.GetManifestResourceStream("Retouch.Evaluation.Reports.assets." + name)
            ?? throw new InvalidOperationException($"The resource '{name}' is missing in the assembly.");
        using var reader = new StreamReader(stream, Encoding.UTF8);
        // Browsers hash scripts after normalising line ends to LF.
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }
}
