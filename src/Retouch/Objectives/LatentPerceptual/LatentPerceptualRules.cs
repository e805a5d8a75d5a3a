using Retouch.Autoencoders;
using Retouch.Core.Formatting;

namespace Retouch.Objectives.LatentPerceptual;

/// <summary>Validation of the latent perceptual loss options.</summary>
internal static class LatentPerceptualRules
{
    /// <summary>Default factor on the statistics' gradient.</summary>
    public const double DefaultThrough = 0;

    /// <summary>Default relative variance floor.</summary>
    public const double DefaultFloor = 0.05;

    public static IReadOnlyList<string> Check(LatentPerceptualOptions o, string path)
    {
        var problems = new Problems(path);
        o.Weight.Check(problems, "weight");
        if (o.Taps is { } taps)
        {
            problems.When(taps.Count == 0 && !o.Rgb, "taps", "name at least one tap, or set rgb; remove the objective to disable it");
            problems.When(
                taps.Any(static t => t < 0) || taps.Zip(taps.Skip(1)).Any(static p => p.First >= p.Second),
                "taps",
                "must be strictly ascending, starting at 0 or above"
            );
        }

        problems.When(o.Taps is not null && o.LastTap, "lastTap", "has no effect with an explicit list of taps");
        Mask(problems, o);
        Statistics(problems, o);
        problems.When(o.StartStep < 0, "startStep", "must be at least 0");
        problems.When(o.RampSteps < 0, "rampSteps", "must be at least 0");
        problems.When(
            o.MinSnrGamma is not null && o.NoiseWeighting != NoiseWeighting.MinSnr,
            "minSnrGamma",
            "has no effect unless noiseWeighting is min-snr"
        );
        problems.When(
            o.MinSnrGamma is not (null or > 0) || o.MinSnrGamma == double.PositiveInfinity,
            "minSnrGamma",
            "must be a number above 0"
        );
        problems.When(
            o.DepthWeighting == DepthWeighting.Custom && o.DepthWeights is null,
            "depthWeights",
            "is required with depthWeighting custom"
        );
        problems.When(
            o.DepthWeighting != DepthWeighting.Custom && o.DepthWeights is not null,
            "depthWeights",
            "has no effect unless depthWeighting is custom"
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
                "must have one weight per tap, and one for the image if rgb is set"
            );
        }

        Gate(problems, o);
        problems.When(
            o.PixelReduction == PixelReduction.Kept && !o.Mask,
            "pixelReduction",
            "'kept' has no effect without the mask: all pixels are kept"
        );
        problems.When(
            o.SampleReduction == SampleReduction.Active && o.Gate == GateKind.None,
            "sampleReduction",
            "'active' has no effect without a gate: all samples are active"
        );
        return problems.List;
    }

    /// <summary>Problems of the options with a given decoder.</summary>
    public static IReadOnlyList<string> Check(LatentPerceptualOptions o, string path, IReadOnlyList<DecoderTap> taps)
    {
        var problems = new Problems(path);
        problems.When(
            o.Taps?.Any(t => t >= taps.Count) == true,
            "taps",
            $"this decoder has the taps 0 to {taps.Count - 1} ({string.Join(", ", taps.Select(static t => t.Name))})"
        );
        var layers = (o.Taps?.Count ?? DefaultTaps(taps.Count, o.LastTap).Length) + (o.Rgb ? 1 : 0);
        problems.When(
            o.DepthWeights is { } weights && weights.Count != layers,
            "depthWeights",
            $"must have {layers} weights for this decoder"
        );
        return problems.List;
    }

    /// <summary>Default taps: all but the last, or all.</summary>
    public static int[] DefaultTaps(int count, bool last) => [.. Enumerable.Range(0, Math.Max(last ? count : count - 1, 1))];

    private static void Statistics(Problems problems, LatentPerceptualOptions o)
    {
        problems.When(
            o.Normalisation == Normalisation.None && o.Statistics != StatisticsSource.Estimate,
            "statistics",
            "has no effect with normalisation none"
        );
        problems.When(
            o.StatisticsGradient is not null && (o.Normalisation == Normalisation.None || o.Statistics == StatisticsSource.Target),
            "statisticsGradient",
            "has no effect: "
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
            "has no effect unless normalisation is standardise"
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
            problems.When(given, member, "has no effect without the mask");
    }

    private static void Gate(Problems problems, LatentPerceptualOptions o)
    {
        problems.When(o.Threshold is not (null or > 0), "threshold", "must be above 0");
        problems.When(o.Gate == GateKind.T && o.Threshold > 1, "threshold", "must be at most 1: t lies in [0, 1]");
        problems.When(
            o.Gate is GateKind.Snr or GateKind.Timestep or GateKind.T && o.Threshold is null,
            "threshold",
            $"is required with gate {OptionValue.Of(o.Gate)}"
        );
        problems.When(o.Gate == GateKind.None && o.Threshold is not null, "threshold", "has no effect without a gate");
        problems.When(
            o.ResolutionScale is not (null or > 0) || o.ResolutionScale == double.PositiveInfinity,
            "resolutionScale",
            "must be a number above 0"
        );
        problems.When(
            o.ResolutionScale is not (null or 1) && !o.Mask && o.Gate is not (GateKind.Sigma or GateKind.Snr),
            "resolutionScale",
            "has no effect without the mask and without gate sigma or snr"
        );
    }
}
