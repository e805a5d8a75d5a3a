using Retouch.Core.Errors;

namespace Retouch.Evaluation.Statistics;

/// <summary>Verdict on a difference.</summary>
public enum Verdict
{
    /// <summary>The interval contains 0, or the figure has no direction.</summary>
    Undecided,

    /// <summary>The set is better than the baseline.</summary>
    Better,

    /// <summary>The set is worse than the baseline.</summary>
    Worse,

    /// <summary>The interval excludes 0, but the difference is below the smallest relevant one.</summary>
    Negligible,

    /// <summary>No verdict: a limitation voids the interval.</summary>
    Void,
}

/// <summary>Derives verdicts from the interval, the size of the difference and the limitations.</summary>
public static class VerdictRule
{
    /// <summary>Default of the smallest relevant difference, as a share of the baseline's figure. Paired intervals detect smaller,
    /// invisible ones.</summary>
    public const double Smallest = 0.01;

    /// <summary>Verdict on a difference.</summary>
    /// <param name="side">Side of 0 of the interval: −1 below, 1 above, 0 if it contains 0.</param>
    /// <param name="difference">Figure of the set less that of the baseline.</param>
    /// <param name="baseline">Figure of the baseline.</param>
    /// <param name="better">Direction of the figure.</param>
    /// <param name="smallest">Smallest relevant difference, as a share of <paramref name="baseline"/>; 0 accepts all.</param>
    /// <param name="isVoid">Whether a limitation voids the interval.</param>
    public static Verdict Of(int side, double difference, double baseline, Preference better, double smallest, bool isVoid = false)
    {
        if (isVoid)
            return Verdict.Void;
        if (side == 0 || better == Preference.None)
            return Verdict.Undecided;
        if (Math.Abs(difference) < smallest * Math.Abs(baseline))
            return Verdict.Negligible;
        return side < 0 == (better == Preference.Lower) ? Verdict.Better : Verdict.Worse;
    }
}
