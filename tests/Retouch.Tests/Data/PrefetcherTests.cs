using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Images;

namespace Retouch.Tests.Data;

public sealed class PrefetcherTests
{
    private static readonly Framing Framing = new()
    {
        Width = 6,
        Height = 6,
        Crop = CropMode.Random,
        FlipProbability = 0.5,
    };

    [Fact]
    public void Batches_do_not_depend_on_threads_or_broken_pictures()
    {
        static bool Broken(int index) => index % 7 == 3;
        List<byte[]>[] runs =
        [
            .. new[] { (1, 1), (4, 3), (8, 6) }.Select(setup =>
            {
                var source = new FakeSource(41, Broken);
                using var prefetcher = Make(
                    source,
                    new BatchPlanOptions
                    {
                        BatchSize = 5,
                        Seed = 11,
                        End = EpochEnd.Wrap,
                    },
                    setup.Item1,
                    setup.Item2,
                    share: 1
                );
                return Enumerable.Range(0, 30).Select(_ => prefetcher.Next()!.Pixels).ToList();
            }),
        ];
        Assert.All(runs[1..], run => Assert.Equal(runs[0], run));
    }

    [Fact]
    public void A_resumed_run_reads_the_same_batches()
    {
        var options = new BatchPlanOptions { BatchSize = 4, Seed = 2 };
        List<PictureBatch> whole = [];
        using (var prefetcher = Make(new FakeSource(30), options))
        {
            for (var i = 0; i < 20; i++)
                whole.Add(prefetcher.Next()!);
        }

        using var resumed = Make(new FakeSource(30), options, start: whole[8].Next);
        foreach (var batch in whole[9..])
        {
            var again = resumed.Next()!;
            Assert.Equal(batch.Pixels, again.Pixels);
            Assert.Equal(batch.Samples, again.Samples);
            Assert.Equal(batch.Next, again.Next);
        }
    }

    [Fact]
    public void Planes_equal_the_pictures()
    {
        using var prefetcher = Make(new FakeSource(10), new BatchPlanOptions { BatchSize = 3, Shuffle = false });
        var batch = prefetcher.Next()!;
        Assert.Equal(["0.png", "1.png", "2.png"], batch.Samples.Select(s => s.Id));
        Assert.Equal(3 * 3 * 36, batch.Pixels.Length);
        Assert.True(batch.PictureAt(2).SameAs(Picture.Filled(6, 6, new Rgb(2, 1, 7))));
        using var images = batch.ToTensor();
        Assert.Equal([3L, 3, 6, 6], images.Shape);
        var values = images.ToArray<float>();
        Assert.Equal(2 / 127.5f - 1f, values[2 * 108]);
        Assert.Equal(7 / 127.5f - 1f, values[2 * 108 + 72]);
    }

    [Fact]
    public void Reading_ends_after_the_last_epoch()
    {
        using var prefetcher = Make(new FakeSource(11), new BatchPlanOptions { BatchSize = 4, End = EpochEnd.Short }, end: 1);
        List<string> ids = [];
        while (prefetcher.Next() is { } batch)
            ids.AddRange(batch.Samples.Select(s => s.Id));
        Assert.Equal(Enumerable.Range(0, 11).Select(i => $"{i}.png").Order(StringComparer.Ordinal), ids.Order(StringComparer.Ordinal));
        Assert.Null(prefetcher.Next());
        Assert.Equal(3, prefetcher.Delivered);
    }

    [Fact]
    public void Unusable_pictures_are_replaced_and_reported()
    {
        var source = new FakeSource(40, index => index is 4 or 17);
        using var prefetcher = Make(
            source,
            new BatchPlanOptions { BatchSize = 8, End = EpochEnd.Short },
            share: 0.05,
            end: 2,
            out var quarantine
        );
        while (prefetcher.Next() is { } batch)
            Assert.DoesNotContain(batch.Samples, s => s.Id is "4.png" or "17.png");
        Assert.Equal([4, 17], quarantine.Pictures.Select(p => p.Index));
        Assert.Equal("'4.png' is broken.", quarantine.Pictures[0].Reason);
    }

    [Fact]
    public void Too_many_unusable_pictures_are_an_error()
    {
        using var prefetcher = Make(new FakeSource(40, index => index % 4 == 0), new BatchPlanOptions { BatchSize = 40 });
        Assert.Contains("pictures are unusable", Assert.Throws<InputException>(() => prefetcher.Next()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_source_without_readable_pictures_ends()
    {
        using var prefetcher = Make(new FakeSource(3, _ => true), new BatchPlanOptions { BatchSize = 1 }, share: 1);
        Assert.Contains("No replacement", Assert.Throws<InputException>(() => prefetcher.Next()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cancelled_read_keeps_the_batch()
    {
        var source = new FakeSource(10);
        source.Gate.Reset();
        using var prefetcher = Make(source, new BatchPlanOptions { BatchSize = 2, Shuffle = false });
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() => prefetcher.Next(cancelled.Token));
        source.Gate.Set();
        Assert.Equal("0.png", prefetcher.Next()!.Samples[0].Id);
    }

    [Fact]
    public void Prefetching_is_bounded()
    {
        var source = new FakeSource(1000);
        using (var prefetcher = Make(source, new BatchPlanOptions { BatchSize = 10 }, workers: 3, ahead: 2))
            prefetcher.Next();
        // One delivered, two ahead; disposal cancels the others.
        Assert.InRange(source.Loads, 10, 30);
    }

    [Fact]
    public void Waiting_is_measured_by_the_given_clock()
    {
        var clock = new SteppingTime();
        using var prefetcher = new Prefetcher(
            new BatchPlan(10, new BatchPlanOptions { BatchSize = 2 }),
            new SampleLoader(new FakeSource(10), new BatchPlan(10, new BatchPlanOptions { BatchSize = 2 }), Framing, new Quarantine(10)),
            new PrefetchOptions(),
            clock
        );
        prefetcher.Next();
        prefetcher.Next();
        Assert.Equal(TimeSpan.FromSeconds(2), prefetcher.Waited);
    }

    [Fact]
    public void Disposal_is_idempotent_and_ends_reading()
    {
        var prefetcher = Make(new FakeSource(10), new BatchPlanOptions { BatchSize = 2 });
        prefetcher.Dispose();
        prefetcher.Dispose();
        Assert.Throws<ObjectDisposedException>(() => prefetcher.Next());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(6)]
    public void Threads_are_added_while_the_consumer_waits(int batch)
    {
        var options = new BatchPlanOptions { BatchSize = batch, Seed = 4 };
        var (source, plan) = (new FakeSource(40), new BatchPlan(40, options));
        Prefetcher Start(PrefetchOptions prefetch, TimeProvider time) =>
            new(plan, new SampleLoader(source, plan, Framing, new Quarantine(40, 0.05)), prefetch, time);
        // By this clock every batch is waited for during a third of the time.
        using var waiting = Start(new() { Workers = 1, MostWorkers = 4 }, new SteppingTime());
        using var patient = Start(new() { Workers = 1, MostWorkers = 4 }, new StandingTime());
        using var fixedNumber = Start(new() { Workers = 3, MostWorkers = 3 }, new SteppingTime());
        List<int> workers = [];
        for (var k = 0; k < 100; k++)
        {
            // Contents do not depend on the threads.
            var pixels = waiting.Next()!.Pixels;
            Assert.Equal(patient.Next()!.Pixels, pixels);
            Assert.Equal(fixedNumber.Next()!.Pixels, pixels);
            workers.Add(waiting.Workers);
        }

        Assert.Equal([1, 1], workers[..2]);
        Assert.Equal(4, workers[^1]);
        Assert.Equal(workers.Order(), workers);
        Assert.Equal((1, 3), (patient.Workers, fixedNumber.Workers));
    }

    [Fact]
    public void The_number_of_threads_follows_the_processors_by_default()
    {
        var (free, given) = (PrefetchOptions.Of(null, default), PrefetchOptions.Of(5, default));
        Assert.Equal((1, Math.Min(16, Environment.ProcessorCount)), (free.Workers, free.MostWorkers));
        Assert.Equal((5, 5), (given.Workers, given.MostWorkers));
    }

    private static Prefetcher Make(
        FakeSource source,
        BatchPlanOptions options,
        int workers = 2,
        int ahead = 2,
        double share = 0.05,
        DataCursor start = default,
        long? end = null
    ) => Make(source, options, share, end, out _, workers, ahead, start);

    private static Prefetcher Make(
        FakeSource source,
        BatchPlanOptions options,
        double share,
        long? end,
        out Quarantine quarantine,
        int workers = 2,
        int ahead = 2,
        DataCursor start = default
    )
    {
        quarantine = new Quarantine(source.Count, share);
        var plan = new BatchPlan(source.Count, options);
        return new Prefetcher(
            plan,
            new SampleLoader(source, plan, Framing, quarantine),
            new PrefetchOptions
            {
                Workers = workers,
                Ahead = ahead,
                Start = start,
                EndEpoch = end,
            },
            TimeProvider.System
        );
    }

    /// <summary>A clock that has stopped.</summary>
    private sealed class StandingTime : TimeProvider
    {
        public override long GetTimestamp() => 0;
    }

    /// <summary>A clock that advances by a second on every read.</summary>
    private sealed class SteppingTime : TimeProvider
    {
        private long _seconds;

        public override long TimestampFrequency => 1;

        public override long GetTimestamp() => _seconds++;
    }
}
