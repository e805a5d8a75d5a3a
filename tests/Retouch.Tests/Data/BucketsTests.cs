using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Images;

namespace Retouch.Tests.Data;

/// <summary>Pictures of several shapes in batches of one shape.</summary>
public sealed class BucketsTests
{
    [Fact]
    public void Sizes_have_about_the_area_of_the_square()
    {
        var sizes = Buckets.Sizes(512, 64, 256, 1024);
        Assert.Contains(new BucketSize(512, 512), sizes);
        Assert.Contains(new BucketSize(256, 1024), sizes);
        Assert.Contains(new BucketSize(1024, 256), sizes);
        Assert.Contains(new BucketSize(640, 384), sizes);
        Assert.All(
            sizes,
            s =>
            {
                Assert.Equal((0, 0), (s.Width % 64, s.Height % 64));
                Assert.InRange(s.Width * s.Height, (512 * 512) - (1024 * 64), 512 * 512);
                Assert.InRange(Math.Min(s.Width, s.Height), 256, 512);
                Assert.Contains(new BucketSize(s.Height, s.Width), sizes);
            }
        );
        Assert.Throws<UsageException>(() => Buckets.Sizes(512, 64, 600, 1024));
        Assert.Throws<UsageException>(() => Buckets.Sizes(40, 64, 32, 50));
    }

    [Fact]
    public void A_picture_belongs_to_the_nearest_covered_shape()
    {
        BucketSize[] sizes = [new(16, 16), new(24, 8), new(8, 24)];
        (int, int)[] pictures = [(100, 100), (300, 100), (90, 300), (20, 10), (4, 4)];
        Assert.Equal([0, 1, 2, 1, 0], Buckets.Assign(pictures, sizes, enlarging: true, 1)[..5]);
        // 30 × 8 covers the wide size only.
        Assert.Equal([1, 2], Buckets.Assign([(30, 8), (8, 30)], sizes, enlarging: false, 1));
        // The tall picture alone is not enough for a batch of 2.
        Assert.Equal([0, 0, 1, 1, 0], Buckets.Assign([(16, 16), (16, 16), (48, 16), (48, 16), (16, 48)], sizes, enlarging: false, 2));
    }

    [Fact]
    public void Every_batch_has_one_group_and_resumes_anywhere()
    {
        int[] groups = [.. Enumerable.Range(0, 41).Select(static k => k % 7 == 0 ? 2 : k % 2)];
        BatchPlan Plan(int rank = 0, int world = 1, int batch = 4) =>
            new(
                groups,
                new BatchPlanOptions
                {
                    BatchSize = batch,
                    Seed = 3,
                    Rank = rank,
                    WorldSize = world,
                }
            );
        var plan = Plan();
        var whole = Take(plan, default, 30);
        Assert.All(whole, b => Assert.Single(b.Samples.Select(s => plan.GroupOf(s.Index)).Distinct()));
        Assert.All(whole, static b => Assert.Equal(4, b.Samples.Count));
        // No duplicates within an epoch; over epochs, all samples occur.
        foreach (var epoch in whole.GroupBy(static b => b.Epoch))
            Assert.Equal(epoch.Sum(static b => b.Samples.Count), epoch.SelectMany(static b => b.Samples).Distinct().Count());
        Assert.Equal(41, Take(plan, default, 100).SelectMany(static b => b.Samples).Select(static s => s.Index).Distinct().Count());
        for (var from = 0; from < 20; from++)
            Assert.Equal(whole[from + 1].Samples, Take(Plan(), whole[from].Next, 1)[0].Samples);
        var turns = ((int[])[0, 1]).Select(r => Take(Plan(r, 2), default, 12)).ToArray();
        for (var k = 0; k < 24; k++)
            Assert.Equal(whole[k].Samples, turns[k % 2][k / 2].Samples);
        Assert.Throws<UsageException>(() => Plan(batch: 30));
    }

    [Fact]
    public void Batches_have_their_size_and_replacements_their_group()
    {
        // Broken pictures are replaced by others of their group.
        var source = new FakeSource(20, static k => k is 3 or 4, width: 40, height: 40);
        var plan = new BatchPlan([.. Enumerable.Range(0, 20).Select(static k => k % 2)], new BatchPlanOptions { BatchSize = 5, Seed = 1 });
        var loader = new SampleLoader(source, plan, new Framing { Width = 16, Height = 16 }, new Quarantine(20, 0.5))
        {
            Sizes = [new(16, 8), new(8, 24)],
        };
        using var prefetcher = new Prefetcher(plan, loader, new PrefetchOptions { EndEpoch = 3 }, TimeProvider.System);
        var sizes = new HashSet<(int, int)>();
        while (prefetcher.Next() is { } batch)
        {
            sizes.Add((batch.Width, batch.Height));
            Assert.All(batch.Samples, s => Assert.Equal(batch.Width == 16 ? 0 : 1, s.Label));
            Assert.Equal(5 * Picture.Channels * batch.Width * batch.Height, batch.Pixels.Length);
        }

        Assert.Equal([(8, 24), (16, 8)], sizes.Order());
    }

    private static List<PlannedBatch> Take(BatchPlan plan, DataCursor cursor, int batches)
    {
        List<PlannedBatch> taken = [];
        while (taken.Count < batches)
        {
            taken.Add(plan.At(cursor));
            cursor = taken[^1].Next;
        }

        return taken;
    }
}
