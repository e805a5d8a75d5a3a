using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Retouch.Evaluation.Reports;

namespace Retouch.Tests.Evaluation.Reports;

public sealed class HtmlReportTests
{
    private static readonly ReportDocument Document = SampleReport.Create();
    private static readonly string Html = HtmlReport.Render(Document);
    private static readonly XDocument Page = Parse(Html);

    [Fact]
    public void Rendering_is_deterministic() => Assert.Equal(Html, HtmlReport.Render(SampleReport.Create()));

    [Fact]
    public void The_page_is_self_contained()
    {
        var references = Page.Descendants()
            .Attributes()
            .Where(attribute => attribute.Name.LocalName is "src" or "href" or "srcset" or "data" or "poster" or "action" or "formaction")
            .ToArray();
        Assert.NotEmpty(references);
        Assert.All(references, attribute => Assert.Matches("^(data:image/png;base64,|#section-)", attribute.Value));
        Assert.DoesNotContain(Page.Descendants(), element => element.Name.LocalName is "link" or "iframe" or "object" or "embed" or "base");
        Assert.DoesNotMatch(@"url\s*\(|@import", string.Concat(Page.Descendants("style").Select(style => style.Value)));
    }

    [Fact]
    public void The_policy_permits_only_the_scripts_of_the_page()
    {
        var policy = Page.Descendants("meta")
            .Single(meta => (string?)meta.Attribute("http-equiv") == "Content-Security-Policy")
            .Attribute("content")!
            .Value;
        Assert.StartsWith("default-src 'none'; img-src data:;", policy, StringComparison.Ordinal);
        var scripts = Regex
            .Matches(Html, "<script>(?<text>.*?)</script>", RegexOptions.Singleline | RegexOptions.ExplicitCapture)
            .Select(match => match.Groups["text"].Value)
            .ToArray();
        Assert.Equal(3, scripts.Length);
        var hashes = scripts.Select(script => $"'sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(script)))}'");
        Assert.Contains("script-src " + string.Join(' ', hashes) + ";", policy, StringComparison.Ordinal);
    }

    [Fact]
    public void Any_content_is_escaped()
    {
        const string Hostile = SampleReport.Hostile;
        KeyValuePair<string, string> pair = new(Hostile, Hostile);
        var document = new ReportDocument(
            Hostile,
            [
                new(
                    Hostile,
                    new Prose(Hostile),
                    new KeyValues(Hostile, pair),
                    new CodeBlock(Hostile, Hostile),
                    new CodeBlock(Hostile, Hostile, Collapsed: true),
                    new ReportTable(Hostile, Hostile, [new(Hostile) { Unit = Hostile }], [new(Hostile, Hostile)])
                    {
                        Note = Hostile,
                        IntervalNote = Hostile,
                    },
                    new LineChart(Hostile, new(Hostile), new(Hostile), [new(Hostile, [1], [1])]) { Note = Hostile },
                    new BarChart(Hostile, Hostile, [Hostile], [new(Hostile, [1])]) { Note = Hostile },
                    new PictureGrid(
                        Hostile,
                        [Hostile],
                        [new(Hostile, [Retouch.Tests.Training.Telemetry.TestPng.Encode(1, 1, (_, _) => default)])]
                    )
                    {
                        Note = Hostile,
                    }
                ),
            ]
        )
        {
            Subtitle = Hostile,
            Verdict = new(VerdictTone.Unclear, Hostile, Hostile),
            Highlights = [new(Hostile, Hostile, Hostile)],
            Arms = [new(Hostile, Hostile)],
        };
        var html = HtmlReport.Render(document);
        Assert.DoesNotContain("<img src=x", html, StringComparison.Ordinal);
        var page = Parse(html);
        Assert.DoesNotContain(
            page.Descendants().Attributes(),
            attribute => attribute.Name.LocalName.StartsWith("on", StringComparison.Ordinal)
        );
        Assert.Equal(Hostile, page.Descendants("h1").Single().Value);
        Assert.Equal(3 + 1, Regex.Count(html, "</script>", RegexOptions.CultureInvariant));
    }

    [Fact]
    public void Control_characters_are_replaced()
    {
        var html = HtmlReport.Render(new("a\0b\u0008\uD800c", []));
        Assert.Contains("<h1>a\uFFFDb\uFFFD\uFFFDc</h1>", html, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_line_chart_contains_its_points()
    {
        var charts = ReportChecks.Blocks(Document).OfType<LineChart>().ToArray();
        var data = Page.Descendants("script")
            .Where(script => (string?)script.Attribute("type") == "application/json")
            .Select(script => JsonDocument.Parse(script.Value).RootElement)
            .ToArray();
        Assert.Equal(charts.Length, data.Length);
        foreach (var (chart, drawn) in charts.Zip(data))
        {
            Assert.Equal(
                chart.Series.Select(series => series.Name),
                drawn.GetProperty("series").EnumerateArray().Select(series => series.GetProperty("name").GetString())
            );
            foreach (var (series, points) in chart.Series.Zip(drawn.GetProperty("series").EnumerateArray()))
            {
                Assert.Equal(series.X, Numbers(points, "x"));
                Assert.All(series.Y.Zip(Numbers(points, "y")), pair => Assert.Equal(pair.First, pair.Second, Math.Abs(pair.First) * 1e-5));
                Assert.Equal(series.Low is not null, points.TryGetProperty("low", out _));
                Assert.Equal(chart.Smoothing > 0, points.TryGetProperty("smooth", out _));
                Assert.Equal(chart.Stacked, points.TryGetProperty("top", out _));
            }
        }
    }

    [Fact]
    public void Undrawable_points_are_gaps_with_a_note()
    {
        var chart = new LineChart("c", new("x"), new("y", Log: true), [new("a", [1, 2, 3, 4], [1, 0, double.NaN, 2])]);
        var html = HtmlReport.Render(new("t", [new("s", chart)]));
        Assert.Contains("\"y\":[1,null,null,2]", html, StringComparison.Ordinal);
        Assert.Contains("shown as gaps: 1. Non-positive points, not shown on the logarithmic axis: 1.", html, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_picture_is_embedded_with_an_alternative_text()
    {
        var grid = ReportChecks.Blocks(Document).OfType<PictureGrid>().Single();
        var images = Page.Descendants("img").ToArray();
        var sources = images.Select(image => image.Attribute("src")!.Value).ToHashSet();
        Assert.All(
            grid.Columns.SelectMany(column => column.Pictures),
            png => Assert.Contains("data:image/png;base64," + Convert.ToBase64String(png), sources)
        );
        Assert.All(images, image => Assert.False(string.IsNullOrWhiteSpace((string?)image.Attribute("alt"))));
        Assert.Equal(grid.Columns.Count * (grid.Samples.Count + 1), images.Length);
    }

    [Fact]
    public void Tables_have_headers_and_mark_the_best_by_a_symbol()
    {
        var table = Page.Descendants("table").Single();
        Assert.Equal("Results on 512 pictures per arm", table.Element("caption")!.Value);
        Assert.All(table.Descendants("th"), header => Assert.Contains((string?)header.Attribute("scope"), (string[])["col", "row"]));
        var best = table.Descendants("tr").Single(row => row.Element("th")!.Value == SampleReport.Perceptual);
        Assert.Equal("1.096\u202F±\u202F0.038●", best.Elements("td").First().Value);
        Assert.Equal("1.970\u202F±\u202F0.090○", best.Elements("td").ElementAt(1).Value);
    }

    [Fact]
    public void An_arm_has_one_color_throughout_the_report()
    {
        var colors = Page.Descendants("i")
            .Where(mark =>
                ((string?)mark.Attribute("class"))?.StartsWith("swatch s", StringComparison.Ordinal) == true
                && mark.Parent!.Value == SampleReport.Perceptual
            )
            .Select(mark => mark.Attribute("class")!.Value)
            .ToArray();
        Assert.True(colors.Length >= 5);
        Assert.Equal("swatch s1", Assert.Single(colors.Distinct()));
    }

    [Fact]
    public void Colors_have_sufficient_contrast_in_light_and_dark_mode()
    {
        // WCAG 2.2: 4.5 for text (1.4.3), 3 for graphics (1.4.11).
        var themes = Regex
            .Matches(Page.Descendants("style").Single().Value, @":root[^{]*\{(?<rules>[^}]*)\}", RegexOptions.ExplicitCapture)
            .Select(match => match.Groups["rules"].Value)
            .ToArray();
        Assert.Equal(2, themes.Length);
        foreach (var theme in themes)
        {
            foreach (var name in (string[])["ink", "muted", "accent", "good", "bad", "even"])
                Assert.True(Contrast(theme, name, "paper") >= 4.5, $"{name}: {Contrast(theme, name, "paper")}");
            for (var slot = 0; slot < Palette.Colors; slot++)
                Assert.True(Contrast(theme, $"s{slot}", "paper") >= 3, $"s{slot}: {Contrast(theme, $"s{slot}", "paper")}");
        }
    }

    [Fact]
    public void Inconsistent_blocks_are_reported()
    {
        ReportBlock[] faulty =
        [
            new ReportTable("Broken", "r", [new("a"), new("b")], [new("row", 1.0)]),
            new LineChart("Broken", new("x"), new("y"), []),
            new LineChart("Broken", new("x"), new("y"), [new("a", [1, 2], [1])]),
            new LineChart("Broken", new("x"), new("y"), [new("a", [2, 1], [1, 1])]),
            new LineChart("Broken", new("x"), new("y"), [new("a", [1], [1]) { Low = [0] }]),
            new LineChart("Broken", new("x"), new("y"), [new("a", [1], [1])]) { Smoothing = 1 },
            new LineChart("Broken", new("x"), new("y"), [new("a", [1], [1]), new("b", [2], [1])]) { Stacked = true },
            new BarChart("Broken", "u", ["a", "b"], [new("s", [1])]),
            new PictureGrid("Broken", ["a"], [new("s", [])]),
            new PictureGrid(
                "Broken",
                ["a"],
                [
                    new(
                        "s",
                        [
                            [1, 2, 3],
                        ]
                    ),
                ]
            ),
        ];
        Assert.All(
            faulty,
            block =>
                Assert.Contains(
                    "'Broken'",
                    Assert.Throws<ArgumentException>(() => HtmlReport.Render(new("t", [new("s", new BlockRow(block))]))).Message,
                    StringComparison.Ordinal
                )
        );
    }

    private static double Contrast(string theme, string first, string second)
    {
        var (a, b) = (Luminance(first), Luminance(second));
        return (Math.Max(a, b) + 0.05) / (Math.Min(a, b) + 0.05);

        double Luminance(string name)
        {
            var hex = Regex.Match(theme, $"--{name}: #(?<hex>[0-9a-f]{{6}});", RegexOptions.ExplicitCapture).Groups["hex"].Value;
            var channels = Convert
                .FromHexString(hex)
                .Select(value => value / 255.0)
                .Select(c => c <= 0.04045 ? c / 12.92 : Math.Pow((c + 0.055) / 1.055, 2.4))
                .ToArray();
            return (0.2126 * channels[0]) + (0.7152 * channels[1]) + (0.0722 * channels[2]);
        }
    }

    private static double[] Numbers(JsonElement points, string name) =>
        [.. points.GetProperty(name).EnumerateArray().Select(value => value.GetDouble())];

    /// <summary>The page as XML: the contents of scripts and styles are wrapped in CDATA.</summary>
    private static XDocument Parse(string html) =>
        XDocument.Parse(
            Regex
                .Replace(
                    html,
                    "(?<open><(?<tag>style|script)[^>]*>)(?<text>.*?)(?<close></\\k<tag>>)",
                    "${open}<![CDATA[${text}]]>${close}",
                    RegexOptions.Singleline | RegexOptions.ExplicitCapture
                )
                .Replace("<!DOCTYPE html>", "", StringComparison.Ordinal)
        );
}
