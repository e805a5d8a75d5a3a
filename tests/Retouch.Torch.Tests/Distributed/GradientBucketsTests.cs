using Retouch.Torch.Distributed;

namespace Retouch.Torch.Tests.Distributed;

public sealed class GradientBucketsTests
{
    private const int Parameters = 7;

    /// <summary>Leaves of 4 to 10 elements, of two types.</summary>
    private static Tensor[] Leaves() =>
        [
            .. Enumerable
                .Range(0, Parameters)
                .Select(static k =>
                {
                    var leaf = Ops.Ones([2L, 2 + (k % 4)], dtype: k == 3 ? DType.Float64 : DType.Float32);
                    leaf.RequiresGrad = true;
                    return leaf;
                }),
        ];

    /// <summary>A loss whose gradient with respect to leaf k is factor · (k + 1) in every element.</summary>
    private static Tensor Loss(IEnumerable<Tensor> leaves, double factor)
    {
        // From the last to the first, so that the gradients of the last arrive first.
        var total = Ops.Zeros([], dtype: DType.Float64);
        foreach (var (k, leaf) in leaves.Index())
            total += leaf.To(DType.Float64).Sum() * (factor * (k + 1));
        return total;
    }

    private static void HaveGradients(Tensor[] leaves, Func<int, double> expected)
    {
        foreach (var (k, leaf) in leaves.Index())
        {
            Assert.Equal(leaf.Shape, leaf.Grad!.Shape);
            Assert.Equal(leaf.DType, leaf.Grad!.DType);
            Assert.All(leaf.Grad!.ToArray<double>(), v => Assert.Equal(expected(k), v));
        }
    }

    [Theory]
    [InlineData(1, 1, Parameters)]
    [InlineData(2, 1, Parameters)]
    [InlineData(2, 60, 5)] // from the last: 2 leaves, 1, 1 of another type, 2, 1
    [InlineData(4, 1 << 20, 3)]
    public void Gradients_are_the_sums_over_all_ranks_and_sent_during_backward(int size, long bytes, long count) =>
        Ranks.Run(
            size,
            group =>
            {
                var leaves = Leaves();
                using var buckets = new GradientBuckets(group, leaves, bytes);
                Assert.Equal(count, buckets.Count);
                for (var step = 1; step <= 3; step++)
                {
                    foreach (var leaf in leaves)
                        leaf.Grad = null;
                    buckets.Arm();
                    Autograd.Backward(Loss(leaves, step * (group.Rank + 1)));
                    Assert.Equal(count, buckets.Flush());
                    buckets.Finish();
                    HaveGradients(leaves, k => step * (k + 1) * (size * (size + 1) / 2));
                }
            }
        );

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(3, 60)]
    [InlineData(4, 1 << 20)]
    public void Sums_reach_their_owner_alone_and_gradients_are_freed(int size, long bytes) =>
        Ranks.Run(
            size,
            group =>
            {
                var leaves = Leaves();
                int[] owners = [.. Enumerable.Range(0, Parameters).Select(k => k % size)];
                using var buckets = new GradientBuckets(group, leaves, bytes, owners);
                for (var step = 1; step <= 3; step++)
                {
                    foreach (var leaf in leaves)
                        leaf.Grad = null;
                    // Two passes, of which the second lacks the gradient of the last leaf.
                    for (var pass = 1; pass <= 2; pass++)
                    {
                        buckets.Arm();
                        Autograd.Backward(Loss(leaves.Take(Parameters + 1 - pass), pass * step * (group.Rank + 1)));
                        buckets.Flush();
                        buckets.Finish(last: pass == 2);
                        Assert.All(leaves.Where((_, k) => pass == 1 || owners[k] != group.Rank), static l => Assert.Null(l.Grad));
                    }

                    var ranks = size * (size + 1) / 2;
                    foreach (var (k, leaf) in leaves.Index().Where(l => owners[l.Index] == group.Rank))
                    {
                        Assert.Equal(leaf.Shape, leaf.Grad!.Shape);
                        Assert.Equal(leaf.DType, leaf.Grad!.DType);
                        var passes = k == Parameters - 1 ? 1 : 3;
                        Assert.All(leaf.Grad!.ToArray<double>(), v => Assert.Equal(step * (k + 1) * ranks * passes, v));
                    }
                }

                Assert.Throws<ArgumentException>(() => new GradientBuckets(group, leaves, 1, [0]));
            }
        );

    [Fact]
    public void Accumulated_passes_are_sent_once() =>
        Ranks.Run(
            2,
            group =>
            {
                var leaves = Leaves();
                using var buckets = new GradientBuckets(group, leaves, 1);
                Autograd.Backward(Loss(leaves, 10));
                HaveGradients(leaves, static k => 10 * (k + 1));
                Autograd.Backward(Loss(leaves, 20));
                buckets.Arm();
                Autograd.Backward(Loss(leaves, group.Rank));
                Assert.Equal(Parameters, buckets.Flush());
                buckets.Finish();
                HaveGradients(leaves, static k => 61 * (k + 1));
            }
        );

    [Fact]
    public void Missing_gradients_of_a_rank_count_as_zero() =>
        Ranks.Run(
            2,
            group =>
            {
                var leaves = Leaves();
                using var buckets = new GradientBuckets(group, leaves, 1);
                buckets.Arm();
                // Rank 1 has no gradient of the last leaf, whose bucket is the first.
                Autograd.Backward(Loss(group.Rank == 0 ? leaves : leaves[..5], 1));
                Assert.Equal(group.Rank == 0 ? Parameters : 0, buckets.Flush());
                buckets.Finish();
                HaveGradients(leaves, static k => (k < 5 ? 2 : 1) * (k + 1));
            }
        );

    [Fact]
    public void A_process_without_a_backward_pass_contributes_nothing() =>
        Ranks.Run(
            2,
            group =>
            {
                var leaves = Leaves();
                using var buckets = new GradientBuckets(group, leaves);
                buckets.Arm();
                if (group.Rank == 0)
                    Autograd.Backward(Loss(leaves, 1));
                buckets.Flush();
                buckets.Finish();
                HaveGradients(leaves, static k => k + 1);
            }
        );

    [Fact]
    public void A_leaf_without_gradient_is_rejected() =>
        Ranks.Run(1, static group => Assert.Throws<TorchException>(() => new GradientBuckets(group, [Ops.Ones([2])])));

    [Fact]
    public void Freed_buckets_leave_no_hooks() =>
        Ranks.Run(
            1,
            static group =>
            {
                var leaves = Leaves();
                using (var buckets = new GradientBuckets(group, leaves))
                    buckets.Arm();
                Autograd.Backward(Loss(leaves, 1));
                HaveGradients(leaves, static k => k + 1);
            }
        );

    [Fact]
    public void Gradients_in_bfloat16_are_summed_in_float32() =>
        Ranks.Run(
            3,
            group =>
            {
                var leaf = Ops.Ones([5L], dtype: DType.BFloat16);
                leaf.RequiresGrad = true;
                using var buckets = new GradientBuckets(group, [leaf]);
                buckets.Arm();
                Autograd.Backward((leaf * (group.Rank == 0 ? 256 : 1)).Sum());
                buckets.Flush();
                buckets.Finish();
                // bfloat16 has 8 bits: 256 + 1 is 256, and 256 + 1 + 1 with one rounding 258.
                Assert.Equal(DType.BFloat16, leaf.Grad!.DType);
                Assert.All(leaf.Grad!.To(DType.Float64).ToArray<double>(), static v => Assert.Equal(258, v));
            }
        );
}
