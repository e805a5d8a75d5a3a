namespace Retouch.Arena.Statistics;

/// <summary>
/// The Bradley–Terry model of paired comparisons, P(i beats j) = p_i / (p_i + p_j), fitted by maximum likelihood with the
/// minorise–maximise iteration (Hunter, "MM algorithms for generalized Bradley–Terry models", Annals of Statistics 2004, eq. 3).
/// </summary>
public static class BradleyTerry
{
    private const int MaxIterations = 100_000;
    private const double Tolerance = 1e-11;

    /// <summary>Fits log-strengths.</summary>
    /// <param name="wins">[models, models]: number of preferences of the row's model over the column's; a tie counts half for both.</param>
    /// <param name="prior">
    /// Ties added to every compared pair, at least 0. With 0 the likelihood has no maximum if a model won or lost all comparisons; a small
    /// number keeps the strengths finite and shrinks their differences slightly.
    /// </param>
    /// <returns>ln p of each model, with mean 0; null without a finite maximum: a group of models has no loss against the
    /// others.</returns>
    public static double[]? Fit(double[,] wins, double prior)
    {
        ArgumentNullException.ThrowIfNull(wins);
        ArgumentOutOfRangeException.ThrowIfNegative(prior);
        var n = wins.GetLength(0);
        if (n == 0 || wins.GetLength(1) != n)
            throw new ArgumentException($"{n} by {wins.GetLength(1)} is not a square matrix of wins.", nameof(wins));
        var w = new double[n, n];
        for (var i = 0; i < n; i++)
        {
            for (var j = 0; j < n; j++)
                w[i, j] = i == j ? 0 : wins[i, j] + (wins[i, j] + wins[j, i] > 0 ? prior / 2 : 0);
        }

        return HasMaximum(w) ? Iterate(w, n) : null;
    }

    /// <summary>Log-likelihood Σ w_ij (θ_i − ln(e^θ_i + e^θ_j)) of log-strengths θ.</summary>
    public static double LogLikelihood(double[,] wins, IReadOnlyList<double> strengths)
    {
        ArgumentNullException.ThrowIfNull(wins);
        ArgumentNullException.ThrowIfNull(strengths);
        var sum = 0.0;
        for (var i = 0; i < strengths.Count; i++)
        {
            for (var j = 0; j < strengths.Count; j++)
            {
                if (i != j)
                    sum -= wins[i, j] * Math.Log(1 + Math.Exp(strengths[j] - strengths[i]));
            }
        }

        return sum;
    }

    private static double[] Iterate(double[,] w, int n)
    {
        var p = new double[n];
        Array.Fill(p, 1.0);
        var next = new double[n];
        for (var iteration = 0; iteration < MaxIterations; iteration++)
        {
            for (var i = 0; i < n; i++)
            {
                double won = 0,
                    weight = 0;
                for (var j = 0; j < n; j++)
                {
                    won += w[i, j];
                    weight += (w[i, j] + w[j, i]) / (p[i] + p[j]);
                }

                next[i] = n == 1 ? 1 : won / weight;
            }

            var mean = next.Average(static v => Math.Log(v));
            var change = 0.0;
            for (var i = 0; i < n; i++)
            {
                var scaled = Math.Exp(Math.Log(next[i]) - mean);
                change = Math.Max(change, Math.Abs(Math.Log(scaled / p[i])));
                p[i] = scaled;
            }

            if (change < Tolerance)
                break;
        }

        return [.. p.Select(static v => Math.Log(v))];
    }

    /// <summary>Ford's condition: a chain of wins leads from every model to every other.</summary>
    private static bool HasMaximum(double[,] w)
    {
        var n = w.GetLength(0);
        return Reaches((i, j) => w[i, j] > 0) && Reaches((i, j) => w[j, i] > 0);

        bool Reaches(Func<int, int, bool> beats)
        {
            var seen = new HashSet<int> { 0 };
            var open = new Stack<int>(seen);
            while (open.TryPop(out var i))
            {
                for (var j = 0; j < n; j++)
                {
                    if (beats(i, j) && seen.Add(j))
                        open.Push(j);
                }
            }

            return seen.Count == n;
        }
    }
}
