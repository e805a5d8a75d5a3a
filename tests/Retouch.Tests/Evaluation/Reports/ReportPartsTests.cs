using System.Text.Json;
using Retouch.Evaluation.Reports;

namespace Retouch.Tests.Evaluation.Reports;

public sealed class ReportPartsTests
{
    [Fact]
    public void The_best_is_marked_if_intervals_are_disjoint()
    {
        Assert.Equal("-●--", Marks(Better.Lower, (1.4, 0.1), (1.0, 0.1), (1.3, 0.1), (9, 0.1)));
        Assert.Equal("-○○-", Marks(Better.Lower, (1.4, 0.1), (1.0, 0.1), (1.15, 0.1), (9, 0.1)));
        Assert.Equal("---●", Marks(Better.Higher, (1.4, 0.1), (1.0, 0.1), (1.3, 0.1), (9, 0.1)));
    }

    [Fact]
    public void Columns_without_a_direction_have_no_marks()
    {
        Assert.Equal("--", Marks(Better.Neither, (1, null), (2, null)));
        Assert.Equal("-", Marks(Better.Lower, (1, null)));
        Assert.Equal("--", Marks(Better.Lower, (2, null), (2, null)));
        Assert.Equal("--", Marks(Better.Lower, (1, 5), (2, 5)));
        Assert.Equal("○○-", Marks(Better.Lower, (2, null), (2, null), (3, null)));
        Assert.Equal("-●-", Marks(Better.Lower, (double.NaN, null), (2, null), (3, null)));
    }

    [Fact]
    public void References_are_never_marked()
    {
        var table = new ReportTable(
            "t",
            "r",
            [new("a", Better.Lower)],
            [new("real", 0.1) { IsReference = true }, new("x", 1.0), new("y", 2.0)]
        );
        Assert.Equal([CellMark.None, CellMark.Best, CellMark.None], TableMarks.Of(table, 0));
    }

    [Theory]
    [InlineData(new[] { 1.4231, 0.0412 }, new[] { 0.041, 0.0031 }, 4)]
    [InlineData(new[] { 212.44, 339.91 }, new double[0], 1)]
    [InlineData(new[] { 812.0, 1204 }, new double[0], 0)]
    [InlineData(new[] { 25000.3, 1 }, new[] { 120.0 }, 0)]
    [InlineData(new[] { 0.5, 0.25 }, new double[0], 4)]
    [InlineData(new[] { 0.0, 0 }, new double[0], 0)]
    [InlineData(new[] { 2e-5, 1e-6 }, new double[0], null)]
    public void Decimals_follow_the_smallest_interval_or_four_digits(double[] values, double[] halves, int? expected)
    {
        var rows = values.Select((value, i) => new TableRow("r", TableCell.Of(value, i < halves.Length ? halves[i] : null))).ToArray();
        Assert.Equal(expected, TableMarks.Decimals(new("t", "r", [new("a")], rows), 0));
    }

    [Fact]
    public void Smoothing_is_a_weighted_mean_that_skips_gaps()
    {
        var smoothed = ChartCurves.Smooth([4, 2, double.NaN, 8], 0.5);
        Assert.Equal(4, smoothed[0], 12);
        Assert.Equal(((0.5 * 4) + 2) / 1.5, smoothed[1], 12);
        Assert.True(double.IsNaN(smoothed[2]));
        Assert.Equal(((0.25 * 4) + (0.5 * 2) + 8) / 1.75, smoothed[3], 12);
        Assert.Equal([5.0, 5, 5], ChartCurves.Smooth([5, 5, 5], 0.99).Select(value => Math.Round(value, 12)));
    }

    [Fact]
    public void Thinning_keeps_ends_peaks_and_gaps()
    {
        var values = Enumerable.Range(0, 50_000).Select(i => Math.Sin(i / 900.0)).ToArray();
        values[31_234] = 50;
        values[777] = -50;
        values[20_001] = double.NaN;
        var kept = ChartCurves.Thin(values, 400);
        Assert.InRange(kept.Length, 200, 404);
        Assert.Superset(new HashSet<int> { 0, 777, 20_001, 31_234, 49_999 }, kept.ToHashSet());
        Assert.Equal(kept.Order(), kept);
        Assert.Equal([0, 1, 2], ChartCurves.Thin([1, 2, 3], 3));
    }

    [Fact]
    public void Stacking_is_the_cumulative_sum() =>
        Assert.Equal(
            [
                [1, 2],
                [11, 22],
            ],
            ChartCurves.Stack([new("a", [0, 1], [1, 2]), new("b", [0, 1], [10, 20])])
        );

    [Fact]
    public void The_files_contain_the_numbers_of_the_page()
    {
        using var folder = new TemporaryFolder();
        var files = ReportWriter.Write(SampleReport.Create(), folder.Path);

        Assert.Equal(HtmlReport.Render(SampleReport.Create()), File.ReadAllText(files.Html));
        Assert.Equal(
            [
                "01-results-on-512-pictures-per-arm.csv",
                "02-radial-power-spectrum.csv",
                "03-spectrum-error-by-band.csv",
                "04-latent-term-while-training.csv",
                "05-terms-of-latent-perceptual.csv",
            ],
            files.Csv.Select(Path.GetFileName)
        );
        var table = File.ReadAllLines(files.Csv[0]);
        Assert.Equal(
            "Arm,Fréchet wavelet distance,Fréchet wavelet distance ±,Spectrum error (dB),Spectrum error (dB) ±,Sharpness (of real "
                + "pictures),Sharpness (of real pictures) ±,Time per step (ms),Memory (MiB)",
            table[0]
        );
        Assert.Equal("+ latent perceptual,1.0958,0.0377,1.97,0.09,0.871,0.02,339.9,1204", table[3]);
        Assert.Equal("Real pictures,0.0412,0.0031,0.21,0.04,1,0.02,,", table[1]);
        Assert.Equal("category,series,\"mean log power against real pictures, dB\",±", File.ReadLines(files.Csv[2]).First());
        Assert.Equal(1 + (3 * 400), File.ReadLines(files.Csv[3]).Count());

        using var json = JsonDocument.Parse(File.ReadAllText(files.Json));
        Assert.Equal(4, json.RootElement.GetProperty("sections").GetArrayLength());
        var losses = json.RootElement.GetProperty("sections")[2].GetProperty("blocks")[0].GetProperty("blocks")[0];
        Assert.Equal("Latent term while training", losses.GetProperty("title").GetString());
        Assert.Equal(400, losses.GetProperty("series")[1].GetProperty("y").GetArrayLength());
        Assert.Equal("report-data/02-radial-power-spectrum.csv", json.RootElement.GetProperty("csv")[1].GetString());
    }

    [Fact]
    public void A_sample_report_is_written_for_inspection()
    {
        var files = ReportWriter.Write(SampleReport.Create(), Path.Combine(AppContext.BaseDirectory, "sample-report"));
        Assert.StartsWith("<!DOCTYPE html>", File.ReadAllText(files.Html), StringComparison.Ordinal);
    }

    [Fact]
    public void Json_has_names_for_non_finite_numbers()
    {
        var json = ReportJson.Of(
            new("t", [new("s", new BarChart("b", "u", ["c", "d"], [new("x", [double.NaN, double.NegativeInfinity])]))]),
            []
        );
        using var parsed = JsonDocument.Parse(json);
        var values = parsed.RootElement.GetProperty("sections")[0].GetProperty("blocks")[0].GetProperty("series")[0].GetProperty("values");
        Assert.Equal(["NaN", "-Infinity"], values.EnumerateArray().Select(value => value.GetString()));
    }

    [Theory]
    [InlineData("Fréchet distance ↓ (all)", "fr-chet-distance-all")]
    [InlineData("../../etc/passwd", "etc-passwd")]
    [InlineData("→", "untitled")]
    public void Slug_is_a_safe_file_name(string title, string expected) => Assert.Equal(expected, ReportWriter.Slug(title));

    [Theory]
    [InlineData("a `b < c` d", "a <code>b &lt; c</code> d")]
    [InlineData("**so** it is", "<strong>so</strong> it is")]
    [InlineData("3 ** 2 and a ` alone", "3 ** 2 and a ` alone")]
    [InlineData("2 * 3 * 4", "2 * 3 * 4")]
    [InlineData("", "")]
    [InlineData("````", "````")]
    public void Code_and_strong_marks_are_interpreted(string text, string expected) =>
        Assert.Equal(expected, new HtmlWriter().Marked(text).ToString());

    private static string Marks(Better better, params (double Value, double? Half)[] cells)
    {
        var rows = cells.Select(cell => new TableRow("r", TableCell.Of(cell.Value, cell.Half))).ToArray();
        var marks = TableMarks.Of(new("t", "r", [new("a", better)], rows), 0);
        return string.Concat(
            marks.Select(mark =>
                mark switch
                {
                    CellMark.Best => '●',
                    CellMark.AmongBest => '○',
                    _ => '-',
                }
            )
        );
    }
}
