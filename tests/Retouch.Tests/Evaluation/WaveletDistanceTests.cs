using Retouch.Core.Errors;
using Retouch.Evaluation.Frequency;
using Retouch.Evaluation.Statistics;
using Retouch.Torch;

namespace Retouch.Tests.Evaluation;

public sealed class WaveletDistanceTests
{
    [Fact]
    public void Packets_preserve_the_sum_of_squares()
    {
        using var scope = TensorScope.Enter();
        var x = TestTensors.Pictures(2, 32, 1);
        var packets = WaveletPackets.Haar(x, 3);
        Assert.Equal([2L, 64, 3, 4, 4], packets.Shape);
        TestTensors.Close(x.Square().Sum().Item(), packets.Square().Sum().Item(), 1e-9);

        var flat = WaveletPackets.Haar(Ops.Full([1, 3, 32, 32], 0.25, dtype: DType.Float64), 3);
        TestTensors.Close(0.25 * 8, flat.Select(1, 0).Min().Item(), 1e-12);
        TestTensors.Close(0, flat.Narrow(1, 1, 63).Abs().Max().Item(), 1e-12);
    }

    [Fact]
    public void Every_Walsh_pattern_belongs_to_its_packet()
    {
        // Walsh functions ordered by the number of sign changes: the packet at (row, column) corresponds to row changes vertically and
        // column changes horizontally.
        using var scope = TensorScope.Enter();
        const int Level = 3;
        for (var packet = 0; packet < 64; packet++)
        {
            // The transform of one block is an orthonormal matrix: its row is the pattern.
            var pattern = Pattern(packet, Level);
            var (row, column) = WaveletPackets.Frequency(packet, Level);
            Assert.Equal(row, Enumerable.Range(1, 7).Count(y => pattern[y, 0] * pattern[y - 1, 0] < 0));
            Assert.Equal(column, Enumerable.Range(1, 7).Count(x => pattern[0, x] * pattern[0, x - 1] < 0));
        }
    }

    [Theory]
    [InlineData(256, 4)]
    [InlineData(128, 4)]
    [InlineData(64, 4)]
    [InlineData(32, 3)]
    [InlineData(512, 6)]
    [InlineData(100, 2)]
    [InlineData(8, 1)]
    public void The_level_follows_the_rule(int side, int level)
    {
        var plan = WaveletPlan.For(side, side);
        Assert.Equal(level, plan.Level);
        Assert.Equal(3 * side * side, plan.Packets * plan.Features);
        Assert.True(plan.Bytes <= WaveletPlan.MaxBytes);
    }

    [Fact]
    public void An_invalid_level_is_rejected()
    {
        Assert.Throws<UsageException>(() => WaveletPlan.For(33, 32));
        Assert.Throws<UsageException>(() => WaveletPlan.For(32, 32, 6));
        Assert.Throws<UsageException>(() => WaveletPlan.For(512, 512, 4));
    }

    [Fact]
    public void The_distance_is_zero_to_itself_and_increases_with_blur()
    {
        using var scope = TensorScope.Enter();
        var x = TestTensors.Pictures(96, 16, 7);
        using var reference = Statistics(x, 32);
        var distances = new[] { 1, 3, 5, 7 }.Select(side => Between(TestTensors.Blurred(x, side), reference)).ToArray();
        var scale = (reference.Gaussian.Covariance(0, reference.Plan.Packets).Diagonal(0, 1, 2).Sum() / reference.Plan.Packets).Item();
        Assert.True(distances[0] < 1e-6 * scale, $"to itself {distances[0]:R} of {scale:R}");
        for (var k = 1; k < distances.Length; k++)
            Assert.True(distances[k] > 1.5 * distances[k - 1], $"{distances[k]:R} after {distances[k - 1]:R}");
    }

    [Fact]
    public void The_value_is_the_mean_over_packets()
    {
        using var scope = TensorScope.Enter();
        Tensor x = TestTensors.Pictures(60, 8, 7),
            y = TestTensors.Pictures(50, 8, 8);
        using Statistics2 sets = new(x, y);
        var distance = WaveletDistance.Between(sets.X, sets.Y);
        var packets = WaveletPackets.Haar(x, 1);
        var other = WaveletPackets.Haar(y, 1);
        for (var p = 0; p < 4; p++)
        {
            var (a, b) = (packets.Select(1, p).Flatten(1), other.Select(1, p).Flatten(1));
            var expected = FrechetDistance
                .Squared(a.Mean([0L]).Unsqueeze(0), a.T().Cov().Unsqueeze(0), b.Mean([0L]).Unsqueeze(0), b.T().Cov().Unsqueeze(0))
                .Item();
            TestTensors.Close(expected, distance.Packets[p], 1e-9);
        }

        TestTensors.Close(distance.Packets.Average(), distance.Value, 1e-12);
        TestTensors.Close(distance.Packets[0], distance.Bands[0], 1e-12);
        TestTensors.Close(distance.Packets.Skip(1).Average(), distance.Bands[1], 1e-12);
        Assert.True(double.IsNaN(distance.Bands[2]));
    }

    [Fact]
    public void Logarithms_give_another_distance()
    {
        using var scope = TensorScope.Enter();
        var x = TestTensors.Pictures(40, 8, 7);
        using var plain = new WaveletStatistics(WaveletPlan.For(8, 8), Device.Cpu);
        using var logarithms = new WaveletStatistics(WaveletPlan.For(8, 8, logarithm: true), Device.Cpu);
        logarithms.Add(x);
        var expected = (WaveletPackets.Haar(x, 1).Abs() + 1e-6).Log().Mean([0L]).Flatten(1);
        Assert.True(TestTensors.Furthest(expected, logarithms.Gaussian.Mean(0, 4)) < 1e-12);
        Assert.Throws<ArgumentException>(() => WaveletDistance.Between(plain, logarithms));
    }

    [Theory]
    [InlineData(5)]
    [InlineData(96)]
    public void The_result_does_not_depend_on_order_or_batches(int batch)
    {
        using var scope = TensorScope.Enter();
        Tensor x = TestTensors.Pictures(96, 16, 7),
            y = TestTensors.Pictures(80, 16, 8);
        using var reference = Statistics(y, 80);
        var expected = Between(x, reference);
        using var other = Statistics(x.Flip([0L]), batch);
        TestTensors.Close(expected, WaveletDistance.Between(other, reference).Value, 1e-9 * expected);
    }

    [Fact]
    public void Influence_approximates_the_change_without_a_picture()
    {
        using var scope = TensorScope.Enter();
        const int Count = 1500;
        Tensor x = TestTensors.Pictures(Count, 8, 17),
            y = TestTensors.Pictures(900, 8, 18) * 0.9;
        using Statistics2 sets = new(x, y);
        var (distance, influence) = WaveletDistance.WithInfluence(sets.X, sets.Y);
        using var disposing = influence;
        TestTensors.Close(WaveletDistance.Between(sets.X, sets.Y).Value, distance.Value, 1e-10);
        var values = influence.Of(x).Chunk(WaveletInfluence.Columns).ToArray();
        var mean = values.Average(static v => v[0]);
        double worst = 0,
            largest = 0;
        for (var left = 0; left < 12; left++)
        {
            using var without = Statistics(Ops.Cat([x.Narrow(0, 0, left), x.Narrow(0, left + 1, Count - left - 1)], 0), Count);
            var exact = (Count - 1) * (distance.Value - WaveletDistance.Between(without, sets.Y).Value);
            worst = Math.Max(worst, Math.Abs(exact - (values[left][0] - mean)));
            largest = Math.Max(largest, Math.Abs(exact));
        }

        Assert.True(worst < 0.05 * largest, $"off by {worst:R} of {largest:R}");
        Assert.All(values, v => TestTensors.Close(v[0], ((v[1] * 1) + (v[2] * 3)) / 4, 1e-10));
    }

    private static double[,] Pattern(int packet, int level)
    {
        var side = 1 << level;
        var pattern = new double[side, side];
        for (var at = 0; at < side * side; at++)
        {
            var pixels = new double[side * side];
            pixels[at] = 1;
            pattern[at / side, at % side] = WaveletPackets.Haar(Tensor.From(pixels, 1, 1, side, side), level).ToArray<double>()[packet];
        }

        return pattern;
    }

    private static WaveletStatistics Statistics(Tensor pictures, int batch)
    {
        var statistics = new WaveletStatistics(WaveletPlan.For((int)pictures.Shape[3], (int)pictures.Shape[2]), Device.Cpu);
        foreach (var part in pictures.Split(batch))
            statistics.Add(part);
        return statistics;
    }

    private static double Between(Tensor pictures, WaveletStatistics reference)
    {
        using var statistics = Statistics(pictures, 32);
        return WaveletDistance.Between(statistics, reference).Value;
    }

    private sealed class Statistics2(Tensor x, Tensor y) : IDisposable
    {
        public WaveletStatistics X { get; } = Statistics(x, 64);

        public WaveletStatistics Y { get; } = Statistics(y, 64);

        public void Dispose()
        {
            X.Dispose();
            Y.Dispose();
        }
    }
}
