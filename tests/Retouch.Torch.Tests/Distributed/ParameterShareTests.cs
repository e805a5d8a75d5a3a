using Retouch.Torch.Nn;
using Retouch.Torch.Optim;

namespace Retouch.Torch.Tests.Distributed;

/// <summary>Division of parameters among processes.</summary>
public sealed class ParameterShareTests
{
    private static readonly long[][] Shapes =
    [
        [3, 5],
        [7],
        [1],
        [4, 4, 2],
        [11],
        [2, 2],
    ];

    [Fact]
    public void Every_process_has_about_the_same_number_of_elements()
    {
        // Sizes of a transformer: many equal matrices, some larger ones, and many biases.
        long[] counts =
        [
            1152 * 4608,
            .. Enumerable
                .Range(0, 200)
                .Select(static k =>
                    k % 4 == 0 ? 1152L * 1152
                    : k % 4 == 1 ? 4608
                    : 1152
                ),
        ];
        foreach (var size in new[] { 1, 2, 4, 8 })
        {
            var owners = ParameterShare.Owners(counts, size);
            Assert.All(owners, o => Assert.InRange(o, 0, size - 1));
            long[] loads = [.. Enumerable.Range(0, size).Select(r => counts.Where((_, k) => owners[k] == r).Sum())];
            // No process has more than another by more than a parameter of the less loaded one (Graham 1969).
            Assert.True(loads.Max() - loads.Min() <= counts.Max(), string.Join(' ', loads));
            Assert.InRange((double)loads.Max() * size / counts.Sum(), 1, 1.35);
        }

        // The largest first: 5 and 4 + 1 rather than 5 + 1 and 4.
        Assert.Equal([0, 1, 1], ParameterShare.Owners([5, 4, 1], 2));
        Assert.Equal([0, 1, 2, 3], ParameterShare.Owners([1, 1, 1, 1], 5));
    }

    [Theory]
    [InlineData(1, 1 << 24)]
    [InlineData(2, 1 << 24)]
    [InlineData(3, 15)] // 5 elements of each process at once
    [InlineData(8, 1)] // more processes than parameters
    public void Every_process_receives_the_values_of_the_owners(int size, int atOnce) =>
        Ranks.Run(
            size,
            group =>
            {
                using var store = new ParameterStore();
                Parameter[] all = [.. Shapes.Select((s, k) => store.Root.Parameter($"p{k}", s, static (t, _) => t.ZeroInPlace()))];
                using var generator = Generator.Create(Device.Cpu, 0);
                store.Initialise(generator, Device.Cpu);
                store.RequireGrad(true);
                var share = new ParameterShare(all, group.Rank, size, group.AllGather) { AtOnce = atOnce };
                Assert.Equal(size == 8 && group.Rank > 5 ? 0 : share.Own.Count, share.Own.Count);
                static double Value(int k, long i) => (100 * k) + i + 0.5;
                using (Autograd.NoGrad())
                {
                    foreach (var (k, parameter) in all.Index())
                    {
                        var value = share.Own.Contains(parameter)
                            ? Tensor.From([.. Enumerable.Range(0, (int)parameter.Count).Select(i => (float)Value(k, i))])
                            : Ops.Full([parameter.Count], -1 - group.Rank);
                        parameter.Value.CopyInPlace(value.View(parameter.Shape));
                    }
                }

                share.Exchange();
                foreach (var (k, parameter) in all.Index())
                    Assert.Equal(
                        Enumerable.Range(0, (int)parameter.Count).Select(i => Value(k, i)),
                        parameter.Value.Detach().To(DType.Float64).View([-1]).ToArray<double>()
                    );

                var own = Tensor.From(
                    [.. share.Places.Select(static k => k + 1.0), .. share.Places.Select(static k => -k - 1.0)],
                    2,
                    share.Own.Count
                );
                Assert.Equal([1, 2, 3, 4, 5, 6, -1, -2, -3, -4, -5, -6], share.Join(own).ToArray<double>());
            }
        );
}
