using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;

namespace Retouch.Objectives.LatentPerceptual;

/// <content>Validation.</content>
public sealed partial record LatentPerceptualOptions
{
    /// <summary>Default factor on the statistics' gradient.</summary>
    internal const double DefaultStatisticsGradient = 0;

    /// <summary>Default relative variance floor.</summary>
    internal const double DefaultVarianceFloor = 0.05;

    /// <summary>Default threshold of a gate by noise level.</summary>
    internal const double DefaultSigma = 3;

    internal void Validate(Requirements check)
    {
        check.Members(this);
        Weight.Validate(check, nameof(Weight));
        if (Taps is { } taps)
        {
            check.That(
                taps.Count > 0 || Rgb,
                $"{check.Name(nameof(Taps))}: name at least one tap, or set rgb; remove the objective to disable it"
            );
            check.That(taps.Zip(taps.Skip(1)).All(static p => p.First < p.Second), nameof(Taps), "must be strictly ascending");
        }

        check.That(Taps is null || !LastTap, nameof(LastTap), "has no effect with an explicit list of taps");
        ValidateMask(check);
        ValidateStatistics(check);
        ValidateWeightings(check);
        ValidateGate(check);
        check.That(
            PixelReduction != PixelReduction.Kept || Mask,
            nameof(PixelReduction),
            "'kept' has no effect without the mask: all pixels are kept"
        );
        check.That(
            SampleReduction != SampleReduction.Active || Gate != GateKind.None,
            nameof(SampleReduction),
            "'active' has no effect without a gate: all samples are active"
        );
    }

    /// <summary>Validates what depends on the decoder.</summary>
    /// <param name="taps">Taps of the decoder.</param>
    /// <param name="check">Receives the problems.</param>
    internal void ValidateFor(IReadOnlyList<DecoderTap> taps, Requirements check)
    {
        check.That(
            Taps?.All(t => t < taps.Count) != false,
            $"{check.Name(nameof(Taps))}: this decoder has the taps 0 to {taps.Count - 1} "
                + $"({string.Join(", ", taps.Select(static t => t.Name))})"
        );
        var layers = (Taps?.Count ?? DefaultTaps(taps.Count, LastTap).Length) + (Rgb ? 1 : 0);
        check.That(
            DepthWeights is not { } weights || weights.Count == layers,
            nameof(DepthWeights),
            $"must have {layers} weights for this decoder"
        );
    }

    /// <summary>Default taps: all but the last, or all.</summary>
    internal static int[] DefaultTaps(int count, bool last) => [.. Enumerable.Range(0, Math.Max(last ? count : count - 1, 1))];

    private void ValidateWeightings(Requirements check)
    {
        check.That(
            MinSnrGamma is null || NoiseWeighting == NoiseWeighting.MinSnr,
            nameof(MinSnrGamma),
            "has no effect unless noiseWeighting is min-snr"
        );
        check.That(
            DepthWeighting != DepthWeighting.Custom || DepthWeights is not null,
            nameof(DepthWeights),
            "is required with depthWeighting custom"
        );
        check.That(
            DepthWeighting == DepthWeighting.Custom || DepthWeights is null,
            nameof(DepthWeights),
            "has no effect unless depthWeighting is custom"
        );
        if (DepthWeights is not { } weights)
            return;
        check.That(weights.Any(static w => w != 0), nameof(DepthWeights), "must not be all 0");
        check.That(
            Taps is null || weights.Count == Taps.Count + (Rgb ? 1 : 0),
            nameof(DepthWeights),
            "must have one weight per tap, and one for the image if rgb is set"
        );
    }

    private void ValidateStatistics(Requirements check)
    {
        check.That(
            Normalisation != Normalisation.None || Statistics == DefaultStatistics,
            nameof(Statistics),
            "has no effect with normalisation none"
        );
        check.That(
            StatisticsGradient is null || (Normalisation != Normalisation.None && Statistics != StatisticsSource.Target),
            nameof(StatisticsGradient),
            "has no effect: "
                + (
                    Normalisation == Normalisation.None
                        ? "normalisation none has no statistics"
                        : "the target's statistics have no gradient"
                )
        );
        check.That(
            VarianceFloor is null || Normalisation == Normalisation.Standardise,
            nameof(VarianceFloor),
            "has no effect unless normalisation is standardise"
        );
    }

    private void ValidateMask(Requirements check)
    {
        if (Mask)
            return;
        foreach (
            var (given, member) in new[]
            {
                (MaskFromTap is not null, nameof(MaskFromTap)),
                (MaskSource is not null, nameof(MaskSource)),
                (Quantile is not null, nameof(Quantile)),
                (Margin is not null, nameof(Margin)),
                (Opening is not null, nameof(Opening)),
                (Closing is not null, nameof(Closing)),
            }
        )
            check.That(!given, member, "has no effect without the mask");
    }

    private void ValidateGate(Requirements check)
    {
        check.That(
            Gate != GateKind.T || Threshold is not > 1,
            nameof(Threshold),
            $"is {Threshold}; it must be at most 1 with gate t, which lies in [0, 1]"
        );
        check.That(
            Gate is not (GateKind.Snr or GateKind.Timestep or GateKind.T) || Threshold is not null,
            nameof(Threshold),
            $"is required with gate {OptionValue.Of(Gate)}"
        );
        check.That(Gate != GateKind.None || Threshold is null, nameof(Threshold), "has no effect without a gate");
        check.That(
            ResolutionScale is null or 1 || Mask || Gate is GateKind.Sigma or GateKind.Snr,
            nameof(ResolutionScale),
            "has no effect without the mask and without gate sigma or snr"
        );
    }
}
