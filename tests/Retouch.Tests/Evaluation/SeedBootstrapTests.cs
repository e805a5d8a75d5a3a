using Retouch.Evaluation.Statistics;

namespace Retouch.Tests.Evaluation;

public sealed class SeedBootstrapTests
{
    private static readonly BootstrapOptions Options = new() { Resamples = 4000 };

    [Fact]
    public void Students_interval_equals_the_textbooks()
    {
        // Three values with mean 2 and standard deviation 1; t(0.975; 2) = 4.302653 by tables.
        var estimate = SeedBootstrap.Mean([1, 2, 3], Still(1, 2, 3), Options);
        Assert.Equal(2, estimate.Value);
        Assert.Equal(2 - (4.302653 / Math.Sqrt(3)), estimate.OverSeeds!.Value.Low, 6);
        Assert.Equal(2 + (4.302653 / Math.Sqrt(3)), estimate.OverSeeds!.Value.High, 6);
    }

    [Fact]
    public void One_seed_gives_the_interval_over_pictures()
    {
        double[] replicates = [.. Enumerable.Range(0, 101).Select(static k => (double)k)];
        var estimate = SeedBootstrap.Mean([50], [replicates], Options);
        Assert.Null(estimate.OverSeeds);
        Assert.Equal(2.5, estimate.Interval.Low, 9);
        Assert.Equal(97.5, estimate.Interval.High, 9);
    }

    [Fact]
    public void Seeds_and_pictures_both_widen_the_interval()
    {
        // Two seeds with a difference of 10 and equal pictures: the mean of two draws is 0, 5 or 10.
        var seeds = SeedBootstrap.Mean([0, 10], Still(0, 10), Options);
        Assert.Equal((0, 10), (seeds.Interval.Low, seeds.Interval.High));
        // Equal seeds with correlated pictures: the variation remains, since the pictures are the same in both.
        var random = new Random(1);
        double[] together = [.. Enumerable.Range(0, 4000).Select(_ => random.NextDouble())];
        var pictures = SeedBootstrap.Mean([0.5, 0.5], [together, together], Options);
        Assert.InRange(pictures.Interval.Low, 0.015, 0.035);
        Assert.InRange(pictures.Interval.High, 0.965, 0.985);
    }

    [Fact]
    public void A_paired_difference_cancels_common_variation()
    {
        var random = new Random(2);
        double[][] noise =
        [
            .. Enumerable.Range(0, 3).Select(_ => (double[])[.. Enumerable.Range(0, 4000).Select(_ => 100 * random.NextDouble())]),
        ];
        double[][] lower = [.. noise.Select(static row => (double[])[.. row.Select(static v => v - 1)])];
        var difference = SeedBootstrap.Difference([9, 19, 29], lower, [10, 20, 30], noise, Options);
        Assert.Equal(-1, difference.Value, 9);
        Assert.Equal(-1, difference.Interval.Low, 9);
        Assert.Equal(-1, difference.Interval.High, 9);
        Assert.Equal(-1, difference.Side);
        Assert.Equal(0, SeedBootstrap.Mean([-1, 1, 0.1], Still(-1, 1, 0.1), Options).Side);
    }

    [Fact]
    public void Inconsistent_seeds_are_rejected()
    {
        Assert.Throws<ArgumentException>(() => SeedBootstrap.Mean([1, 2], Still(1), Options));
        Assert.Throws<ArgumentException>(() => SeedBootstrap.Difference([1], Still(1), [1, 2], Still(1, 2), Options));
    }

    private static double[][] Still(params double[] values) => [.. values.Select(static v => (double[])[.. Enumerable.Repeat(v, 4000)])];
}
