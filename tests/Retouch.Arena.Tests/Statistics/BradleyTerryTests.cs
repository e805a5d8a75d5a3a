using Retouch.Arena.Statistics;

namespace Retouch.Arena.Tests.Statistics;

/// <summary>Strengths against closed forms, and against a numerical maximum of the likelihood.</summary>
public class BradleyTerryTests
{
    private static readonly double[,] Four =
    {
        { 0, 7, 9.5, 4 },
        { 3, 0, 6, 8 },
        { 1.5, 4, 0, 5 },
        { 2, 1, 5.5, 0 },
    };

    [Fact]
    public void Two_models_differ_by_the_log_of_their_wins()
    {
        var strengths = BradleyTerry.Fit(
            new double[,]
            {
                { 0, 12 },
                { 4, 0 },
            },
            prior: 0
        )!;
        Assert.Equal(Math.Log(3), strengths[0] - strengths[1], 9);
        Assert.Equal(0, strengths.Sum(), 9);
    }

    [Fact]
    public void The_prior_equals_ties_added_to_every_pair()
    {
        var strengths = BradleyTerry.Fit(
            new double[,]
            {
                { 0, 12 },
                { 4, 0 },
            },
            prior: 2
        )!;
        Assert.Equal(Math.Log(13.0 / 5), strengths[0] - strengths[1], 9);
    }

    [Fact]
    public void Strengths_maximise_the_likelihood()
    {
        var fitted = BradleyTerry.Fit(Four, prior: 0)!;
        Assert.Equal(Climb(Four), fitted, (a, b) => Math.Abs(a - b) < 1e-6);
    }

    [Fact]
    public void Expected_wins_equal_observed_wins()
    {
        // The score equations of the model: Σ_j n_ij P(i beats j) = wins of i.
        var s = BradleyTerry.Fit(Four, prior: 0)!;
        for (var i = 0; i < 4; i++)
        {
            var (expected, observed) = (0.0, 0.0);
            for (var j = 0; j < 4; j++)
            {
                if (i == j)
                    continue;
                expected += (Four[i, j] + Four[j, i]) / (1 + Math.Exp(s[j] - s[i]));
                observed += Four[i, j];
            }

            Assert.Equal(observed, expected, 8);
        }
    }

    [Fact]
    public void Strengths_without_a_maximum_are_null()
    {
        Assert.Null(
            BradleyTerry.Fit(
                new double[,]
                {
                    { 0, 5 },
                    { 0, 0 },
                },
                prior: 0
            )
        );
        // A prior of one tie gives 5.5 wins to 0.5.
        var finite = BradleyTerry.Fit(
            new double[,]
            {
                { 0, 5 },
                { 0, 0 },
            },
            prior: 1
        )!;
        Assert.Equal(Math.Log(5.5 / 0.5), finite[0] - finite[1], 9);
        // Two groups without comparisons between them have no common scale, with or without a prior.
        Assert.Null(
            BradleyTerry.Fit(
                new double[,]
                {
                    { 0, 2, 0, 0 },
                    { 1, 0, 0, 0 },
                    { 0, 0, 0, 3 },
                    { 0, 0, 2, 0 },
                },
                prior: 1
            )
        );
    }

    [Fact]
    public void A_ranking_is_in_descending_order_with_intervals()
    {
        var items = Enumerable
            .Range(0, 40)
            .Select(k =>
                new double[,]
                {
                    { 0, k % 4 == 0 ? 0 : 1, 1 },
                    { k % 4 == 0 ? 1 : 0, 0, k % 3 == 0 ? 0.5 : 1 },
                    { 0, k % 3 == 0 ? 0.5 : 0, 0 },
                }
            )
            .ToList();
        var ranking = Ranking.Of(["a", "b", "c"], items, seed: 7);
        Assert.Equal(["a", "b", "c"], ranking.Select(r => r.Model));
        Assert.All(ranking, r => Assert.True(r.Strength.Low < r.Strength.Value && r.Strength.Value < r.Strength.High));
        Assert.Equal(ranking, Ranking.Of(["a", "b", "c"], items, seed: 7));
        Assert.NotEqual(ranking, Ranking.Of(["a", "b", "c"], items, seed: 8));
    }

    [Fact]
    public void Ranking_intervals_shrink_with_the_square_root_of_the_items()
    {
        double Width(int items)
        {
            // Two models, three quarters of the items won: the standard error of the log-odds is 1/√(n p (1−p)).
            var wins = Enumerable
                .Range(0, items)
                .Select(k =>
                    new double[,]
                    {
                        { 0, k % 4 == 0 ? 0 : 1 },
                        { k % 4 == 0 ? 1 : 0, 0 },
                    }
                )
                .ToList();
            var strength = Ranking.Of(["a", "b"], wins, seed: 1, resamples: 2000)[0].Strength;
            return strength.High - strength.Low;
        }

        // Strengths are ± half the log-odds.
        var expected = 2 * Share.Normal95 * 0.5 / Math.Sqrt(400 * 0.75 * 0.25);
        Assert.Equal(expected, Width(400), expected * 0.08);
        Assert.Equal(2, Width(100) / Width(400), 0.25);
    }

    /// <summary>Independent maximisation: coordinate ascent with decreasing steps.</summary>
    private static double[] Climb(double[,] wins)
    {
        var s = new double[wins.GetLength(0)];
        for (var step = 1.0; step > 1e-10; step /= 2)
        {
            bool better;
            do
            {
                better = false;
                for (var i = 0; i < s.Length; i++)
                {
                    foreach (var direction in (double[])[step, -step])
                    {
                        var tried = (double[])s.Clone();
                        tried[i] += direction;
                        if (BradleyTerry.LogLikelihood(wins, tried) > BradleyTerry.LogLikelihood(wins, s))
                            (s, better) = (tried, true);
                    }
                }
            } while (better);
        }

        var mean = s.Average();
        return [.. s.Select(v => v - mean)];
    }
}
