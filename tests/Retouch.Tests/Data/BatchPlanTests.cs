using FsCheck;
using FsCheck.Fluent;
using Retouch.Core.Errors;
using Retouch.Data;

namespace Retouch.Tests.Data;

public sealed class BatchPlanTests
{
    private static readonly Gen<(int Count, int Batch, ulong Seed)> Cases =
        from count in Gen.Choose(1, 40)
        from batch in Gen.Choose(1, 12)
        from seed in Gen.Choose(0, 1_000_000)
        select (count, batch, (ulong)seed);

    [Fact]
    public void Short_batches_contain_every_sample_once_per_epoch() =>
        ForAll(c =>
        {
            var plan = new BatchPlan(
                c.Count,
                new BatchPlanOptions
                {
                    BatchSize = c.Batch,
                    Seed = c.Seed,
                    End = EpochEnd.Short,
                }
            );
            var batches = Take(plan, default, plan.BatchesPerEpoch);
            return batches.SelectMany(b => b.Samples).Select(s => s.Index).Order().SequenceEqual(Enumerable.Range(0, c.Count))
                && batches.All(b => b.Epoch == 0)
                && batches[^1].Next == new DataCursor(1, 0);
        });

    [Fact]
    public void Wrapping_batches_are_full_and_uniform() =>
        ForAll(c =>
        {
            var plan = new BatchPlan(
                c.Count,
                new BatchPlanOptions
                {
                    BatchSize = c.Batch,
                    Seed = c.Seed,
                    End = EpochEnd.Wrap,
                }
            );
            // As many batches as samples are as many epochs as the batch size.
            var batches = Take(plan, default, c.Count);
            return batches.All(b => b.Samples.Count == c.Batch)
                && batches.SelectMany(b => b.Samples).CountBy(s => s.Index).All(p => p.Value == c.Batch)
                && batches.SelectMany(b => b.Samples).Distinct().Count() == c.Count * c.Batch;
        });

    [Fact]
    public void Dropping_confines_batches_to_their_epoch() =>
        ForAll(c =>
        {
            if (c.Batch > c.Count)
                return true;
            var plan = new BatchPlan(c.Count, new BatchPlanOptions { BatchSize = c.Batch, Seed = c.Seed });
            var batches = Take(plan, default, 3 * plan.BatchesPerEpoch);
            return batches
                    .Index()
                    .All(b => b.Item.Samples.Count == c.Batch && b.Item.Samples.All(s => s.Epoch == b.Index / plan.BatchesPerEpoch))
                && batches.SelectMany(b => b.Samples).Distinct().Count() == 3 * plan.BatchesPerEpoch * c.Batch;
        });

    [Fact]
    public void Any_cursor_resumes_exactly() =>
        ForAll(c =>
        {
            foreach (var end in new[] { EpochEnd.Wrap, EpochEnd.Short })
            {
                var options = new BatchPlanOptions
                {
                    BatchSize = c.Batch,
                    Seed = c.Seed,
                    End = end,
                };
                var whole = Take(new BatchPlan(c.Count, options), default, 12);
                var resumed = Take(new BatchPlan(c.Count, options), whole[4].Next, 7);
                if (!resumed.SelectMany(b => b.Samples).SequenceEqual(whole[5..].SelectMany(b => b.Samples)))
                    return false;
            }

            return true;
        });

    [Theory]
    [InlineData(EpochEnd.DropRest, false, 3)]
    [InlineData(EpochEnd.Wrap, false, 3)]
    [InlineData(EpochEnd.DropRest, true, 2)]
    public void Ranks_take_the_batches_of_one_process_in_turn(EpochEnd end, bool grouped, int ranks)
    {
        BatchPlan Plan(int rank, int size)
        {
            var options = new BatchPlanOptions
            {
                BatchSize = 2,
                Seed = 9,
                End = end,
                Rank = rank,
                WorldSize = size,
            };
            return grouped ? new BatchPlan([.. Enumerable.Range(0, 23).Select(static k => k % 4)], options) : new BatchPlan(23, options);
        }

        var one = Plan(0, 1);
        var (cursor, all) = (default(DataCursor), default(DataCursor));
        BatchPlan[] plans = [.. Enumerable.Range(0, ranks).Select(r => Plan(r, ranks))];
        for (var i = 0; i < 12; i++)
        {
            var shares = Array.ConvertAll(plans, plan => plan.At(all));
            foreach (var share in shares)
            {
                var whole = one.At(cursor);
                Assert.Equal(
                    (whole.Epoch, whole.Samples),
                    (share.Epoch, share.Samples),
                    static (a, b) => a.Epoch == b.Epoch && a.Samples.SequenceEqual(b.Samples)
                );
                cursor = whole.Next;
            }

            Assert.All(shares, share => Assert.Equal(cursor, share.Next));
            all = cursor;
            Assert.Equal(one.BatchesBefore(cursor), plans[0].BatchesBefore(cursor));
        }
    }

    [Fact]
    public void Order_depends_on_epoch_and_seed_if_shuffled()
    {
        int[] Order(ulong seed, long epoch, bool shuffle = true)
        {
            var plan = new BatchPlan(
                50,
                new BatchPlanOptions
                {
                    BatchSize = 50,
                    Seed = seed,
                    Shuffle = shuffle,
                }
            );
            return [.. plan.At(new DataCursor(epoch, 0)).Samples.Select(s => s.Index)];
        }

        Assert.NotEqual(Order(1, 0), Order(1, 1));
        Assert.NotEqual(Order(1, 0), Order(2, 0));
        Assert.Equal(Enumerable.Range(0, 50), Order(1, 3, shuffle: false));
    }

    [Fact]
    public void Shuffles_are_uniform()
    {
        // 24 orders of 4 samples over 24000 epochs: chi-square with 23 degrees of freedom, below 49.7 but for one chance in a thousand.
        var plan = new BatchPlan(4, new BatchPlanOptions { BatchSize = 4, Seed = 17 });
        var counts = Enumerable
            .Range(0, 24_000)
            .CountBy(epoch => string.Concat(plan.At(new DataCursor(epoch, 0)).Samples.Select(s => s.Index)))
            .ToDictionary();
        Assert.Equal(24, counts.Count);
        Assert.True(counts.Values.Sum(n => (n - 1000.0) * (n - 1000.0) / 1000.0) < 49.7);
    }

    [Fact]
    public void Impossible_plans_are_rejected()
    {
        Assert.Throws<UsageException>(() => new BatchPlan(5, new BatchPlanOptions { BatchSize = 6 }));
        Assert.Throws<UsageException>(() => new BatchPlan(5, new BatchPlanOptions { BatchSize = 0 }));
        Assert.Throws<UsageException>(() =>
            new BatchPlan(
                5,
                new BatchPlanOptions
                {
                    BatchSize = 1,
                    Rank = 2,
                    WorldSize = 2,
                }
            )
        );
        Assert.Throws<UsageException>(() =>
            new BatchPlan(
                5,
                new BatchPlanOptions
                {
                    BatchSize = 1,
                    WorldSize = 2,
                    End = EpochEnd.Short,
                }
            )
        );
        Assert.Throws<InputException>(() => new BatchPlan(5, new BatchPlanOptions { BatchSize = 1 }).At(new DataCursor(0, 6)));
    }

    private static void ForAll(Func<(int Count, int Batch, ulong Seed), bool> holds) =>
        Check.QuickThrowOnFailure(Prop.ForAll(Cases.ToArbitrary(), holds));

    private static List<PlannedBatch> Take(BatchPlan plan, DataCursor cursor, int batches)
    {
        List<PlannedBatch> taken = [];
        for (var i = 0; i < batches; i++)
        {
            taken.Add(plan.At(cursor));
            cursor = taken[^1].Next;
        }

        return taken;
    }
}
