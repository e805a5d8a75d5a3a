using Retouch.Core.Errors;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Patches;
using Retouch.Evaluation.Statistics;
using Retouch.Torch;

namespace Retouch.Tests.Evaluation;

/// <summary>The sliced Wasserstein distance: its one-dimensional core, its pyramid, and its values for sets.</summary>
public sealed class SlicedWassersteinTests
{
    [Fact]
    public void In_one_dimension_it_is_the_optimal_matching_cost()
    {
        // With both repeated to the common size 12, the optimal matching is the sorted one.
        float[] a = [-1, 0, 0, 2.5f],
            b = [0.5f, 1, 4];
        var expected = a.SelectMany(static x => Enumerable.Repeat(x, 3))
            .Zip(b.SelectMany(static x => Enumerable.Repeat(x, 4)), static (x, y) => Math.Abs((double)x - y))
            .Average();
        TestTensors.Close(expected, SlicedWasserstein.Distance(a, b, new double[4]), 1e-12);
        TestTensors.Close(expected, SlicedWasserstein.Distance(b, a, new double[3]), 1e-12);
        TestTensors.Close(0, SlicedWasserstein.Distance(a, a, new double[4]), 0);
        float[] moved = [.. a.Select(static x => x + 3)];
        TestTensors.Close(3, SlicedWasserstein.Distance(a, moved, new double[4]), 1e-12);
    }

    [Fact]
    public void The_influence_is_the_derivative_with_respect_to_a_values_weight()
    {
        float[] a = [-1, 0.2f, 0.7f, 2.5f],
            b = [0.5f, 1, 4];
        var influence = new double[4];
        SlicedWasserstein.Distance(a, b, influence);
        var mean = influence.Average();
        // One additional copy of the value among many copies of all.
        for (var k = 0; k < 4; k++)
        {
            const int Copies = 2000;
            float[] more = [.. a.SelectMany((x, i) => Enumerable.Repeat(x, i == k ? Copies + 1 : Copies))];
            var change = SlicedWasserstein.Distance(more, b, new double[more.Length]) - SlicedWasserstein.Distance(a, b, new double[4]);
            TestTensors.Close(influence[k] - mean, change * more.Length, 2e-3, $"value {k}");
        }
    }

    [Fact]
    public void The_pyramid_sums_to_the_picture()
    {
        using var scope = TensorScope.Enter();
        var x = TestTensors.Pictures(2, 64, 1);
        Assert.Equal(3, LaplacianPyramid.Levels(64, 64, 16));
        Assert.Equal(1, LaplacianPyramid.Levels(30, 31, 16));
        var levels = LaplacianPyramid.Of(x, 3);
        Assert.Equal([2L, 3, 16, 16], levels[2].Shape);
        var back = LaplacianPyramid.Up(LaplacianPyramid.Up(levels[2]) + levels[1]) + levels[0];
        Assert.True(TestTensors.Furthest(back, x) < 1e-12);
        var flat = LaplacianPyramid.Of(Ops.Full([1, 3, 32, 32], 0.4, dtype: DType.Float64), 2);
        // Away from the border, where the inserted zeros have no mirror image.
        Assert.True(flat[0].Narrow(2, 4, 24).Narrow(3, 4, 24).Abs().Max().Item() < 1e-12);
        Assert.True(TestTensors.Furthest(flat[1], Ops.Full([1, 3, 16, 16], 0.4, dtype: DType.Float64)) < 1e-12);
    }

    [Fact]
    public void Blur_is_detected_on_the_finest_level()
    {
        using var scope = TensorScope.Enter();
        var options = new EvaluationOptions
        {
            Metrics =
            [
                new SlicedWassersteinMetric
                {
                    Options = new() { Directions = 48, Patches = 32 },
                },
            ],
            Bootstrap = new BootstrapOptions { Resamples = 200 },
        };
        var real = TestTensors.Pictures(60, 32, 1);
        var other = TestTensors.Pictures(60, 32, 2);
        var noisy = other + (Ops.Rand([60, 3, 32, 32], null) - 0.5).To(DType.Float64) * 0.2;
        var result = Evaluator.Evaluate(
            TestTensors.Set("real", real),
            [TestTensors.Set("noisy", noisy), TestTensors.Set("other", other)],
            options
        );
        Assert.Equal(["swd", "swd.32", "swd.16"], result.Sets[0].Figures.Select(static f => f.Name));
        Assert.All(result.Sets[0].Figures, static f => Assert.True(f.Interval.Contains(f.Value), f.ToString()));
        Assert.Equal(Verdict.Better, result.Differences.Single(static d => d.Figure == "swd.32").Verdict);
        var figures = result.Sets[1].Figures;
        TestTensors.Close(figures[0].Value, (figures[1].Value + figures[2].Value) / 2, 1e-12);

        var shuffled = Evaluator.Evaluate(
            TestTensors.Set("real", real.Flip([0L])),
            [TestTensors.Set("other", other.Flip([0L]))],
            options with
            {
                BatchSize = 7,
            }
        );
        Assert.All(
            shuffled.Sets[0].Figures.Zip(figures),
            static pair => TestTensors.Close(pair.First.Value, pair.Second.Value, 1e-5 * pair.First.Value, pair.First.Name)
        );
        TestTensors.Close(
            0,
            Evaluator.Evaluate(TestTensors.Set("real", real), [TestTensors.Set("real", real)], options).Sets[0].Figures[0].Value,
            1e-7
        );
        var small = TestTensors.Set("small", TestTensors.Pictures(4, 4, 1));
        Assert.Contains(
            "swd",
            Assert.Throws<UsageException>(() => Evaluator.Evaluate(small, [small], options)).Message,
            StringComparison.Ordinal
        );
    }
}
