using Retouch.Core.Errors;

namespace Retouch.Evaluation;

/// <summary>What is said of a difference.</summary>
public enum Verdict
{
    /// <summary>Its interval holds 0, or neither way is better.</summary>
    Undecided,

    /// <summary>The set is better than the baseline.</summary>
    Better,

    /// <summary>The set is worse than the baseline.</summary>
    Worse,

    /// <summary>The interval leaves 0 out, but the difference is smaller than the smallest worth naming.</summary>
    Negligible,

    /// <summary>None: a warning voids the interval.</summary>
    Void,
}

/// <summary>When a difference is called one. What the interval does not show is not said, nor what nobody would call a
/// difference.</summary>
public static class VerdictRule
{
    /// <summary>The smallest difference worth naming, as a share of the baseline's figure: paired pictures show smaller ones, which nobody
    /// could see.</summary>
    public const double Smallest = 0.01;

    /// <summary>The verdict.</summary>
    /// <param name="side">Where the interval lies: −1 below 0, 1 above, 0 where it holds 0.</param>
    /// <param name="difference">Set less baseline.</param>
    /// <param name="baseline">The baseline's figure.</param>
    /// <param name="better">Which way is better.</param>
    /// <param name="smallest">The smallest difference worth naming, as a share of <paramref name="baseline"/>; 0 names all.</param>
    /// <param name="isVoid">Whether a warning voids the interval.</param>
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

    /// <summary>Checks the share.</summary>
    /// <exception cref="UsageException">It is out of range.</exception>
    public static void Validate(double smallest)
    {
        if (!(smallest is >= 0 and < 1))
            throw new UsageException($"The smallest difference worth naming is {smallest}; it is a share of the figure, from 0 up to 1.");
    }
}
