using Retouch.Objectives.Preference;

namespace Retouch.Tests.Objectives.Preference;

public sealed class PreferenceWatchTests
{
    private static readonly DivergenceOptions Options = new() { Bound = 0.5, Steps = 4 };

    [Fact]
    public void The_run_stops_if_both_errors_exceed_the_bound()
    {
        var watch = new PreferenceWatch(Options);
        for (var step = 0; step < 20; step++)
            Assert.Null(watch.Observe(Errors(1, 1.1, 1)).Stop);
        Assert.False(watch.IsPast);
        string? stop = null;
        var steps = 0;
        while (stop is null && steps < 100)
        {
            stop = watch.Observe(Errors(4, 5, 1)).Stop;
            steps++;
        }

        // Smoothed by a tenth per step: 1 + 3·(1 − 0.9^n) exceeds 1.5 at n = 2; the loser, 1.1 + 3.9·(1 − 0.9^n), at n = 2 as well.
        Assert.Equal(2 + 3, steps);
        Assert.True(watch.IsPast);
        Assert.Contains("preference_latent errors of", stop);
        Assert.Contains("of the reference", stop);
        Assert.Contains("where 50 % are allowed", stop);
    }

    [Theory]
    [InlineData(1, 9)] // only the loser
    [InlineData(9, 1)]
    public void One_alone_does_not_stop(double winner, double loser)
    {
        var watch = new PreferenceWatch(Options);
        for (var step = 0; step < 50; step++)
            Assert.Null(watch.Observe(Errors(winner, loser, 1)).Stop);
    }

    [Fact]
    public void Without_a_reference_the_early_average_is_the_baseline()
    {
        var watch = new PreferenceWatch(Options);
        double[] early = [1, 2, 1, 2];
        foreach (var e in early)
            watch.Observe(Errors(e, e, null));
        Assert.Equal(1.5, watch.State.Terms["preference_latent"].BaseWinner, 1e-12);
        for (var step = 0; step < 60; step++)
            Assert.Null(watch.Observe(Errors(2.2, 2.2, null)).Stop);
        string? stop = null;
        for (var step = 0; step < 60; step++)
            stop ??= watch.Observe(Errors(2.4, 2.4, null)).Stop;
        Assert.Contains("early in the run", stop);
        Assert.Equal(1.5, watch.State.Terms["preference_latent"].BaseWinner, 1e-12);
    }

    [Fact]
    public void A_bound_of_zero_never_stops()
    {
        var watch = new PreferenceWatch(new() { Bound = 0 });
        for (var step = 0; step < 100; step++)
            Assert.Null(watch.Observe(Errors(9, 9, 1)).Stop);
    }

    [Fact]
    public void A_spike_is_reported_in_standard_deviations()
    {
        var watch = new PreferenceWatch(Options);
        PreferenceVerdict Loss(double loss) => watch.Observe(new Dictionary<string, double> { ["loss/total"] = loss });
        for (var step = 0; step < 40; step++)
            Assert.Null(Loss(step % 2 == 0 ? 0.9 : 1.1).Note);
        // Mean 1 and standard deviation 0.1 overall.
        var verdict = Loss(2);
        Assert.Equal(10, Assert.Single(verdict.Figures).Value, 1e-6);
        Assert.Contains("10.0 standard deviations above its running mean of 1", verdict.Note);
        Assert.Null(Loss(1).Note);
    }

    private static Dictionary<string, double> Errors(double winner, double loser, double? reference)
    {
        var figures = new Dictionary<string, double> { ["preference_latent/winner"] = winner, ["preference_latent/loser"] = loser };
        if (reference is { } r)
        {
            figures["preference_latent/reference_winner"] = r;
            figures["preference_latent/reference_loser"] = r;
        }

        return figures;
    }
}
