using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Torch.Optim;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.State;
using Retouch.Training.Telemetry;

namespace Retouch.Tests.Training;

/// <summary>The training loop on a task with known values.</summary>
[Collection(LiveTensorCollection.Name)]
public sealed class TrainerTests : IDisposable
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
    private int _runs;

    public void Dispose() => _folder.Dispose();

    private static TrainingOptions Options(
        long steps = 5,
        int batch = 2,
        int accumulate = 1,
        double? clip = null,
        params double[] averages
    ) =>
        new()
        {
            Steps = steps,
            Batch = new() { Size = batch, Accumulate = accumulate },
            Optimiser = new()
            {
                LearningRate = 0.01,
                ClipNorm = clip,
                Schedule = new() { Shape = LearningRateShape.Constant },
            },
            Averages = [.. averages.Select(static d => new WeightAverageOptions { Decay = d })],
            Checkpoints = new() { Every = 2, Keep = 2 },
            Log = new() { TensorBoard = false },
        };

    [Fact]
    public void Accumulated_batches_equal_one_large_batch()
    {
        var (whole, wholeNorms) = Train(Options(batch: 4));
        var (parts, partNorms) = Train(Options(batch: 1, accumulate: 4));
        for (var k = 0; k < whole.Length; k++)
            Assert.Equal(whole[k], parts[k], 1e-6);
        for (var k = 0; k < wholeNorms.Length; k++)
            Assert.Equal(wholeNorms[k], partNorms[k], 1e-5 * wholeNorms[k]);
        Assert.Equal(Norm(Gradient(Data, Start)), wholeNorms[0], 1e-5);
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(1000.0)]
    public void The_gradient_norm_is_clipped(double clip)
    {
        var gradient = Gradient(Data, Start);
        var norm = Norm(gradient);
        var run = Folder();
        using var task = new LinearTask(Start);
        Run(task, Options(steps: 1, batch: 4, clip: clip), run);
        var record = Assert.Single(MetricsReader.Read(run.MetricsFile));
        var scale = Math.Min(1, clip / (norm + 1e-6));
        Assert.Equal(norm, record.Find("gradient/norm")!.Value, 1e-5);
        Assert.Equal(scale, record.Find("gradient/clip")!.Value, 1e-6);
        // The gradient passed to AdamW is visible in the checkpoint's first moment, 0.1·g.
        using var scope = TensorScope.Enter();
        using var moments = Retouch.Torch.Safetensors.SafetensorsFile.Open(
            Path.Combine(new CheckpointStore(run.Path).FolderOf(1), "optimiser.safetensors")
        );
        var first = moments.Read("exp_avg.weight").ToArray<float>();
        for (var k = 0; k < first.Length; k++)
            Assert.Equal(0.1 * scale * gradient[k], first[k], 1e-6);
    }

    [Fact]
    public void Each_average_has_its_own_decay()
    {
        var run = Folder();
        using var task = new LinearTask(Start);
        var weights = new List<float[]>();
        Run(task, Options(steps: 5, averages: [0.5, 0.9]), run, new ProgressProbe(_ => weights.Add(task.Weight)));
        foreach (var decay in new[] { 0.5, 0.9 })
        {
            double[] expected = [.. Start.Select(static w => (double)w)];
            foreach (var now in weights)
                expected = [.. expected.Select((e, k) => (decay * e) + ((1 - decay) * now[k]))];
            var saved = File.ReadAllText(Path.Combine(run.ModelFolder(decay), "weight.txt"))
                .Split(' ')
                .Select(t => double.Parse(t, CultureInfo.InvariantCulture))
                .ToArray();
            for (var k = 0; k < saved.Length; k++)
                Assert.Equal(expected[k], saved[k], 1e-6);
        }

        Assert.Equal(
            weights[^1],
            File.ReadAllText(Path.Combine(run.ModelFolder(null), "weight.txt"))
                .Split(' ')
                .Select(t => float.Parse(t, CultureInfo.InvariantCulture))
        );
        Assert.Equal(weights[^1], task.Weight);
    }

    [Fact]
    public void A_non_finite_loss_is_reported_and_keeps_the_checkpoint()
    {
        float[][] data = [.. Data.Select(static (row, k) => k == 3 ? [float.NaN, row[1], row[2]] : row)];
        var run = Folder();
        using var task = new LinearTask(Start);
        // Batches of one: row 3 comes fourth.
        var message = Assert.Throws<DivergedException>(() => Run(task, Options(steps: 9, batch: 1), run, data: data)).Message;
        Assert.Contains("loss is not finite at step 4: term square, samples row 3 (timestep NaN).", message);
        Assert.Contains(
            $"The checkpoint of step 2 is kept ('{new CheckpointStore(run.Path).FolderOf(2)}'); --resume {run.Path} continues from it.",
            message
        );
        Assert.Equal([2], new CheckpointStore(run.Path).Steps);
        using var again = new LinearTask(Start);
        using var trainer = new Trainer(
            again,
            new WhiteGrid(),
            Options(steps: 9, batch: 1),
            run,
            cursor => new Rows(Data, 1, cursor),
            TimeProvider.System
        );
        Assert.True(trainer.TryResume(static _ => { }));
        trainer.Run(new ProgressProbe(), CancellationToken.None);
        Assert.Equal(Train(Options(steps: 9, batch: 1)).Weight, again.Weight);
    }

    [Fact]
    public void Only_the_responsible_sample_is_named()
    {
        float[][] data = [.. Data.Select(static (row, k) => k == 2 ? [row[0], row[1], float.PositiveInfinity] : row)];
        using var task = new LinearTask(Start);
        var message = Assert.Throws<DivergedException>(() => Run(task, Options(batch: 4), Folder(), data: data)).Message;
        Assert.Contains("at step 1: term square, samples row 2 (timestep 2). No checkpoint has been written yet.", message);
    }

    [Fact]
    public void A_non_finite_gradient_stops_before_the_update()
    {
        var run = Folder();
        using var task = new LinearTask(Start) { InfiniteSlopeAt = 3 };
        var before = new List<float[]>();
        var message = Assert
            .Throws<DivergedException>(() =>
                Run(task, Options(steps: 9, batch: 1, accumulate: 2), run, new ProgressProbe(_ => before.Add(task.Weight)))
            )
            .Message;
        Assert.Contains("The gradient is not finite at step 4: no single term, samples row 2 (timestep 2), row 3 (timestep 0.3).", message);
        Assert.Equal(before[^1], task.Weight);
        Assert.Equal(2, new CheckpointStore(run.Path).Steps[^1]);
    }

    [Fact]
    public void Overflowing_weights_are_not_saved()
    {
        var run = Folder();
        using var task = new LinearTask(Start);
        var message = Assert
            .Throws<DivergedException>(() =>
                Run(
                    task,
                    Options(steps: 9),
                    run,
                    new ProgressProbe(p =>
                    {
                        using var scope = TensorScope.Enter();
                        using var quiet = Autograd.NoGrad();
                        if (p.Step == 4)
                            task.Network.All[0].Value.CopyInPlace(Tensor.From([float.PositiveInfinity, 0]));
                    })
                )
            )
            .Message;
        Assert.Contains("after step 4", message);
        Assert.Contains("The checkpoint of step 2 is kept", message);
        Assert.Equal([2], new CheckpointStore(run.Path).Steps);
    }

    [Fact]
    public void In_float16_the_loss_scale_cancels()
    {
        // A power of two does not change the significand of a float32 number.
        var plain = Train(Options(steps: 7, accumulate: 2, clip: 0.5, averages: [0.9]));
        var scaled = Train(Options(steps: 7, accumulate: 2, clip: 0.5, averages: [0.9]) with { Precision = "float16" });
        Assert.Equal(plain.Weight, scaled.Weight);
        Assert.Equal(plain.Norms, scaled.Norms);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void In_float16_an_overflowing_step_is_skipped_and_counted(int accumulate)
    {
        var options = Options(steps: 6, batch: 1, accumulate: accumulate, averages: [0.5]) with { Precision = "float16" };
        var run = Folder();
        var progress = new ProgressProbe();
        using var whole = new LinearTask(Start) { InfiniteSlopeAt = 2 };
        Run(whole, options, run, progress);
        Assert.Contains("Step 3: the gradients overflowed in float16, so the step was skipped", Assert.Single(progress.Notes));
        var records = MetricsReader.Read(run.MetricsFile);
        Assert.Equal([0, 0, 1, 1, 1, 1], records.Select(static r => r.Find("scaler/skipped")!.Value));
        Assert.Equal([65536, 65536, 32768, 32768, 32768, 32768], records.Select(static r => r.Find("scaler/scale")!.Value));
        Assert.False(double.IsFinite(records[2].Find("gradient/norm")!.Value));

        // The same run without that step: without its rows, optimiser and average one step younger.
        float[][] rows = [.. Enumerable.Range(0, 6 * accumulate).Where(k => k / accumulate != 2).Select(static k => Data[k % Data.Length])];
        using var without = new LinearTask(Start);
        Run(without, options with { Steps = 5 }, Folder(), data: rows);
        Assert.Equal(without.Weight, whole.Weight);

        // Stopped after it, and resumed from the checkpoint of step 4.
        var stopped = Folder();
        using (var first = new LinearTask(Start) { InfiniteSlopeAt = 2 })
            Run(first, options with { Steps = 4 }, stopped);
        using var second = new LinearTask(Start);
        using var trainer = new Trainer(
            second,
            new WhiteGrid(),
            options,
            stopped,
            cursor => new Rows(Data, 1, cursor),
            TimeProvider.System
        );
        Assert.True(trainer.TryResume(static _ => { }));
        trainer.Run(new ProgressProbe(), CancellationToken.None);
        Assert.Equal(whole.Weight, second.Weight);
        Assert.Equal(1, MetricsReader.Read(stopped.MetricsFile)[^1].Find("scaler/skipped"));
        Assert.Equal(
            File.ReadAllText(Path.Combine(run.ModelFolder(0.5), "weight.txt")),
            File.ReadAllText(Path.Combine(stopped.ModelFolder(0.5), "weight.txt"))
        );
    }

    [Fact]
    public void In_float16_persistent_overflow_stops_the_run()
    {
        float[][] data = [.. Data.Select(static row => (float[])[float.NaN, row[1], row[2]])];
        var run = Folder();
        using var task = new LinearTask(Start);
        var message = Assert
            .Throws<DivergedException>(() => Run(task, Options(steps: 99, batch: 1) with { Precision = "float16" }, run, data: data))
            .Message;
        // From 2^16 down to 2^-14, then not.
        Assert.StartsWith("The loss is not finite at step 31: term square", message);
        Assert.Equal(Start, task.Weight);
    }

    [Fact]
    public void An_interruption_within_a_step_completes_the_step()
    {
        var options = Options(steps: 4, batch: 1, accumulate: 3);
        var whole = Train(options).Weight;
        var run = Folder();
        using (var task = new LinearTask(Start))
        using (var source = new CancellationTokenSource())
        using (
            var trainer = new Trainer(task, new WhiteGrid(), options, run, cursor => new Rows(Data, 1, cursor, source), TimeProvider.System)
        )
        {
            var progress = new ProgressProbe();
            Assert.Throws<OperationCanceledException>(() => trainer.Run(progress, source.Token));
            Assert.Equal(1, trainer.Step);
            Assert.Contains("Interrupted after step 1", progress.Notes[^1]);
        }

        using var resumed = new LinearTask(Start);
        using var rest = new Trainer(resumed, new WhiteGrid(), options, run, cursor => new Rows(Data, 1, cursor), TimeProvider.System);
        Assert.True(rest.TryResume(static _ => { }));
        rest.Run(new ProgressProbe(), CancellationToken.None);
        Assert.Equal(whole, resumed.Weight);
    }

    [Fact]
    public void A_damaged_last_checkpoint_is_rewritten()
    {
        var run = Folder();
        using (var task = new LinearTask(Start))
            Run(task, Options(steps: 4), run);
        var last = Path.Combine(new CheckpointStore(run.Path).FolderOf(4), "weights.safetensors");
        File.WriteAllText(last, "broken");
        using var again = new LinearTask(Start);
        using var trainer = new Trainer(
            again,
            new WhiteGrid(),
            Options(steps: 4),
            run,
            cursor => new Rows(Data, 2, cursor),
            TimeProvider.System
        );
        List<string> notes = [];
        Assert.True(trainer.TryResume(notes.Add));
        Assert.Equal(2, trainer.Step);
        Assert.Contains("weights.safetensors does not have the hash", Assert.Single(notes));
        trainer.Run(new ProgressProbe(), CancellationToken.None);
        Assert.Equal(4, new CheckpointStore(run.Path).ReadNewest(static m => Assert.Fail(m))!.Value.State.Step);
    }

    [Fact]
    public void Waiting_time_is_attributed_to_its_step()
    {
        var run = Folder();
        using var task = new LinearTask(Start);
        // The rows show that one second passes per call.
        Run(task, Options(steps: 1, batch: 2), run);
        Assert.Equal(2, MetricsReader.Read(run.MetricsFile)[0].Find("time/data"));
    }

    [Fact]
    public void Sample_grids_are_drawn_before_during_and_after_training()
    {
        var run = Folder();
        using var task = new LinearTask(Start);
        Run(task, Options(steps: 5) with { Samples = new() { Every = 2 } }, run);
        Assert.Equal(
            ["step-00000000.png", "step-00000002.png", "step-00000004.png", "step-00000005.png"],
            Directory.EnumerateFiles(run.SamplesFolder).Select(static f => Path.GetFileName(f)).Order()
        );
    }

    [Fact]
    public void Fifty_steps_leak_no_tensors()
    {
        var before = Tensor.LiveCount;
        using (var task = new LinearTask(Start))
        {
            var counts = new List<long>();
            Run(
                task,
                Options(steps: 50, accumulate: 2, averages: [0.9, 0.99]) with
                {
                    Samples = new() { Every = 10 },
                },
                Folder(),
                new ProgressProbe(_ => counts.Add(Tensor.LiveCount))
            );
            Assert.Equal(counts[1], counts[^1]);
        }

        Assert.Equal(before, Tensor.LiveCount);
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData(false)]
    [InlineData(true)]
    public void Fifty_steps_through_the_decoder_leak_no_tensors(bool cacheLatents)
    {
        var before = Tensor.LiveCount;
        var counts = new List<long>();
        using (
            var run = TrainingRun.Start(
                TinyRun.Denoiser(
                    cacheLatents: cacheLatents,
                    set: """{ "steps": 50, "samples": { "every": 20, "count": 2, "steps": 2 } }"""
                ),
                _folder["run"],
                TimeProvider.System
            )
        )
            run.Train(new ProgressProbe(p => counts.AddRange(p.Unit == "step" ? [Tensor.LiveCount] : [])), CancellationToken.None);
        Assert.Equal(50, counts.Count);
        Assert.Equal(counts[1], counts[^1]);
        Assert.Equal(before, Tensor.LiveCount);
    }

    private static double[] Gradient(float[][] rows, float[] w)
    {
        var gradient = new double[w.Length];
        foreach (var row in rows)
        {
            var error = (row[0] * (double)w[0]) + (row[1] * (double)w[1]) - row[2];
            for (var k = 0; k < w.Length; k++)
                gradient[k] += 2 * error * row[k] / rows.Length;
        }

        return gradient;
    }

    private static double Norm(double[] v) => Math.Sqrt(v.Sum(static x => x * x));

    private static void Run(LinearTask task, TrainingOptions options, RunFolder run, ProgressProbe? progress = null, float[][]? data = null)
    {
        using var trainer = new Trainer(
            task,
            new WhiteGrid(),
            options,
            run,
            cursor => new Rows(data ?? Data, options.Batch.Size, cursor),
            TimeProvider.System
        );
        trainer.Run(progress ?? new ProgressProbe(), CancellationToken.None);
    }

    private (float[] Weight, double[] Norms) Train(TrainingOptions options)
    {
        var run = Folder();
        using var task = new LinearTask(Start);
        Run(task, options, run);
        return (task.Weight, [.. MetricsReader.Read(run.MetricsFile).Select(static r => r.Find("gradient/norm")!.Value)]);
    }

    private RunFolder Folder()
    {
        var run = RunFolder.Plan(_folder[$"run{_runs++}"]);
        run.Create();
        return run;
    }
}
