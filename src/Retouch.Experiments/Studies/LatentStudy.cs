using System.Globalization;
using Retouch.Core.Formatting;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Reports;
using Retouch.Evaluation.Studies;
using Retouch.Images;
using Retouch.Perception;
using Retouch.Torch;
using PictureGrid = Retouch.Evaluation.Reports.PictureGrid;

namespace Retouch.Experiments.Studies;

/// <summary>Study of interpolated pictures and latents, as a report.</summary>
public static class LatentStudy
{
    private const int Examples = 6;

    /// <summary>Errors of one interpolation.</summary>
    /// <param name="Space">Interpolated space: pictures or latents.</param>
    /// <param name="Interpolation">Interpolation method.</param>
    /// <param name="Factor">Scale factor.</param>
    /// <param name="Mse">Mean squared error of the pictures.</param>
    /// <param name="LatentMse">Mean squared error of the latents.</param>
    /// <param name="DecoderFeatureDistance">Distance of decoder features.</param>
    /// <param name="Lpips">LPIPS; null without its network.</param>
    public sealed record Row(
        string Space,
        string Interpolation,
        double Factor,
        double Mse,
        double LatentMse,
        double DecoderFeatureDistance,
        double? Lpips
    );

    /// <summary>Measures and builds the report.</summary>
    public static (ReportDocument Document, IReadOnlyList<Row> Result, Action<TextWriter> Text) Build(
        StudyMaterial material,
        IReadOnlyList<double> factors,
        PerceptualSimilarity? lpips,
        CancellationToken cancellation
    )
    {
        var results = LatentStructure.Measure(
            material.Images,
            material.Autoencoder,
            factors,
            Examples,
            lpips,
            material.Device,
            cancellation
        );
        Row[] rows =
        [
            .. results.Select(static r => new Row(
                r.Space.ToString().ToLowerInvariant(),
                r.Interpolation.ToString().ToLowerInvariant(),
                r.Factor,
                r.Mse,
                r.Latent,
                r.Features,
                r.Lpips
            )),
        ];
        TableColumn[] columns =
        [
            new("MSE of pictures", Better.Lower),
            new("MSE of latents", Better.Lower),
            new("decoder-feature distance", Better.Lower),
            .. lpips is null ? Array.Empty<TableColumn>() : [new TableColumn("LPIPS", Better.Lower)],
        ];
        var tables = factors.Select(factor => new ReportTable(
            $"Downsampled and upsampled by {Text(factor)}",
            "what, how",
            columns,
            [
                .. rows.Where(row => row.Factor == factor)
                    .Select(row => new TableRow(
                        $"{row.Space}, {row.Interpolation}",
                        [
                            row.Mse,
                            row.LatentMse,
                            row.DecoderFeatureDistance,
                            .. row.Lpips is { } l ? [(TableCell)l] : Array.Empty<TableCell>(),
                        ]
                    )),
            ]
        )
        {
            Note =
                "MSE of pictures in [−1, 1]: against the original for interpolated pictures, against the decoding of the original latent "
                + "for interpolated latents. MSE of latents: in latent space, after encoding for interpolated pictures, against the "
                + "original latent. The decoder-feature distance compares the channel-normalised features of all taps of the "
                + "autoencoder's own decoder; it has the form of LPIPS with another network, and its values are "
                + "not comparable with LPIPS.",
        });
        using var scope = TensorScope.Enter();
        var originals = PictureTensors.ToPictures(material.Images.Narrow(0, 0, Math.Min(Examples, material.Images.Shape[0])).Contiguous());
        string[] names = [.. originals.Select(static (_, k) => $"picture {k + 1}")];
        static byte[] Png(Picture p) => PictureFile.Encode(p, PictureFormat.Png);
        var grids = results
            .GroupBy(static r => (r.Space, r.Factor))
            .Select(group => new PictureGrid(
                $"{group.Key.Space}, {Text(group.Key.Factor)}×",
                names,
                [
                    new PictureColumn("original", [.. originals.Select(Png)]),
                    .. group.Select(r => new PictureColumn(r.Interpolation.ToString().ToLowerInvariant(), [.. r.Examples.Select(Png)])),
                ]
            ));
        var document = new ReportDocument(
            "Interpolated pictures and interpolated latents",
            [
                new ReportSection(
                    "Method",
                    new Prose(
                        "Pictures were downsampled and upsampled; the same operation was applied to their latents, which were then "
                            + "decoded. If latents were downsampled pictures, both errors would be equal."
                    )
                ),
                new ReportSection("Errors", [.. tables]),
                new ReportSection("Pictures", [.. grids]),
                new ReportSection("Protocol", material.Protocol([])),
            ]
        )
        {
            Subtitle = material.Subtitle,
        };
        return (
            document,
            rows,
            writer =>
            {
                var table = new ColumnTable(
                    writer,
                    ("", -26),
                    ("squared error", 16),
                    ("in latents", 14),
                    ("decoder features", 18),
                    (lpips is null ? "" : "LPIPS", 10)
                );
                foreach (var row in rows)
                    table.Row(
                        $"{row.Space}, {row.Interpolation}, {Text(row.Factor)}x",
                        Figures.Significant(row.Mse, 3),
                        Figures.Significant(row.LatentMse, 3),
                        Figures.Significant(row.DecoderFeatureDistance, 3),
                        row.Lpips is { } l ? Figures.Significant(l, 3) : ""
                    );
            }
        );
    }

    private static string Text(double factor) => factor.ToString(CultureInfo.InvariantCulture);
}
