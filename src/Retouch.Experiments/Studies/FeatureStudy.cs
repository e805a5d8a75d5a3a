using Retouch.Core.Formatting;
using Retouch.Evaluation.Reports;
using Retouch.Evaluation.Studies;
using Retouch.Images;
using Retouch.Torch;
using PictureGrid = Retouch.Evaluation.Reports.PictureGrid;

namespace Retouch.Experiments.Studies;

/// <summary>Feature maps of a decoder as pictures.</summary>
public static class FeatureStudy
{
    private const int Shown = 4;

    /// <summary>Outliers of a feature map.</summary>
    /// <param name="Picture">Index of the picture.</param>
    /// <param name="Tap">Index of the tap.</param>
    /// <param name="Channel">Index of the channel.</param>
    /// <param name="Outliers">Fraction of outliers.</param>
    public sealed record Row(int Picture, int Tap, int Channel, double Outliers);

    /// <summary>Renders the maps and builds the report.</summary>
    public static (ReportDocument Document, IReadOnlyList<Row> Result, Action<TextWriter> Text) Build(StudyMaterial material, int channels)
    {
        var taps = material.Autoencoder.Taps;
        int[] all = [.. Enumerable.Range(0, taps.Count)];
        channels = Math.Min(channels, taps.Min(static t => t.Channels));
        List<ReportBlock> grids = [];
        List<Row> rows = [];
        for (var k = 0; k < Math.Min(Shown, material.Images.Shape[0]); k++)
        {
            using var scope = TensorScope.Enter();
            var image = material.Images.Narrow(0, k, 1).Contiguous();
            var original = PictureFile.Encode(PictureTensors.ToPictures(image)[0], PictureFormat.Png);
            var maps = FeatureMaps.Draw(image, material.Autoencoder, all, channels, material.Device);
            rows.AddRange(maps.Select(m => new Row(k + 1, m.Tap, m.Channel, m.Outliers)));
            grids.Add(
                new PictureGrid(
                    $"Picture {k + 1}",
                    [
                        .. Enumerable
                            .Range(0, channels)
                            .Select(static c =>
                                c == 0 ? "channel with the most outliers" : $"channel with the {Ordinal(c + 1)} most outliers"
                            ),
                    ],
                    [
                        new PictureColumn("picture", [.. Enumerable.Repeat(original, channels)]),
                        .. all.Select(t => new PictureColumn(
                            $"tap {t}",
                            [.. maps.Where(m => m.Tap == t).Select(static m => PictureFile.Encode(m.Map, PictureFormat.Png))]
                        )),
                    ]
                )
            );
        }

        var document = new ReportDocument(
            "Feature maps of the decoder",
            [
                new ReportSection(
                    "Taps",
                    new ReportTable(
                        "Outliers of the shown maps",
                        "tap",
                        [
                            new("channels"),
                            new("scale (latent = 1)"),
                            new("outliers, mean") { Unit = "%" },
                            new("outliers, most") { Unit = "%" },
                        ],
                        [
                            .. all.Select(t => new TableRow(
                                $"tap {t}",
                                taps[t].Channels,
                                taps[t].Scale,
                                100 * rows.Where(r => r.Tap == t).Average(static r => r.Outliers),
                                100 * rows.Where(r => r.Tap == t).Max(static r => r.Outliers)
                            )),
                        ]
                    )
                    {
                        Note = string.Join("; ", taps.Select(static (t, k) => $"tap {k} is {t.Name}")) + ".",
                    }
                ),
                new ReportSection(
                    "Maps",
                    [
                        new Prose(
                            "Grey levels from the 1st to the 99th percentile of each map; **red** pixels are outliers by the rule of the "
                                + "loss (two deviations beyond the 2nd and the 98th percentile), before its windows. Constant maps are "
                                + "grey."
                        ),
                        .. grids,
                    ]
                ),
                new ReportSection(
                    "Protocol",
                    material.Protocol([new("Channels", $"{channels} per tap and picture, with the most outliers")])
                ),
            ]
        )
        {
            Subtitle = material.Subtitle,
        };
        static string Ordinal(int n) =>
            n switch
            {
                2 => "2nd",
                3 => "3rd",
                _ => $"{n}th",
            };
        return (
            document,
            rows,
            writer =>
            {
                foreach (var tap in rows.GroupBy(static r => r.Tap))
                    writer.WriteLine(
                        $"tap {tap.Key}: outliers in the {channels} worst channels "
                            + $"{Figures.Percent(tap.Average(static r => r.Outliers))} on average"
                    );
            }
        );
    }
}
