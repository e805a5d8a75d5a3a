namespace Retouch.Arena.Statistics;

/// <summary>Proportion, or difference of proportions, with its confidence interval.</summary>
/// <param name="Value">Value, as a fraction.</param>
/// <param name="Low">Lower bound.</param>
/// <param name="High">Upper bound.</param>
public readonly record struct Share(double Value, double Low, double High)
{
    /// <summary>Normal quantile for 95 % intervals.</summary>
    public const double Normal95 = 1.959963984540054;

    /// <summary>
    /// Share of <paramref name="successes"/> in <paramref name="trials"/> with Wilson's score interval (Wilson, "Probable inference", JASA
    /// 1927), which stays within [0, 1] and has a positive width for shares of 0 and 1.
    /// </summary>
    /// <param name="successes">0 to <paramref name="trials"/>.</param>
    /// <param name="trials">At least 0; with 0 the interval is [0, 1].</param>
    /// <param name="z">Normal quantile of the confidence.</param>
    public static Share Wilson(int successes, int trials, double z = Normal95)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(successes);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(successes, trials);
        if (trials == 0)
            return new(0, 0, 1);
        double n = trials,
            p = successes / n,
            z2 = z * z;
        var centre = (p + z2 / (2 * n)) / (1 + z2 / n);
        var reach = z / (1 + z2 / n) * Math.Sqrt(p * (1 - p) / n + z2 / (4 * n * n));
        // Rounding could exclude shares of 0 and 1.
        return new(p, successes == 0 ? 0 : centre - reach, successes == trials ? 1 : centre + reach);
    }

    /// <summary>
    /// Improvement: share of wins minus share of losses, with ties allowed. The interval combines Wilson's limits of both shares and
    /// accounts for their correlation, as Newcombe's method for paired proportions ("Improved confidence intervals for the difference
    /// between binomial proportions based on paired data", Statistics in Medicine 1998, method 10).
    /// </summary>
    /// <param name="wins">Number of wins.</param>
    /// <param name="ties">Number of ties.</param>
    /// <param name="losses">Number of losses.</param>
    /// <param name="z">Normal quantile of the confidence.</param>
    public static Share Improvement(int wins, int ties, int losses, double z = Normal95)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(ties);
        var n = wins + ties + losses;
        if (n == 0)
            return new(0, -1, 1);
        var (win, loss) = (Wilson(wins, n, z), Wilson(losses, n, z));
        var spread = win.Value * (1 - win.Value) * loss.Value * (1 - loss.Value);
        // Outcomes of a comparison are mutually exclusive: multinomial shares are negatively correlated.
        var correlation = spread > 0 ? -win.Value * loss.Value / Math.Sqrt(spread) : 0;
        var d = win.Value - loss.Value;
        return new(
            d,
            d - Reach(win.Value - win.Low, loss.High - loss.Value, correlation),
            d + Reach(win.High - win.Value, loss.Value - loss.Low, correlation)
        );
    }

    private static double Reach(double a, double b, double correlation) => Math.Sqrt(a * a - 2 * correlation * a * b + b * b);
}
