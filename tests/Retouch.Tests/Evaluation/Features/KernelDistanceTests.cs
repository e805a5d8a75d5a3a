using Retouch.Evaluation.Features;
using Retouch.Evaluation.Statistics;
using Retouch.Torch;

namespace Retouch.Tests.Evaluation.Features;

/// <summary>The kernel distance against explicit sums and a closed form.</summary>
public sealed class KernelDistanceTests
{
    [Fact]
    public void It_equals_the_definition_as_a_sum_over_pairs()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 2);
        var (x, y) = (Ops.Randn([7, 5], generator).To(DType.Float64), (Ops.Randn([9, 5], generator) + 0.3).To(DType.Float64));
        double[][] a = [.. x.ToArray<double>().Chunk(5)],
            b = [.. y.ToArray<double>().Chunk(5)];
        double K(double[] p, double[] q) => Math.Pow((p.Zip(q, static (s, t) => s * t).Sum() / 5) + 1, 3);
        var within = 0.0;
        for (var i = 0; i < 7; i++)
        {
            for (var j = 0; j < 7; j++)
                within += i == j ? 0 : K(a[i], a[j]) / 42;
        }

        for (var i = 0; i < 9; i++)
        {
            for (var j = 0; j < 9; j++)
                within += i == j ? 0 : K(b[i], b[j]) / 72;
        }

        var across = a.Sum(p => b.Sum(q => K(p, q))) / 63;
        TestTensors.Close(within - (2 * across), KernelDistance.Unbiased(x, y), 1e-12);

        // One subset of all pictures is the full statistic; draws only change the order.
        using var images = FeatureRows.Of(x);
        using var reference = FeatureRows.Of(y.Narrow(0, 0, 7));
        var options = new KernelDistanceOptions { Subsets = 3, SubsetSize = 1000 };
        Assert.Equal(7, KernelDistance.SubsetSize(images, reference, options));
        TestTensors.Close(
            KernelDistance.Unbiased(x, y.Narrow(0, 0, 7)),
            KernelDistance.Between(images, reference, options, Device.Cpu),
            1e-6
        );
    }

    [Fact]
    public void Normal_features_give_the_closed_form_in_any_order()
    {
        // One feature, x ~ N(0, 1), y ~ N(m, 1): E(xy'+1)^3 = E x^3 E y^3 + 3 E x^2 E y^2 + 3 E x E y + 1, so MMD^2 = (E x^3 - E y^3)^2 + 3
        // (E x^2 - E y^2)^2 + 3 (E x - E y)^2.
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 3);
        const double M = 0.5;
        const int Count = 4000;
        var (x, y) = (Ops.Randn([Count, 1], generator), Ops.Randn([Count, 1], generator) + M);
        var expected = Math.Pow((M * M * M) + (3 * M), 2) + (3 * Math.Pow(M * M, 2)) + (3 * M * M);
        using var images = FeatureRows.Of(x);
        using var reference = FeatureRows.Of(y);
        using var shuffled = FeatureRows.Of(x.Flip([0L]));
        var options = new KernelDistanceOptions
        {
            Subsets = 50,
            SubsetSize = 500,
            Seed = 4,
        };
        var scores = FeatureScores.Kernel("kid", images, reference, options, Device.Cpu, CancellationToken.None);
        var value = scores.Figures()[0];
        var bootstrap = new BootstrapOptions { Resamples = 400, Confidence = 0.99 };
        var interval = Bootstrap.Percentiles(Bootstrap.Replicates(scores, bootstrap, 0), 0, 0.99);
        // The interval is 5.2 standard deviations of the set's sampling error; the reference's adds about as many.
        Assert.True(
            interval.Contains(value) && Math.Abs(value - expected) < interval.High - interval.Low,
            $"{expected} {value} {interval}"
        );
        Assert.True(interval.High - interval.Low < 0.5 * expected, $"{interval}");
        Assert.Equal(value, KernelDistance.Between(shuffled, reference, options, Device.Cpu));
        Assert.NotEqual(value, KernelDistance.Between(images, reference, options with { Seed = 5 }, Device.Cpu));
    }

    [Fact]
    public void The_influence_is_the_derivative_with_respect_to_a_pictures_weight()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 8);
        var (x, y) = (Ops.Randn([40, 6], generator), Ops.Randn([30, 6], generator) + 0.2);
        using var images = FeatureRows.Of(x);
        using var reference = FeatureRows.Of(y);
        var influence = KernelDistance.Influence(images, reference, Device.Cpu, CancellationToken.None);
        var mean = influence.Average();
        // Weighted form of the U-statistic: picture 11 has the weight (1 - e)/n + e, the others (1 - e)/n.
        double[][] a = [.. x.ToArray<double>().Chunk(6)],
            b = [.. y.ToArray<double>().Chunk(6)];
        double K(double[] p, double[] q) => Math.Pow((p.Zip(q, static (s, t) => s * t).Sum() / 6) + 1, 3);
        double At(double e)
        {
            var w = Enumerable.Range(0, 40).Select(i => ((1 - e) / 40) + (i == 11 ? e : 0)).ToArray();
            double within = 0,
                across = 0;
            for (var i = 0; i < 40; i++)
            {
                for (var j = 0; j < 40; j++)
                    within += i == j ? 0 : w[i] * w[j] * K(a[i], a[j]) * 40 / 39;
                across += w[i] * b.Average(q => K(a[i], q));
            }

            return within - (2 * across);
        }

        const double Step = 1e-4;
        TestTensors.Close((At(Step) - At(-Step)) / (2 * Step), influence[11] - mean, 1e-4);
    }
}
