using Retouch.Arena.Statistics;

namespace Retouch.Arena.Tests.Statistics;

/// <summary>Intervals against published values, their defining equation, and their nominal coverage.</summary>
public class ShareTests
{
    [Theory]
    // Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 1998, table I, method 3.
    [InlineData(81, 263, 0.2553, 0.3662)]
    [InlineData(15, 148, 0.0624, 0.1605)]
    [InlineData(0, 20, 0.0000, 0.1611)]
    [InlineData(1, 29, 0.0061, 0.1718)]
    public void Wilson_of_published_cases(int successes, int trials, double low, double high)
    {
        var share = Share.Wilson(successes, trials);
        Assert.Equal(low, share.Low, 4);
        Assert.Equal(high, share.High, 4);
    }

    [Fact]
    public void Wilson_limits_solve_the_score_test()
    {
        for (var successes = 1; successes < 17; successes++)
        {
            var share = Share.Wilson(successes, 17);
            foreach (var limit in (double[])[share.Low, share.High])
                Assert.Equal(Share.Normal95, Math.Abs(share.Value - limit) / Math.Sqrt(limit * (1 - limit) / 17), 10);
        }
    }

    [Fact]
    public void Wilson_interval_without_trials_is_the_unit_interval() => Assert.Equal(new Share(0, 0, 1), Share.Wilson(0, 0));

    [Fact]
    public void Improvement_without_ties_is_twice_the_Wilson_share_minus_one()
    {
        // Without ties, wins minus losses is 2p − 1, and the combined limits must equal those of p.
        var (wilson, improvement) = (Share.Wilson(13, 20), Share.Improvement(13, 0, 7));
        Assert.Equal(2 * wilson.Value - 1, improvement.Value, 12);
        Assert.Equal(2 * wilson.Low - 1, improvement.Low, 12);
        Assert.Equal(2 * wilson.High - 1, improvement.High, 12);
    }

    [Fact]
    public void Improvement_swaps_sign_with_the_models()
    {
        var (forward, back) = (Share.Improvement(12, 5, 3), Share.Improvement(3, 5, 12));
        Assert.Equal(-forward.Low, back.High, 12);
        Assert.Equal(-forward.High, back.Low, 12);
        Assert.InRange(Share.Improvement(10, 0, 0).Low, -1, 0.999);
    }

    [Theory]
    [InlineData(0.3, 0.3)]
    [InlineData(0.5, 0.2)]
    [InlineData(0.6, 0.05)]
    [InlineData(0.1, 0.1)]
    [InlineData(0.34, 0.56)]
    public void Improvement_has_its_nominal_coverage(double win, double loss)
    {
        // All outcomes of 30 comparisons with their multinomial probabilities: exact, without simulation.
        const int n = 30;
        var logFactorial = new double[n + 1];
        for (var k = 1; k <= n; k++)
            logFactorial[k] = logFactorial[k - 1] + Math.Log(k);
        var covered = 0.0;
        for (var w = 0; w <= n; w++)
        {
            for (var l = 0; w + l <= n; l++)
            {
                var t = n - w - l;
                var share = Share.Improvement(w, t, l);
                if (share.Low <= win - loss && win - loss <= share.High)
                    covered += Math.Exp(
                        logFactorial[n]
                            - logFactorial[w]
                            - logFactorial[l]
                            - logFactorial[t]
                            + w * Math.Log(win)
                            + l * Math.Log(loss)
                            + t * Math.Log(1 - win - loss)
                    );
            }
        }

        Assert.InRange(covered, 0.93, 0.985);
    }
}
