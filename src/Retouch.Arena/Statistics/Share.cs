namespace Retouch.Arena.Statistics;

/// <summary>A proportion or a difference of proportions with its confidence interval.</summary>
/// <param name="Value">The figure, as a fraction.</param>
/// <param name="Low">Lower end.</param>
/// <param name="High">Upper end.</param>
public readonly record struct Share(double Value, double Low, double High)
{
    /// <summary>The quantile of the normal distribution for 95 % intervals.</summary>
    public const double Normal95 = 1.959963984540054;

    /// <summary>
    /// The share of <paramref name="successes"/> in <paramref name="trials"/> with Wilson's score interval (Wilson, "Probable inference",
    /// JASA 1927), which keeps within 0 and 1 and does not shrink to a point at either end.
    /// </summary>
    /// <param name="successes">0 to <paramref name="trials"/>.</param>
    /// <param name="trials">At least 0; with 0 the interval is [0, 1].</param>
    /// <param name="z">The normal quantile of the confidence.</param>
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
        // Rounding at the ends could exclude the share itself.
        return new(p, successes == 0 ? 0 : centre - reach, successes == trials ? 1 : centre + reach);
    }

    /// <summary>
    /// Improvement: the share of wins minus the share of losses, of comparisons that may also be ties. The interval puts Wilson's limits of
    /// both shares together and allows for their correlation, as Newcombe does for paired proportions ("Improved confidence intervals for
    /// the difference between binomial proportions based on paired data", Statistics in Medicine 1998, method 10).
    /// </summary>
    /// <param name="wins">Comparisons won.</param>
    /// <param name="ties">Tied comparisons.</param>
    /// <param name="losses">Comparisons lost.</param>
    /// <param name="z">The normal quantile of the confidence.</param>
    public static Share Improvement(int wins, int ties, int losses, double z = Normal95)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(ties);
        var n = wins + ties + losses;
        if (n == 0)
            return new(0, -1, 1);
        var (win, loss) = (Wilson(wins, n, z), Wilson(losses, n, z));
        var spread = win.Value * (1 - win.Value) * loss.Value * (1 - loss.Value);
        // Outcomes of one comparison exclude each other: the shares of a multinomial are negatively correlated.
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
