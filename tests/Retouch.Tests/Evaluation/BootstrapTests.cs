using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Evaluation.Frequency;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Statistics;
using Retouch.Torch;

namespace Retouch.Tests.Evaluation;

public sealed class BootstrapTests
{
    private static readonly FigureName[] Mean = [new("mean", Preference.Lower)];

    [Fact]
    public void Intervals_of_a_mean_have_their_nominal_coverage()
    {
        const int Trials = 600;
        var options = new BootstrapOptions { Resamples = 300, Confidence = 0.9 };
        var held = 0;
        for (var trial = 0; trial < Trials; trial++)
        {
            var replicates = Bootstrap.Replicates(
                ImageScores.Averages(Mean, Normal((ulong)trial, 60, mean: 2)),
                options with
                {
                    Seed = (ulong)trial,
                },
                0
            );
            held += Bootstrap.Percentiles(replicates, 0, 0.9).Contains(2) ? 1 : 0;
        }

        // 0.9 of 600 is 540, with a standard deviation of 7.3; the percentile interval of 60 values is too short by about a hundredth.
        Assert.InRange(held, 505, 565);
    }

    [Fact]
    public void The_width_is_that_of_the_normal_interval()
    {
        var rows = Normal(1, 2000, 0);
        var deviation = Math.Sqrt(rows.Select(r => r * r).Average() - Math.Pow(rows.Average(), 2));
        var interval = Bootstrap.Percentiles(
            Bootstrap.Replicates(ImageScores.Averages(Mean, rows), new BootstrapOptions { Resamples = 4000 }, 0),
            0,
            0.95
        );
        var expected = 2 * 1.96 * deviation / Math.Sqrt(2000);
        TestTensors.Close(expected, interval.High - interval.Low, 0.06 * expected);
    }

    [Fact]
    public void Paired_differences_cancel_common_variation()
    {
        var shared = Normal(1, 500, 0);
        var noise = Normal(2, 500, 0);
        var a = ImageScores.Averages(Mean, shared);
        var b = ImageScores.Averages(Mean, [.. shared.Zip(noise, (s, n) => s + 0.05 + (0.1 * n))]);
        var options = new BootstrapOptions();
        double Width(ulong stream)
        {
            var interval = Bootstrap.DifferencePercentiles(
                Bootstrap.Replicates(b, options, stream),
                Bootstrap.Replicates(a, options, 0),
                0,
                0.95
            );
            return interval.High - interval.Low;
        }

        TestTensors.Close(2 * 1.96 * 0.1 / Math.Sqrt(500), Width(0), 0.003);
        TestTensors.Close(2 * 1.96 * Math.Sqrt(2) / Math.Sqrt(500), Width(1), 0.03);
    }

    [Fact]
    public void The_seed_determines_the_result()
    {
        var scores = ImageScores.Averages(Mean, Normal(1, 50, 0));
        double[] Run(ulong seed, ulong stream) =>
            [.. Bootstrap.Replicates(scores, new BootstrapOptions { Seed = seed }, stream).Select(r => r[0])];
        Assert.Equal(Run(3, 1), Run(3, 1));
        Assert.NotEqual(Run(3, 1), Run(4, 1));
        Assert.NotEqual(Run(3, 1), Run(3, 2));
    }

    [Fact]
    public void An_infinite_score_affects_only_its_resamples()
    {
        var scores = ImageScores.Averages(Mean, [1, double.PositiveInfinity, 3]);
        Assert.Equal([2.0], scores.Figures([1, 0, 1]));
        Assert.Equal([double.PositiveInfinity], scores.Figures());
        var interval = Bootstrap.Percentiles(Bootstrap.Replicates(scores, new BootstrapOptions(), 0), 0, 0.95);
        Assert.True(interval.Low is >= 1 and <= 3 && double.IsPositiveInfinity(interval.High), interval.ToString());
    }

    [Fact]
    public void Options_out_of_range_are_rejected()
    {
        Assert.Throws<UsageException>(() => new EvaluationOptions { Bootstrap = new BootstrapOptions { Resamples = 5 } }.Validate());
        Assert.Throws<UsageException>(() => new EvaluationOptions { Bootstrap = new BootstrapOptions { Confidence = 1 } }.Validate());
        Assert.Throws<UsageException>(() =>
            new EvaluationOptions { Bootstrap = new BootstrapOptions { Confidence = double.NaN } }.Validate()
        );
    }

    [Fact]
    public void Intervals_of_the_wavelet_distance_cover_the_true_distance()
    {
        // Gray 4 x 4 pictures of white noise: all coefficients are normal with the noise's deviation, so the true distance is known.
        // Colours are correlated, which the covariance must represent: twelve coefficients, four of them independent.
        using var scope = TensorScope.Enter();
        const int Trials = 150,
            Count = 400;
        const double DeviationA = 0.10,
            DeviationB = 0.16;
        var plan = WaveletPlan.For(4, 4, 1);
        using var generator = Generator.Create(Device.Cpu, 1);
        // The reference is treated as fixed: with many pictures, its own error is small.
        using var reference = Gray(plan, generator, 60_000, DeviationB, out _);
        // Per packet tr(Σ) = 4 places · 3 colours · variance; the roots of both are proportional.
        var truth = 12 * Math.Pow(DeviationB - DeviationA, 2);
        var held = 0;
        for (var trial = 0; trial < Trials; trial++)
        {
            using var inner = TensorScope.Enter();
            using var images = Gray(plan, generator, Count, DeviationA, out var x);
            var (distance, influence) = WaveletDistance.WithInfluence(images, reference);
            using var disposing = influence;
            var scores = WaveletScores.Of(distance, influence.Of(x));
            var replicates = Bootstrap.Replicates(scores, new BootstrapOptions { Resamples = 400, Seed = (ulong)trial }, 0);
            held += Bootstrap.Percentiles(replicates, 0, 0.95).Contains(truth) ? 1 : 0;
        }

        // 0.95 of 150 is 142.5, with a standard deviation of 2.7.
        Assert.InRange(held, 134, 150);
    }

    private static WaveletStatistics Gray(WaveletPlan plan, Generator generator, int count, double deviation, out Tensor x)
    {
        x = ((Ops.Randn([count, 1, 4, 4], generator) * deviation) + 0.5).Expand([count, 3, 4, 4]).Contiguous();
        var statistics = new WaveletStatistics(plan, Device.Cpu);
        statistics.Add(x);
        return statistics;
    }

    private static double[] Normal(ulong seed, int count, double mean)
    {
        var random = new SplitMix64(SplitMix64.Derive(seed, 99));
        var values = new double[count];
        for (var i = 0; i < count; i++)
            values[i] = mean + (Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
        return values;
    }
}
