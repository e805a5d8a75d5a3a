using Retouch.Evaluation;
using Retouch.Reports;
using Retouch.Training.Telemetry;

namespace Retouch.Cli.Demo;

/// <summary>The numbers of a demo as tables.</summary>
internal static class DemoTables
{
    private static readonly (string Figure, string Header, Better Better)[] Columns =
    [
        ("fwd", "Fréchet wavelet distance", Better.Lower), ("fwd.low", "its low band", Better.Lower), ("fwd.mid", "middle", Better.Lower), ("fwd.high", "high", Better.Lower),
        ("spectrum", "spectrum error", Better.Lower), ("spectrum.low", "low", Better.Lower), ("spectrum.mid", "middle", Better.Lower), ("spectrum.high", "high", Better.Lower),
        ("sharpness", "sharpness", Better.Neither),
    ];

    /// <summary>Every set's figures.</summary>
    public static ReportTable Quality(DemoMeasurement measured)
    {
        var present = Columns.Where(column => measured.Arms.Sets[0].Figures.Any(figure => figure.Name == column.Figure)).ToArray();
        TableRow Row(string name, SetResult set, bool reference) =>
            new(name, [.. present.Select(column => TableCell.Of(set.Of(column.Figure).Value, set.Of(column.Figure).Half()))]) { IsReference = reference };

        List<TableRow> rows = [Row(DemoArm.Base.Name, measured.AgainstBefore.Sets[0], reference: true), .. measured.Arms.Sets.Select(set => Row(set.Name, set, reference: false))];
        if (measured.OtherReal is { } other)
            rows.Add(Row("other real pictures", other, reference: true));
        rows.Add(Row("held-out, through the autoencoder", measured.Reconstruction, reference: true));
        var bootstrap = measured.Arms.Protocol.Bootstrap;
        var real = measured.Arms.Sets[0].Of("sharpness").Reference;
        return new ReportTable("Against the held-out pictures", "pictures", [.. present.Select(static column => new TableColumn(column.Header, column.Better))], rows)
        {
            IntervalNote = $"± is half the width of the {Figures.Percent(bootstrap.Confidence)} bootstrap interval over the pictures of a row ({Figures.Count(bootstrap.Resamples)} resamples); the held-out pictures count as fixed.",
            Note = $"Spectrum errors are root mean squares of log₁₀ of the ratio to the real spectrum. Sharpness is the variance of the Laplacian; the held-out pictures have {Figures.Significant(real ?? double.NaN)}. "
                + $"The autoencoder gives the held-out pictures back at {Figures.Significant(measured.Reconstruction.Of("psnr").Value, 3)} dB (± {Figures.Significant(measured.Reconstruction.Of("psnr").Half(), 2)}): no arm can be finer than it.",
        };
    }

    /// <summary>The paired differences to the latent loss alone.</summary>
    public static ReportTable Differences(DemoMeasurement measured)
    {
        string[] figures = ["fwd", "fwd.high", "spectrum", "spectrum.high"];
        var rows = measured.Arms.Sets.Skip(1).Select(set => new TableRow(set.Name, [.. figures.SelectMany(figure => Cells(measured.Arms.DifferenceOf(set.Name, figure)))])).ToArray();
        var names = figures.Select(figure => Columns.First(column => column.Figure == figure)).Select(static c => c.Figure.EndsWith(".high", StringComparison.Ordinal)
            ? (c.Figure.StartsWith("fwd", StringComparison.Ordinal) ? "wavelet distance, high band" : "spectrum error, high band") : c.Header);
        return new ReportTable("Difference to the latent loss alone", "arm", [.. names.SelectMany(static name => (TableColumn[])[new(name), new("95 % interval"), new("that is")])], rows)
        {
            IntervalNote = "Paired: the same seeds and classes are drawn together, so that what the pictures share cancels. Below 0 is closer to real pictures.",
        };
    }

    /// <summary>What each arm cost.</summary>
    public static ReportTable Cost(IReadOnlyList<ArmRun> runs) => new(
        "What it cost", "arm", [new("whole run") { Unit = "s", Decimals = 0 }, new("a step") { Unit = "s", Decimals = 3 }, new("a step, of latent only") { Unit = "×", Decimals = 2 }, new("peak memory") { Unit = "MiB", Decimals = 0 }],
        [.. runs.Select(run => new TableRow(run.Arm.Name, run.Phase.Seconds, run.StepSeconds, run.StepSeconds / runs[0].StepSeconds, run.Phase.PeakBytes / 1048576.0))])
    {
        Note = "The whole run includes encoding the pictures, checkpoints and saving; a step is the median. Peak memory is the most this process had resident during the arm, everything included; what earlier work left for reuse was given back before.",
    };

    private static IEnumerable<TableCell> Cells(Difference? difference) => difference is null
        ? [TableCell.Missing, TableCell.Missing, TableCell.Missing]
        :
        [
            difference.Value, $"{Figures.Significant(difference.Interval.Low, 3)} to {Figures.Significant(difference.Interval.High, 3)}",
            difference.Verdict switch { Evaluation.Verdict.Better => "closer", Evaluation.Verdict.Worse => "further", _ => "not shown" },
        ];
}
