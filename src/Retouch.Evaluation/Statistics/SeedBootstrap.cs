using MathNet.Numerics.Distributions;
using Retouch.Data;

namespace Retouch.Evaluation.Statistics;

/// <summary>Figure over training seeds.</summary>
/// <param name="Value">Mean over the seeds.</param>
/// <param name="Interval">Percentile bootstrap over pictures and, independently, seeds; over pictures only with one seed.</param>
/// <param name="OverSeeds">Student's t interval of the mean over seeds, exact for normally distributed figures; null with one seed. The
/// bootstrap interval is too short for few seeds.</param>
/// <param name="Seeds">Figure of each seed.</param>
public sealed record SeedEstimate(double Value, Interval Interval, Interval? OverSeeds, IReadOnlyList<double> Seeds)
{
    /// <summary>Side of 0 of both intervals: −1 below, 1 above, 0 if one contains 0 or they disagree.</summary>
    public int Side
    {
        get
        {
            var side = Interval.Side;
            return OverSeeds is { } over && over.Side != side ? 0 : side;
        }
    }
}

/// <summary>
/// Intervals over training seeds and pictures. The factors are crossed (all trainings use the same sampling seeds) and resampled
/// independently (Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1 (2007)).
/// </summary>
public static class SeedBootstrap
{
    /// <summary>Mean of a figure over seeds.</summary>
    /// <param name="values">Figure of each seed.</param>
    /// <param name="replicates">[seeds][resamples], from <see cref="Bootstrap.Replicates"/>, with equal resamples for all seeds.</param>
    /// <param name="options">Confidence and seed of the resamples.</param>
    public static SeedEstimate Mean(IReadOnlyList<double> values, IReadOnlyList<IReadOnlyList<double>> replicates, BootstrapOptions options)
    {
        ArgumentNullException.ThrowIfNull(values);
        ArgumentNullException.ThrowIfNull(replicates);
        ArgumentNullException.ThrowIfNull(options);
        if (values.Count == 0 || values.Count != replicates.Count || replicates.Any(r => r.Count != replicates[0].Count))
            throw new ArgumentException(
                $"{values.Count} seeds with {string.Join(", ", replicates.Select(static r => r.Count))} replicates are inconsistent.",
                nameof(replicates)
            );
        var drawn = new double[replicates[0].Count][];
        for (var b = 0; b < drawn.Length; b++)
        {
            var random = new SplitMix64(SplitMix64.Derive(options.Seed, 0x73656564, (ulong)b));
            var sum = 0.0;
            for (var k = 0; k < values.Count; k++)
                sum += replicates[random.NextInt(values.Count)][b];
            drawn[b] = [sum / values.Count];
        }

        return new SeedEstimate(
            values.Average(),
            Bootstrap.Percentiles(drawn, 0, options.Confidence),
            Student(values, options.Confidence),
            [.. values]
        );
    }

    /// <summary>Mean difference of a figure, paired by training seed and resample.</summary>
    /// <param name="values">Figure of each seed.</param>
    /// <param name="replicates">Replicates, as for <see cref="Mean"/>.</param>
    /// <param name="baseline">Figure of each seed of the baseline, in the same order.</param>
    /// <param name="baselineReplicates">Replicates of the baseline.</param>
    /// <param name="options">Options, as for <see cref="Mean"/>.</param>
    public static SeedEstimate Difference(
        IReadOnlyList<double> values,
        IReadOnlyList<IReadOnlyList<double>> replicates,
        IReadOnlyList<double> baseline,
        IReadOnlyList<IReadOnlyList<double>> baselineReplicates,
        BootstrapOptions options
    )
    {
        ArgumentNullException.ThrowIfNull(baseline);
        ArgumentNullException.ThrowIfNull(values);
        if (values.Count != baseline.Count)
            throw new ArgumentException($"{values.Count} seeds cannot be paired with {baseline.Count}.", nameof(baseline));
        IReadOnlyList<double>[] differences =
        [
            .. replicates.Zip(baselineReplicates, static (a, b) => (IReadOnlyList<double>)[.. a.Zip(b, static (x, y) => x - y)]),
        ];
        return Mean([.. values.Zip(baseline, static (x, y) => x - y)], differences, options);
    }

    private static Interval? Student(IReadOnlyList<double> values, double confidence)
    {
        if (values.Count < 2)
            return null;
        var mean = values.Average();
        var deviation = Math.Sqrt(values.Sum(v => (v - mean) * (v - mean)) / (values.Count - 1));
        var half = StudentT.InvCDF(0, 1, values.Count - 1, 1 - ((1 - confidence) / 2)) * deviation / Math.Sqrt(values.Count);
        return new Interval(mean - half, mean + half);
    }
}
