using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Distributed;
using Retouch.Training.Options;
using Retouch.Training.State;
using Retouch.Training.Tasks;

namespace Retouch.Tests.Training.Distributed;

/// <summary>The training loop in several processes, on a task with known values.</summary>
public sealed class SharedStepTests : IDisposable
{
    private static readonly float[][] Data =
    [
        [1, 2, 3],
        [-1, 0.5f, 1],
        [2, -1, 0.5f],
        [0.25f, 1, -2],
    ];
    private static readonly float[] Start = [0.5f, -0.25f];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static TrainingOptions Options(long steps = 6, int accumulate = 4, string precision = "float32") =>
        new()
        {
            Steps = steps,
            Precision = precision,
            Batch = new() { Size = 1, Accumulate = accumulate },
            Optimiser = new() { LearningRate = 0.01, ClipNorm = 0.5 },
            Averages = [new() { Decay = 0.9 }],
            Checkpoints = new() { Every = 2, Keep = 2 },
            Log = new() { TensorBoard = false },
        };

    /// <summary>Every n-th row, from this rank's.</summary>
    private sealed class Share(float[][] rows, World? world, DataCursor start, Action<int>? onNext = null) : IBatchSource
    {
        private int _at = start.Position;

        public TimeSpan Waited => TimeSpan.Zero;

        public TrainingBatch Next(CancellationToken cancellation)
        {
            onNext?.Invoke(_at);
            var row = _at + (world?.Rank ?? 0);
            _at += world?.Size ?? 1;
            return new TrainingBatch(
                Tensor.From(rows[row % rows.Length]).Reshape([1L, rows[0].Length]),
                null,
                [new Sample($"row {row % rows.Length}", null, null)],
                new FrameRecord[1],
                new DataCursor(0, _at)
            );
        }

        public void Dispose()
        {
            // Owns nothing.
        }
    }

    private float[] Train(
        World? world,
        string run,
        TrainingOptions options,
        LinearTask task,
        float[][]? rows = null,
        Action<int>? onNext = null
    )
    {
        var folder = RunFolder.Plan(_folder[$"{run}{(world is { IsMain: false } ? world.Rank : "")}"]);
        if (world is not { IsMain: false })
            folder.Create();
        using var trainer = new Trainer(
            task,
            new WhiteGrid(),
            options,
            folder,
            cursor => new Share(rows ?? Data, world, cursor, onNext),
            TimeProvider.System,
            world
        );
        using var progress = new ProgressProbe();
        trainer.Run(progress, CancellationToken.None);
        return task.Weight;
    }

    private SortedDictionary<string, double>[] Metrics(string run) =>
        [
            .. Retouch
                .Training.Telemetry.MetricsReader.Read(_folder[$"{run}/metrics.jsonl"])
                .Select(static r => new SortedDictionary<string, double>(
                    r.Values.Where(static v => v.Key.Split('/')[0] is not ("time" or "memory")).ToDictionary(),
                    StringComparer.Ordinal
                )),
        ];

    [Theory]
    [InlineData(2, "float32")]
    [InlineData(4, "float32")]
    [InlineData(2, "float16")]
    public void Losses_metrics_and_weights_are_those_of_one_process(int size, string precision)
    {
        using var alone = new LinearTask(Start);
        var expected = Train(null, "alone", Options(precision: precision), alone);
        var weights = new float[size][];
        Worlds.Run(
            size,
            world =>
            {
                using var task = new LinearTask(Start);
                weights[world.Rank] = Train(world, "shared", Options(precision: precision), task);
            }
        );
        Assert.All(weights, w => Assert.Equal(weights[0], w));
        // Four float32 gradients of two elements are added in another order; AdamW's update has the size of the learning rate.
        for (var k = 0; k < expected.Length; k++)
            Assert.Equal(expected[k], weights[0][k], 1e-6);
        var (single, shared) = (Metrics("alone"), Metrics("shared"));
        Assert.Equal(6, shared.Length);
        foreach (var (a, b) in single.Zip(shared))
        {
            Assert.Equal(a.Keys, b.Keys);
            foreach (var name in a.Keys)
                Assert.Equal(a[name], b[name], 1e-5 * Math.Abs(a[name]) + 1e-9);
        }

        // Rank 0 alone writes.
        Assert.Equal(["shared"], Directory.EnumerateDirectories(_folder.Path, "shared*").Select(Path.GetFileName));
        Assert.Equal([4, 6], new CheckpointStore(_folder["shared"]).Steps);
    }

    [Fact]
    public void Times_of_waiting_and_communication_are_logged()
    {
        Worlds.Run(
            2,
            world =>
            {
                using var task = new LinearTask(Start);
                // Rank 1's data is late in step 2.
                Train(world, "shared", Options(3, 2), task, onNext: at => Thread.Sleep(world.Rank == 1 && at == 2 ? 400 : 0));
            }
        );
        var records = Retouch.Training.Telemetry.MetricsReader.Read(_folder["shared/metrics.jsonl"]);
        Assert.All(records, static r => Assert.True(r.Find("time/communication") > 0));
        Assert.InRange(records[1].Find("time/peers")!.Value, 0.3, 60);
        Assert.Equal(1, records.MaxBy(static r => r.Find("time/peers"))!.Step - 1);
    }

    [Fact]
    public void A_non_finite_loss_ends_all_processes_with_its_sample_and_the_checkpoint_remains()
    {
        float[][] rows = [.. Enumerable.Range(0, 12).Select(static k => k == 11 ? [float.NaN, 1, 1] : Data[k % 4])];
        var failures = Worlds.Try(
            2,
            world =>
            {
                using var task = new LinearTask(Start);
                Train(world, "shared", Options(9, 4), task, rows);
            }
        );
        Assert.All(
            failures,
            static f =>
            {
                var message = Assert.IsType<DivergedException>(f).Message;
                Assert.Contains("The loss is not finite at step 3: term square, samples ", message);
                Assert.Contains("row 11 (timestep NaN)", message);
            }
        );
        Assert.Contains("The checkpoint of step 2 is kept", failures[0]!.Message);
        Assert.Equal([2], new CheckpointStore(_folder["shared"]).Steps);
    }

    [Fact]
    public void An_overflow_in_float16_skips_the_step_in_all_processes()
    {
        var weights = new float[2][];
        Worlds.Run(
            2,
            world =>
            {
                // Rank 1's gradient is not finite in step 3.
                using var task = new LinearTask(Start) { InfiniteSlopeAt = world.Rank == 1 ? 2 : null };
                weights[world.Rank] = Train(world, "shared", Options(6, 4, "float16"), task);
            }
        );
        Assert.Equal(weights[0], weights[1]);
        using var alone = new LinearTask(Start) { InfiniteSlopeAt = 2 };
        var expected = Train(null, "alone", Options(6, 4, "float16"), alone);
        for (var k = 0; k < expected.Length; k++)
            Assert.Equal(expected[k], weights[0][k], 1e-6);
        Assert.Equal(
            [0, 0, 1, 1, 1, 1],
            Retouch
                .Training.Telemetry.MetricsReader.Read(_folder["shared/metrics.jsonl"])
                .Select(static r => r.Find("scaler/skipped")!.Value)
        );
    }

    [Fact]
    public void A_stalled_data_source_is_named_with_its_rank()
    {
        using var ended = new ManualResetEventSlim();
        var failures = Worlds.Try(
            2,
            world =>
            {
                using var task = new LinearTask(Start);
                try
                {
                    Train(
                        world,
                        "shared",
                        Options(9, 2),
                        task,
                        onNext: at =>
                        {
                            if (world.Rank == 1 && at == 6)
                                ended.Wait(TimeSpan.FromSeconds(60));
                        }
                    );
                }
                finally
                {
                    ended.Set();
                }
            },
            new WorldLimits(TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(3))
        );
        var message = Assert.IsType<PeerException>(failures[0]).Message;
        Assert.Contains("rank 1 did not arrive within 3 s", message);
        Assert.Contains("rank 1 was in step 4, waiting for data since ", message);
        Assert.Equal([2], new CheckpointStore(_folder["shared"]).Steps);
    }

    [Fact]
    public void Out_of_memory_with_several_processes_names_divided_states()
    {
        using var task = new LinearTask(Start);
        const string Name = "--set distributed.shard=gradients";
        string[] Of(TrainingOptions options, int processes) => [.. new MemoryTrial(task, options, Device.Cpu, processes).Others()];
        // Two weights with 8 bytes of state and 4 each of an average and the gradient, of which a process keeps a quarter.
        Assert.Contains($"{Name} (24 B less)", Of(Options(), 4));
        Assert.DoesNotContain(Of(Options(), 1), static o => o.StartsWith(Name, StringComparison.Ordinal));
        var divided = Options() with { Distributed = new() { Shard = DividedParts.States } };
        Assert.Contains($"{Name} (6 B less)", Of(divided, 4));
        var most = Options() with { Distributed = new() { Shard = DividedParts.Gradients } };
        Assert.DoesNotContain(Of(most, 4), static o => o.StartsWith(Name, StringComparison.Ordinal));
        var pairs = Options() with
        {
            Batch = new() { Size = 6, Accumulate = 4 },
        };
        Assert.Contains("--batch-size 3 --set batch.accumulate=8 (the same 24 per step)", Of(pairs, 4));
        Assert.DoesNotContain(Of(pairs, 1), static o => o.StartsWith("--batch-size", StringComparison.Ordinal));
        // What another optimiser and no average would save is that of a part.
        Assert.Contains("--set averages=[] (8 B less)", Of(Options(), 4));
        Assert.Contains("--set averages=[] (2 B less)", Of(divided, 4));
    }

    [Fact]
    public void Different_initial_weights_are_an_error_of_all()
    {
        var failures = Worlds.Try(
            2,
            world =>
            {
                using var task = new LinearTask(world.Rank == 0 ? Start : [0.5f, 0.25f + (float)1e-3]);
                Train(world, "shared", Options(2, 2), task);
            }
        );
        Assert.All(failures, static f => Assert.Contains("Rank 1 would begin with step 0", Assert.IsType<InputException>(f).Message));
    }

    [Theory]
    [InlineData(4, 1, 2, "batch.size=2 batch.accumulate=2 has the same 4 samples per step")]
    [InlineData(1, 3, 2, "batch.accumulate=2 has 2 samples per step")]
    public void Micro_batches_must_be_divisible_among_the_processes(int size, int accumulate, int processes, string advice)
    {
        DataParallel.CheckBatch(size, processes * 2, processes);
        var message = Assert.Throws<UsageException>(() => DataParallel.CheckBatch(size, accumulate, processes)).Message;
        Assert.Contains($"batch.accumulate is {accumulate}, which cannot be divided among {processes} processes", message);
        Assert.Contains(advice, message);
    }
}
