using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Evaluation.Features;

/// <summary>Precision, recall, density and coverage against another program and against the definitions.</summary>
public sealed class PrecisionRecallTests
{
    [Fact]
    public void The_result_equals_the_golden()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("prdc");
        foreach (var pair in new[] { ("real", "fake"), ("real", "far"), ("real", "narrow"), ("fake", "real") })
        {
            using var reference = FeatureRows.Of(golden.Read($"in.{pair.Item1}"));
            using var images = FeatureRows.Of(golden.Read($"in.{pair.Item2}"));
            foreach (var k in new[] { 1, 3, 5 })
            {
                var found = PrecisionRecall.Between(images, reference, new PrecisionRecallOptions { Neighbours = k }, Device.Cpu);
                var name = $"out.{pair.Item1}-{pair.Item2}.k{k}";
                golden.Check($"{name}.precision", Tensor.Scalar(found.Precision));
                golden.Check($"{name}.recall", Tensor.Scalar(found.Recall));
                golden.Check($"{name}.density", Tensor.Scalar(found.Density));
                golden.Check($"{name}.coverage", Tensor.Scalar(found.Coverage));
            }
        }
    }

    [Theory]
    [InlineData(BallRule.Open, 2048)]
    [InlineData(BallRule.Closed, 2048)]
    [InlineData(BallRule.Open, 37)]
    [InlineData(BallRule.Closed, 64)]
    public void Ties_and_duplicates_follow_the_definitions_for_any_tile_size(BallRule rule, int side)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 5);
        // Few distinct integer coordinates far from zero: many distances are equal, and float32 products alone cannot distinguish them.
        Tensor Grid(int rows) => Ops.Rand([rows, 5], generator).Mul(4).Floor() + 1000;
        var (a, b) = (Grid(150), Grid(211));
        foreach (var k in new[] { 1, 4, 30 })
        {
            using var images = FeatureRows.Of(a);
            using var reference = FeatureRows.Of(b);
            var found = PrecisionRecall.Between(
                images,
                reference,
                new PrecisionRecallOptions { Neighbours = k, Rule = rule },
                Device.Cpu,
                side
            );
            var (balls, recalled, covered) = Definitions(Rows(a), Rows(b), k, rule);
            Assert.Equal(balls, found.Balls);
            Assert.Equal(recalled, found.Recalled);
            Assert.Equal(covered, found.Covered);
        }
    }

    [Fact]
    public void The_order_of_pictures_does_not_matter()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 6);
        var (a, b) = (Ops.Randn([300, 64], generator), Ops.Randn([280, 64], generator) * 1.1);
        PrecisionRecall Of(Tensor x, Tensor y)
        {
            using var images = FeatureRows.Of(x);
            using var reference = FeatureRows.Of(y);
            return PrecisionRecall.Between(images, reference, new PrecisionRecallOptions(), Device.Cpu);
        }

        var (one, two) = (Of(a, b), Of(a.Flip([0L]), b.Flip([0L])));
        Assert.Equal(one.Balls, two.Balls.Reverse());
        Assert.Equal(one.Recalled, two.Recalled.Reverse());
        Assert.Equal(one.Covered, two.Covered.Reverse());
        Assert.InRange(one.Precision, 0.01, 1);
        var same = Of(a, a);
        Assert.Equal((1.0, 1.0, 1.0), (same.Precision, same.Recall, same.Coverage));
    }

    [Fact]
    public void More_neighbours_than_pictures_are_rejected()
    {
        using var scope = TensorScope.Enter();
        using var rows = FeatureRows.Of(Ops.Randn([5, 3], null));
        Assert.Contains(
            "5 pictures",
            Assert.Throws<UsageException>(() => PrecisionRecall.Between(rows, rows, new PrecisionRecallOptions(), Device.Cpu)).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<UsageException>(() => PrecisionRecall.Between(rows, rows, new PrecisionRecallOptions { Neighbours = 0 }, Device.Cpu));
    }

    /// <summary>The literal definitions in double precision.</summary>
    private static (int[] Balls, byte[] Recalled, byte[] Covered) Definitions(double[][] images, double[][] reference, int k, BallRule rule)
    {
        double Distance(double[] x, double[] y) => x.Zip(y, static (p, q) => (p - q) * (p - q)).Sum();
        double[] Radii(double[][] rows) =>
            [.. rows.Select((x, i) => rows.Where((_, j) => j != i).Select(y => Distance(x, y)).Order().ElementAt(k - 1))];
        bool In(double distance, double radius) => rule == BallRule.Open ? distance < radius : distance <= radius;
        var (own, real) = (Radii(images), Radii(reference));
        return (
            [.. images.Select(x => reference.Where((y, j) => In(Distance(x, y), real[j])).Count())],
            [.. reference.Select(y => images.Where((x, i) => In(Distance(x, y), own[i])).Any() ? (byte)1 : (byte)0)],
            [.. reference.Select((y, j) => images.Any(x => In(Distance(x, y), real[j])) ? (byte)1 : (byte)0)]
        );
    }

    private static double[][] Rows(Tensor x) => [.. x.ToArray<double>().Chunk((int)x.Shape[1])];
}
