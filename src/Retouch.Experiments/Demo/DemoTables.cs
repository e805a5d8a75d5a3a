using Retouch.Core.Formatting;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Reports;
using Retouch.Evaluation.Statistics;
using Retouch.Experiments.Measuring;

namespace Retouch.Experiments.Demo;

/// <summary>Results of a demo as tables.</summary>
internal static class DemoTables
{
    private static readonly (string Figure, string Header, Better Better)[] Whole =
    [
        ("fwd", "wavelet distance", Better.Lower),
        ("spectrum", "spectrum error", Better.Lower),
        ("spectrum.bias.high", "bias of high frequencies", Better.Neither),
        ("sharpness", "sharpness", Better.Neither),
    ];

    private static readonly (string Figure, string Header, Better Better)[] ByBand =
    [
        ("fwd.low", "wavelets, low", Better.Lower),
        ("fwd.mid", "middle", Better.Lower),
        ("fwd.high", "high", Better.Lower),
        ("spectrum.low", "spectrum, low", Better.Lower),
        ("spectrum.mid", "middle", Better.Lower),
        ("spectrum.high", "high", Better.Lower),
    ];

    /// <summary>Figures of all sets.</summary>
    public static ReportTable Quality(DemoMeasurement measured)
    {
        var bootstrap = measured.Arms.Protocol.Bootstrap;
        var real = measured.Arms.Sets[0].Of("sharpness").Reference ?? double.NaN;
        var psnr = measured.Reconstruction.Of("psnr");
        (string Figure, string Header, Better Better)[] network =
            measured.Decisive == "fwd"
                ? []
                :
                [
                    (measured.Decisive, FigureNames.Header(measured.Decisive), Better.Lower),
                    .. ((string[])["precision", "recall"]).Select(name =>
                        (measured.Decisive.Replace("fd", name, StringComparison.Ordinal), name, Better.Higher)
                    ),
                ];
        return Table("Results against held-out pictures", [.. network, .. Whole], measured) with
        {
            IntervalNote =
                $"is the half-width of the {Figures.Percent(bootstrap.Confidence)} bootstrap interval over the pictures of a row "
                + $"({Figures.Count(bootstrap.Resamples)} resamples); the held-out pictures are treated as fixed.",
            Note =
                "Spectrum error is the root mean square of log₁₀ of the ratio to the real spectrum; the bias is its mean over the "
                + "upper third of the frequencies, negative for missing fine detail. "
                + $"Sharpness is the variance of the Laplacian; the held-out pictures have {Figures.Significant(real)}. "
                + $"The autoencoder reconstructs the held-out pictures with {Figures.Significant(psnr.Value, 3)} dB PSNR (± "
                + $"{Figures.Significant(psnr.Half(), 2)}), an upper bound of all arms.",
        };
    }

    /// <summary>Figures by frequency band.</summary>
    public static ReportTable Bands(DemoMeasurement measured) =>
        Table("By frequency band", ByBand, measured) with
        {
            Note = "Wavelet distances of the packets, and spectrum errors of the rings, of the low, middle and high third.",
        };

    /// <summary>Paired differences to the arm with the diffusion loss only.</summary>
    public static ReportTable Differences(DemoMeasurement measured)
    {
        (string Figure, string Header)[] figures =
        [
            .. measured.Decisive == "fwd" ? [] : ((string, string)[])[(measured.Decisive, FigureNames.Header(measured.Decisive))],
            ("fwd", "wavelet distance"),
            ("spectrum", "spectrum error"),
            ("spectrum.high", "spectrum error, high band"),
        ];
        var rows = measured
            .Arms.Sets.Skip(1)
            .Select(set => new TableRow(
                set.Name,
                [.. figures.SelectMany(figure => Cells(measured.Arms.DifferenceOf(set.Name, figure.Figure)))]
            ));
        return new ReportTable(
            "Differences to latent only",
            "arm",
            [.. figures.SelectMany(static f => (TableColumn[])[new(f.Header), new("verdict")])],
            [.. rows]
        )
        {
            IntervalNote =
                "is the half-width of the 95 % interval of the difference, paired by seed and class, "
                + "so that common variation cancels.",
            Note = "Negative: closer to real pictures. \"not shown\": the interval contains 0.",
        };
    }

    /// <summary>Cost of each arm.</summary>
    public static ReportTable Cost(IReadOnlyList<ArmRun> runs) =>
        new(
            "Cost",
            "arm",
            [
                new("total") { Unit = "s", Decimals = 0 },
                new("per step") { Unit = "s", Decimals = 3 },
                new("per step, relative to latent only") { Unit = "×", Decimals = 2 },
                new("peak memory") { Unit = "MiB", Decimals = 0 },
            ],
            [
                .. runs.Select(run => new TableRow(
                    run.Arm.Name,
                    run.Phase.Seconds,
                    run.StepSeconds,
                    run.StepSeconds / runs[0].StepSeconds,
                    run.Phase.PeakBytes / 1048576.0
                )),
            ]
        )
        {
            Note =
                "The total includes encoding, checkpoints and saving; the time per step is a median. Peak memory is the maximum "
                + "resident memory of the process during the arm; cached blocks of earlier phases were released "
                + "before.",
        };

    private static ReportTable Table(string title, (string Figure, string Header, Better Better)[] columns, DemoMeasurement measured)
    {
        // Very small pictures have no packets in some bands.
        var present = columns.Where(column => measured.Arms.Sets[0].Figures.Any(figure => figure.Name == column.Figure)).ToArray();
        TableRow Row(string name, SetResult set, bool reference) =>
            new(name, [.. present.Select(column => TableCell.Of(set.Of(column.Figure).Value, set.Of(column.Figure).Half()))])
            {
                IsReference = reference,
            };

        List<TableRow> rows =
        [
            Row(DemoArm.Base.Name, measured.AgainstBefore.Sets[0], reference: true),
            .. measured.Arms.Sets.Select(set => Row(set.Name, set, reference: false)),
        ];
        if (measured.OtherReal is { } other)
            rows.Add(Row("real pictures (second set)", other, reference: true));
        rows.Add(Row("autoencoder reconstructions", measured.Reconstruction, reference: true));
        return new ReportTable(
            title,
            "pictures",
            [.. present.Select(static column => new TableColumn(column.Header, column.Better))],
            rows
        );
    }

    private static IEnumerable<TableCell> Cells(Difference? difference) =>
        difference is null
            ? [TableCell.Missing, TableCell.Missing]
            :
            [
                TableCell.Of(difference.Value, (difference.Interval.High - difference.Interval.Low) / 2),
                difference.Verdict switch
                {
                    Evaluation.Statistics.Verdict.Better => "closer",
                    Evaluation.Statistics.Verdict.Worse => "further",
                    var other => FigureNames.Said(other, VerdictRule.Smallest),
                },
            ];
}
