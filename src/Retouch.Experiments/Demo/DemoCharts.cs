using Retouch.Evaluation.Frequency;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Reports;
using Retouch.Training.Telemetry;

namespace Retouch.Experiments.Demo;

/// <summary>Charts of a demo.</summary>
internal static class DemoCharts
{
    private const double Smoothing = 0.9;
    private static readonly string[] Bands = ["low", "mid", "high"];

    /// <summary>Diffusion loss of all arms, their common term.</summary>
    public static LineChart LatentLoss(IReadOnlyList<ArmRun> runs) =>
        new(
            "Diffusion loss",
            new ChartAxis("step"),
            new ChartAxis("loss"),
            [.. runs.Select(run => Series(run, "loss/latent/raw", run.Arm.Name))]
        )
        {
            Smoothing = Smoothing,
            Note = "All arms use the same pictures, noise and timesteps at each step, so that fluctuations coincide.",
        };

    /// <summary>Unweighted decoded term of each arm with one.</summary>
    public static IEnumerable<LineChart> DecodedLosses(IReadOnlyList<ArmRun> runs) =>
        runs.Where(static run => Term(run.Arm) is not null)
            .Select(static run => new LineChart(
                $"{run.Arm.Name}: decoded term, unweighted",
                new ChartAxis("step"),
                new ChartAxis("loss"),
                [Series(run, $"loss/{Term(run.Arm)}/raw", run.Arm.Name)]
            )
            {
                Smoothing = Smoothing,
            });

    /// <summary>Share of each term in the total loss, for arms with two terms.</summary>
    public static IEnumerable<LineChart> Shares(IReadOnlyList<ArmRun> runs) =>
        runs.Where(static run => Term(run.Arm) is not null)
            .Select(static run => new LineChart(
                $"{run.Arm.Name}: shares of the loss",
                new ChartAxis("step"),
                new ChartAxis("share of the total loss"),
                [Series(run, "loss/latent/share", "latent term"), Series(run, $"loss/{Term(run.Arm)}/share", run.Arm.Name)]
            )
            {
                Stacked = true,
            });

    /// <summary>Gradient ratio of the decoded term.</summary>
    public static LineChart? GradientRatio(IReadOnlyList<ArmRun> runs)
    {
        ChartSeries[] series =
        [
            .. runs.Where(static run => Term(run.Arm) is not null)
                .Select(static run => Series(run, $"{Term(run.Arm)}/gradient_ratio", run.Arm.Name))
                .Where(static s => s.X.Count > 0),
        ];
        return series.Length == 0
            ? null
            : new LineChart(
                "Gradient ratio of the decoded term",
                new ChartAxis("step"),
                new ChartAxis("relative to the diffusion loss", Log: true),
                series
            )
            {
                Smoothing = Smoothing,
                Note =
                    "Gradient norm of the weighted term at the network's output, relative to that of the diffusion loss. LPL has no "
                    + "value at steps without a sample below its noise gate.",
            };
    }

    /// <summary>Mean radial power spectra.</summary>
    public static LineChart Spectra(DemoMeasurement measured)
    {
        List<ChartSeries> series =
        [
            Profile("held-out", measured.Arms.Reference.Profile!, reference: true),
            Profile(DemoArm.Base.Name, measured.AgainstBefore.Sets[0].Profile!),
        ];
        series.AddRange(measured.Arms.Sets.Select(static set => Profile(set.Name, set.Profile!)));
        return new LineChart(
            "Radial power spectra",
            new ChartAxis("frequency, cycles per picture", Log: true),
            new ChartAxis("power", Log: true),
            series
        )
        {
            Note = "Mean over the pictures of a set. A curve below the real one at high frequencies indicates missing fine detail.",
        };
    }

    /// <summary>log₁₀ of the ratio to the real spectrum.</summary>
    public static LineChart SpectrumRatio(DemoMeasurement measured)
    {
        var real = measured.Arms.Reference.Profile!;
        ChartSeries Ratio(string name, SetResult set) => Profile(name, SpectrumError.LogRatio(set.Profile!, real));
        return new LineChart(
            "Spectrum relative to real pictures",
            new ChartAxis("frequency, cycles per picture"),
            new ChartAxis("log₁₀ of the ratio"),
            [Ratio(DemoArm.Base.Name, measured.AgainstBefore.Sets[0]), .. measured.Arms.Sets.Select(set => Ratio(set.Name, set))]
        )
        {
            Note = "0: equal to the real spectrum; −0.3: half its power.",
        };
    }

    /// <summary>Error of the spectrum in three bands.</summary>
    public static BarChart SpectrumBands(DemoMeasurement measured)
    {
        BarSeries Bars(string name, SetResult set) =>
            new(name, [.. Bands.Select(band => set.Of("spectrum." + band).Value)])
            {
                HalfWidths = [.. Bands.Select(band => set.Of("spectrum." + band).Half())],
            };
        return new BarChart(
            "Error of the spectrum by band",
            "root mean square of log₁₀ of the ratio",
            ["low frequencies", "middle", "high"],
            [Bars(DemoArm.Base.Name, measured.AgainstBefore.Sets[0]), .. measured.Arms.Sets.Select(set => Bars(set.Name, set))]
        )
        {
            Note = "Lower is better. Whiskers: 95 % bootstrap intervals.",
        };
    }

    private static string? Term(DemoArm arm) => arm.Key is "latent" ? null : arm.Key;

    private static ChartSeries Series(ArmRun run, string name, string shown)
    {
        var series = MetricsSeries.Of(run.Records, name);
        return new ChartSeries(shown, series.Steps, series.Values);
    }

    private static ChartSeries Profile(string name, IReadOnlyList<double> profile, bool reference = false) =>
        new(name, [.. Enumerable.Range(1, profile.Count).Select(static k => (double)k)], profile) { IsReference = reference };
}
