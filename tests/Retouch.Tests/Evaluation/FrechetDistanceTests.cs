using Retouch.Evaluation.Statistics;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Evaluation;

/// <summary>Statistics and distance of normal distributions against another implementation and closed forms.</summary>
public sealed class FrechetDistanceTests
{
    [Theory]
    [InlineData("a", "b", 1e-5, 0)]
    [InlineData("a", "c", 1e-5, 0)]
    [InlineData("a", "a", 0, 1e-4)]
    [InlineData("lowrank_a", "lowrank_b", 1e-3, 0)]
    public void The_result_equals_the_golden(string first, string second, double relative, double absolute)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("frechet");
        using var a = Statistics(golden.Read($"in.{first}"), 64);
        using var b = Statistics(golden.Read($"in.{second}"), 64);
        var expected = golden.Read($"out.{first}-{second}").Item();
        TestTensors.Close(expected, Distance(a, b), absolute + (relative * expected));
        TestTensors.Close(expected, Distance(b, a), absolute + (relative * expected), "the other way round");
    }

    [Fact]
    public void Independent_coordinates_have_the_closed_form()
    {
        using var scope = TensorScope.Enter();
        double[] m1 = [0, 1, -2],
            s1 = [1, 0.5, 3],
            m2 = [0.5, 1, 4],
            s2 = [2, 0, 3];
        Tensor Diagonal(double[] s) => Ops.Eye(3, dtype: DType.Float64) * Tensor.From(s).Square();
        var d = FrechetDistance.Squared(Tensor.From(m1, 1, 3), Diagonal(s1).Unsqueeze(0), Tensor.From(m2, 1, 3), Diagonal(s2).Unsqueeze(0));
        var expected = 0.0;
        for (var k = 0; k < 3; k++)
            expected += Math.Pow(m1[k] - m2[k], 2) + Math.Pow(s1[k] - s2[k], 2);
        TestTensors.Close(expected, d.Item(), 1e-12);
    }

    [Fact]
    public void A_symmetric_positive_map_has_the_cost_of_its_transport()
    {
        // x -> Mx is the optimal transport from N(0, C) to N(0, MCM) if M is symmetric positive definite (Brenier): its cost is tr (I - M)
        // C (I - M).
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 5);
        var (c, m) = (Positive(generator, 6), Positive(generator, 6));
        var moved = m.Matmul(c).Matmul(m);
        var identity = Ops.Eye(6, dtype: DType.Float64);
        var expected = (identity - m).Matmul(c).Matmul(identity - m).Trace().Item();
        var zero = Ops.Zeros([1, 6], dtype: DType.Float64);
        var (distance, derivative) = FrechetDistance.SquaredWithDerivative(zero, c.Unsqueeze(0), zero, moved.Unsqueeze(0));
        TestTensors.Close(expected, distance.Item(), 1e-10 * expected);
        // Rounding changes the eigenvalues of C^½ MCM C^½ by about nε times the largest; the square root of the smallest is most sensitive,
        // and C^−½ on both sides amplifies the error.
        var (values, vectors) = c.LinalgEigh();
        var root = (vectors * values.Sqrt()).Matmul(vectors.T());
        var roots = root.Matmul(m).Matmul(root).LinalgEigh().Item1.ToArray<double>();
        var rounding = 6 * (double.BitIncrement(1) - 1);
        var bound = rounding * roots.Max() * roots.Max() / (2 * roots.Min()) / values.Min().Item();
        Assert.InRange(TestTensors.Furthest(derivative.Squeeze(0), identity - m), 0, bound);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_singular_covariance_of_FIDs_size_has_distance_zero_to_itself()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 7);
        // Like Inception's: non-negative, with mean 0.4 and standard deviation 0.3.
        var x = ((Ops.Randn([300, 2048], generator) * 0.4) + 0.3).Relu();
        using var a = Statistics(x, 64);
        using var b = Statistics(x.Flip([0L]), 300);
        var distance = Distance(a, b);
        Assert.True(distance is >= 0 and < 1e-3, $"{distance}");
    }

    [Fact]
    public void The_derivative_equals_finite_differences()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 9);
        var (c1, c2) = (Positive(generator, 5), Positive(generator, 5));
        var zero = Ops.Zeros([1, 5], dtype: DType.Float64);
        var direction = Ops.Randn([5, 5], generator).To(DType.Float64);
        direction += direction.T();
        var (_, derivative) = FrechetDistance.SquaredWithDerivative(zero, c1.Unsqueeze(0), zero, c2.Unsqueeze(0));
        const double Step = 1e-5;
        double At(double t) => FrechetDistance.Squared(zero, (c1 + (direction * t)).Unsqueeze(0), zero, c2.Unsqueeze(0)).Item();
        TestTensors.Close((At(Step) - At(-Step)) / (2 * Step), (derivative.Squeeze(0) * direction).Sum().Item(), 1e-7);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(500)]
    public void The_result_does_not_depend_on_order_or_batches(int batch)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 3);
        // Far from zero, where uncentred sums of squares lose half of their digits.
        var x = (Ops.Randn([500, 4], generator).To(DType.Float64) * 0.01) + 1000;
        using var whole = Statistics(x, 500);
        using var parts = Statistics(x.Flip([0L]), batch);
        var centred = x - x.Mean([0L], keepdim: true);
        var expected = centred.T().Matmul(centred) / 499;
        foreach (var statistics in new[] { whole, parts })
        {
            Assert.Equal(500, statistics.Count);
            Assert.True(TestTensors.Furthest(statistics.Mean(0, 1), x.Mean([0L]).Unsqueeze(0)) < 1e-9);
            Assert.True(TestTensors.Furthest(statistics.Covariance(0, 1), expected.Unsqueeze(0)) < 1e-13);
        }
    }

    private static Tensor Positive(Generator generator, int size)
    {
        var x = Ops.Randn([size, size], generator).To(DType.Float64);
        return x.Matmul(x.T()) + (Ops.Eye(size, dtype: DType.Float64) * 0.1);
    }

    private static GaussianStatistics Statistics(Tensor rows, int batch)
    {
        var statistics = new GaussianStatistics(1, (int)rows.Shape[1], Device.Cpu);
        foreach (var part in rows.Split(batch))
            statistics.Add(part.Unsqueeze(0));
        return statistics;
    }

    private static double Distance(GaussianStatistics a, GaussianStatistics b) =>
        FrechetDistance.Squared(a.Mean(0, 1), a.Covariance(0, 1), b.Mean(0, 1), b.Covariance(0, 1)).Item();
}
