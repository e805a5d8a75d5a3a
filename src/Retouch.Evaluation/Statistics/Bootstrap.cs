using Retouch.Core.Errors;
using Retouch.Data;

namespace Retouch.Evaluation.Statistics;

/// <summary>Bootstrap of the intervals.</summary>
public sealed record BootstrapOptions
{
    /// <summary>Lower bound of <see cref="Resamples"/>.</summary>
    public const int FewestResamples = 100;

    /// <summary>Upper bound of <see cref="Resamples"/>.</summary>
    public const int MostResamples = 100_000;

    /// <summary>Number of resamples, 100 to 100,000.</summary>
    [Bounds(AtLeast = FewestResamples, AtMost = MostResamples)]
    public int Resamples { get; init; } = 1000;

    /// <summary>Nominal coverage of the intervals, in [0.5, 1).</summary>
    [Bounds(AtLeast = 0.5, Below = 1)]
    public double Confidence { get; init; } = 0.95;

    /// <summary>Seed of the resamples.</summary>
    public ulong Seed { get; init; }

    /// <summary>Checks the options.</summary>
    /// <param name="check">Receives the problems.</param>
    public void Validate(Requirements check)
    {
        ArgumentNullException.ThrowIfNull(check);
        check.Members(this);
    }
}

/// <summary>Confidence interval.</summary>
/// <param name="Low">Lower bound.</param>
/// <param name="High">Upper bound.</param>
public readonly record struct Interval(double Low, double High)
{
    /// <summary>Whether the interval contains a value, bounds included.</summary>
    public bool Contains(double value) => value >= Low && value <= High;

    /// <summary>Side of 0: −1 below, 1 above, 0 if the interval contains 0.</summary>
    internal int Side =>
        Low > 0 ? 1
        : High < 0 ? -1
        : 0;
}

/// <summary>
/// Percentile bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13): the pictures of a set are resampled
/// with replacement, and the interval lies between percentiles of the recomputed figures.
/// </summary>
public static class Bootstrap
{
    /// <summary>Figures of each resample.</summary>
    /// <param name="scores">Scores of the pictures.</param>
    /// <param name="options">Number of resamples and seed.</param>
    /// <param name="stream">
    /// Random stream. Sets of equal size and stream have equal resamples, as paired differences need; different streams are independent.
    /// </param>
    /// <returns>[resamples][figures].</returns>
    public static double[][] Replicates(ImageScores scores, BootstrapOptions options, ulong stream)
    {
        ArgumentNullException.ThrowIfNull(scores);
        ArgumentNullException.ThrowIfNull(options);
        var replicates = new double[options.Resamples][];
        Parallel.For(
            0,
            replicates.Length,
            b =>
            {
                var random = new SplitMix64(SplitMix64.Derive(options.Seed, 0x626F6F74, stream, (ulong)b));
                var times = new int[scores.Count];
                for (var i = 0; i < times.Length; i++)
                    times[random.NextInt(times.Length)]++;
                replicates[b] = scores.Figures(times);
            }
        );
        return replicates;
    }

    /// <summary>Interval of one figure.</summary>
    /// <param name="replicates">Output of <see cref="Replicates"/>.</param>
    /// <param name="figure">Index of the figure.</param>
    /// <param name="confidence">Value of <see cref="BootstrapOptions.Confidence"/>.</param>
    public static Interval Percentiles(double[][] replicates, int figure, double confidence) =>
        Percentiles([.. replicates.Select(r => r[figure])], confidence);

    /// <summary>Interval of the difference of a figure between two sets, from paired replicates.</summary>
    /// <param name="of">Replicates of the first set.</param>
    /// <param name="minus">Replicates of the second set.</param>
    /// <param name="figure">Index of the figure.</param>
    /// <param name="confidence">Value of <see cref="BootstrapOptions.Confidence"/>.</param>
    public static Interval DifferencePercentiles(double[][] of, double[][] minus, int figure, double confidence) =>
        Percentiles([.. of.Zip(minus, (a, b) => a[figure] - b[figure])], confidence);

    private static Interval Percentiles(double[] values, double confidence)
    {
        Array.Sort(values);
        var tail = (1 - confidence) / 2;
        return new Interval(Quantile(values, tail), Quantile(values, 1 - tail));
    }

    /// <summary>Quantile by linear interpolation between order statistics.</summary>
    private static double Quantile(double[] sorted, double share)
    {
        var place = share * (sorted.Length - 1);
        var below = (int)Math.Floor(place);
        var above = Math.Min(below + 1, sorted.Length - 1);
        // Interpolation between equal infinities would give NaN.
        return sorted[below] == sorted[above] ? sorted[below] : sorted[below] + ((place - below) * (sorted[above] - sorted[below]));
    }
}
