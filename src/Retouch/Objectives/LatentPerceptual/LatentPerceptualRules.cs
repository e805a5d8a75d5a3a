using Retouch.Autoencoders;

namespace Retouch.Objectives.LatentPerceptual;

/// <summary>What the options of the latent perceptual loss may be.</summary>
internal static class LatentPerceptualRules
{
    /// <summary>Part of the statistics' gradient that is let through where none is given.</summary>
    public const double DefaultThrough = 0;

    /// <summary>Variance floor where none is given.</summary>
    public const double DefaultFloor = 0.05;

    public static IReadOnlyList<string> Check(LatentPerceptualOptions o, string path)
    {
        var problems = new Problems(path);
        o.Weight.Check(problems, "weight");
        if (o.Taps is { } taps)
        {
            problems.When(taps.Count == 0 && !o.Rgb, "taps", "name at least one tap, or set rgb; leave the objective out to do without it");
            problems.When(
                taps.Any(static t => t < 0) || taps.Zip(taps.Skip(1)).Any(static p => p.First >= p.Second),
                "taps",
                "must ascend from 0 without repetition"
            );
        }

        problems.When(o.Taps is not null && o.LastTap, "lastTap", "does nothing beside a list of taps");
        Mask(problems, o);
        Statistics(problems, o);
        problems.When(o.StartStep < 0, "startStep", "must be at least 0");
        problems.When(o.RampSteps < 0, "rampSteps", "must be at least 0");
        problems.When(
            o.MinSnrGamma is not null && o.NoiseWeighting != NoiseWeighting.MinSnr,
            "minSnrGamma",
            "does nothing unless noiseWeighting is min-snr"
        );
        problems.When(
            o.MinSnrGamma is not (null or > 0) || o.MinSnrGamma == double.PositiveInfinity,
            "minSnrGamma",
            "must be a number above 0"
        );
        problems.When(
            o.DepthWeighting == DepthWeighting.Custom && o.DepthWeights is null,
            "depthWeights",
            "custom depth weighting needs the list"
        );
        problems.When(
            o.DepthWeighting != DepthWeighting.Custom && o.DepthWeights is not null,
            "depthWeights",
            "does nothing unless depthWeighting is custom"
        );
        if (o.DepthWeights is { } weights)
        {
            problems.When(
                weights.Any(static w => !double.IsFinite(w) || w < 0) || weights.All(static w => w == 0),
                "depthWeights",
                "must be finite, not negative and not all 0"
            );
            problems.When(
                o.Taps is not null && weights.Count != o.Taps.Count + (o.Rgb ? 1 : 0),
                "depthWeights",
                "needs one weight a tap, and one for the image where rgb is set"
            );
        }

        Gate(problems, o);
        problems.When(
            o.PixelReduction == PixelReduction.Kept && !o.Mask,
            "pixelReduction",
            "without the mask all pixels are kept, so that 'kept' does nothing"
        );
        problems.When(
            o.SampleReduction == SampleReduction.Active && o.Gate == GateKind.None,
            "sampleReduction",
            "without a gate all samples are active, so that 'active' does nothing"
        );
        return problems.List;
    }

    /// <summary>What fits the decoder: problems that show only once it is known.</summary>
    public static IReadOnlyList<string> Check(LatentPerceptualOptions o, string path, IReadOnlyList<DecoderTap> taps)
    {
        var problems = new Problems(path);
        problems.When(
            o.Taps?.Any(t => t >= taps.Count) == true,
            "taps",
            $"this decoder has the taps 0 to {taps.Count - 1} ({string.Join(", ", taps.Select(static t => t.Name))})"
        );
        var layers = (o.Taps?.Count ?? DefaultTaps(taps.Count, o.LastTap).Length) + (o.Rgb ? 1 : 0);
        problems.When(o.DepthWeights is { } weights && weights.Count != layers, "depthWeights", $"needs {layers} weights for this decoder");
        return problems.List;
    }

    /// <summary>All taps but the last, unless that is asked for.</summary>
    public static int[] DefaultTaps(int count, bool last) => [.. Enumerable.Range(0, Math.Max(last ? count : count - 1, 1))];

    private static void Statistics(Problems problems, LatentPerceptualOptions o)
    {
        problems.When(
            o.Normalisation == Normalisation.None && o.Statistics != StatisticsSource.Estimate,
            "statistics",
            "does nothing with normalisation none"
        );
        problems.When(
            o.StatisticsGradient is not null && (o.Normalisation == Normalisation.None || o.Statistics == StatisticsSource.Target),
            "statisticsGradient",
            "does nothing: "
                + (
                    o.Normalisation == Normalisation.None
                        ? "normalisation none has no statistics"
                        : "the target's statistics have no gradient"
                )
        );
        problems.When(o.StatisticsGradient is not (null or (>= 0 and <= 1)), "statisticsGradient", "must lie in [0, 1]");
        problems.When(
            o.VarianceFloor is not null && o.Normalisation != Normalisation.Standardise,
            "varianceFloor",
            "does nothing unless normalisation is standardise"
        );
        problems.When(
            o.VarianceFloor is not (null or >= 0) || o.VarianceFloor == double.PositiveInfinity,
            "varianceFloor",
            "must be a number, at least 0"
        );
    }

    private static void Mask(Problems problems, LatentPerceptualOptions o)
    {
        problems.When(o.Quantile is not (null or (> 0 and < 0.5)), "quantile", "must lie in (0, 0.5)");
        problems.When(o.Margin is not (null or >= 0) || o.Margin == double.PositiveInfinity, "margin", "must be finite and not negative");
        problems.When(o.Opening is < 1, "opening", "must be at least 1");
        problems.When(o.Closing is < 1, "closing", "must be at least 1");
        problems.When(o.MaskFromTap is < 0, "maskFromTap", "must be at least 0");
        if (o.Mask)
            return;
        foreach (
            var (given, member) in new[]
            {
                (o.MaskFromTap is not null, "maskFromTap"),
                (o.MaskSource is not null, "maskSource"),
                (o.Quantile is not null, "quantile"),
                (o.Margin is not null, "margin"),
                (o.Opening is not null, "opening"),
                (o.Closing is not null, "closing"),
            }
        )
            problems.When(given, member, "does nothing while the mask is off");
    }

    private static void Gate(Problems problems, LatentPerceptualOptions o)
    {
        problems.When(o.Threshold is not (null or > 0), "threshold", "must be above 0");
        problems.When(o.Gate == GateKind.T && o.Threshold > 1, "threshold", "t lies in [0, 1]");
        problems.When(
            o.Gate is GateKind.Snr or GateKind.Timestep or GateKind.T && o.Threshold is null,
            "threshold",
            $"a gate by {o.Gate} needs one"
        );
        problems.When(o.Gate == GateKind.None && o.Threshold is not null, "threshold", "does nothing without a gate");
        problems.When(
            o.ResolutionScale is not (null or > 0) || o.ResolutionScale == double.PositiveInfinity,
            "resolutionScale",
            "must be a number above 0"
        );
        problems.When(
            o.ResolutionScale is not (null or 1) && !o.Mask && o.Gate is not (GateKind.Sigma or GateKind.Snr),
            "resolutionScale",
            "does nothing without the mask and without a gate by sigma or SNR"
        );
    }
}
