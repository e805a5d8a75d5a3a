namespace Retouch.Arena.Statistics;

/// <summary>Exact sign test of decided comparisons, under the hypothesis of equal quality.</summary>
public static class SignTest
{
    /// <summary>
    /// Two-sided p-value, P(|X − n/2| ≥ |wins − n/2|) for X binomial with n = wins + losses trials of probability ½. Ties are excluded
    /// beforehand (Dixon and Mood, "The statistical sign test", JASA 1946).
    /// </summary>
    /// <param name="wins">Number of wins, at least 0.</param>
    /// <param name="losses">Number of losses, at least 0.</param>
    /// <returns>p in [0, 1]; 1 without decided comparisons.</returns>
    public static double TwoSided(int wins, int losses)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(wins);
        ArgumentOutOfRangeException.ThrowIfNegative(losses);
        var n = wins + losses;
        // In logarithms: 2^-n underflows for large n.
        var logTerm = -n * Math.Log(2);
        var tail = Math.Exp(logTerm);
        for (var k = 1; k <= Math.Min(wins, losses); k++)
        {
            logTerm += Math.Log((double)(n - k + 1) / k);
            tail += Math.Exp(logTerm);
        }

        return Math.Min(1, 2 * tail);
    }
}
