using Retouch.Core.Errors;
using Retouch.Images;
using Retouch.Tests.Training.Telemetry;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.State;

namespace Retouch.Tests.Training;

/// <summary>A resumed run ends with the same bytes as an uninterrupted one.</summary>
public sealed class ResumeTests : IDisposable
{
    private const string Auto = """{ "perceptual": { "weight": { "share": 0.2, "warmUp": 9 } }, "decodeBatch": 2 }""";
    private const string PixelAuto = """
        {
          "perceptual": { "weight": { "share": 0.1, "warmUp": 5 } },
          "pixel": { "weight": { "share": 0.1, "warmUp": 9 }, "estimate": "x0" }
        }
        """;

    private const string Windows = """{ "perceptual": {}, "pixel": {}, "decodeBatch": 3, "decodeCrop": 8, "decodeHalo": 4 }""";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [Trait("speed", "slow")]
    [InlineData(Auto, false, 1)]
    [InlineData(Auto, false, 4)] // at a checkpoint
    [InlineData(Auto, true, 6)]
    [InlineData(PixelAuto, false, 7)]
    [InlineData(Windows, false, 5)]
    public void A_resumed_run_ends_with_the_same_bytes(string objective, bool cacheLatents, int stopAfter)
    {
        var options = TinyRun.Denoiser(objective, cacheLatents);
        Train(options, "whole", null);
        Assert.Throws<OperationCanceledException>(() => Train(options, "parts", stopAfter));
        Assert.Equal(stopAfter, new CheckpointStore(_folder["parts"]).Steps[^1]);
        var notes = Resume("parts", null);
        Assert.Contains($"Resuming after step {stopAfter}.", notes);
        SameRun("whole", "parts", withCheckpointsOf: [9]);
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(8)]
    public void A_resumed_run_with_buckets_ends_with_the_same_bytes(int stopAfter)
    {
        for (var k = 0; k < 13; k++)
        {
            var (width, height) = (k % 3) switch
            {
                0 => (20, 20),
                1 => (36, 12),
                _ => (14, 30),
            };
            var place = Directory.CreateDirectory(_folder[$"data/{(k % 2 == 0 ? "even" : "odd")}"]).FullName;
            File.WriteAllBytes(
                Path.Combine(place, $"{k}.png"),
                PictureFile.Encode(Picture.Filled(width, height, new Rgb((byte)(20 * k), (byte)(255 - k), 90)), PictureFormat.Png)
            );
        }

        var options = TinyRun.Denoiser(
            """{ "perceptual": {}, "decodeBatch": 2 }""",
            set: $$"""
            {
              "data": { "folder": "{{_folder[
                "data"
            ]}}", "size": 16, "workers": 2, "flip": 0.5, "buckets": { "step": 8, "minSide": 8, "maxSide": 32 }, "allowEnlarging": true },
              "model.config": { "_class_name": "UNet2DConditionModel", "sample_size": 4, "in_channels": 4, "out_channels": 4,
              "block_out_channels": [8, 16], "layers_per_block": 1,
                "down_block_types": ["DownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "UpBlock2D"],
                "mid_block_type": "UNetMidBlock2D", "norm_num_groups": 4,
                "attention_head_dim": 2, "num_class_embeds": 3 }
            }
            """
        );
        Train(options, "whole", null);
        Assert.Throws<OperationCanceledException>(() => Train(options, "parts", stopAfter));
        Assert.Contains($"Resuming after step {stopAfter}.", Resume("parts", null));
        SameRun("whole", "parts", withCheckpointsOf: [9], network: "unet");
    }

    [Fact]
    public void A_longer_run_reports_its_learning_rate()
    {
        var options = TinyRun.Denoiser(set: """{ "optimiser.learningRate": 0.01, "optimiser.schedule": { "shape": "cosine" } }""");
        Train(options, "run", null);
        using var run = TrainingRun.Resume(_folder["run"], 18, TimeProvider.System);
        var progress = new ProgressProbe();
        run.Train(progress, CancellationToken.None);
        Assert.Contains("Since the checkpoint of step 9 these have changed:\n  steps: 9 → 18", progress.Notes);
        // Half a cosine over nine steps, then over eighteen: cos² and ½.
        var last = 0.01 * 0.5 * (1 + Math.Cos(Math.PI * 8 / 9));
        Assert.Contains(
            $"the learning rate was {last:0.###e+0} in step 9 and is {0.005:0.###e+0} in step 10. To continue at the current rate: ",
            Assert.Single(progress.Notes, static n => n.Contains("schedule (cosine)", StringComparison.Ordinal)),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Changes_since_the_checkpoint_are_rejected_unless_accepted()
    {
        for (var k = 0; k < 6; k++)
            Add($"{(k % 2 == 0 ? "even" : "odd")}/{k}.png", k);
        var data = $$"""{ "data": { "folder": "{{_folder["data"]}}", "size": 16, "workers": 2 } }""";
        Assert.Throws<OperationCanceledException>(() => Train(TinyRun.Denoiser("{}", set: data), "run", 2));
        Add("odd/9.png", 9);
        File.Move(_folder["data/even/0.png"], _folder["data/odd/0.png"]);
        Refused("2 samples (odd/0.png, odd/9.png) have been added to the data", "1 sample (even/0.png) has been removed from the data");
        File.Delete(_folder["data/odd/9.png"]);
        File.Move(_folder["data/odd/0.png"], _folder["data/even/0.png"]);
        Assert.Throws<OperationCanceledException>(() => Resume("run", 3));
        var file = Path.Combine(_folder["run"], "options.json");
        var before = File.ReadAllText(file);
        File.WriteAllText(file, before.Replace("\"seed\": 5", "\"seed\": 6", StringComparison.Ordinal));
        Refused("seed: 5 → 6");
        File.WriteAllText(file, before);
        File.WriteAllText(_folder["data/even/2.txt"], "a caption");
        Refused("1 sample (even/2.png) has different captions");
        File.Delete(_folder["data/even/2.txt"]);
        Add("odd/9.png", 9);
        using var run = TrainingRun.Resume(_folder["run"], null, TimeProvider.System, acceptChanges: true);
        var progress = new ProgressProbe();
        run.Train(progress, CancellationToken.None);
        Assert.Contains(progress.Notes, static n => n.Contains("odd/9.png", StringComparison.Ordinal));
        Assert.Contains("The samples have changed: training continues with a new epoch.", progress.Notes);

        void Refused(params string[] words)
        {
            using var refused = TrainingRun.Resume(_folder["run"], null, TimeProvider.System);
            var message = Assert.Throws<InputException>(() => refused.Train(new ProgressProbe(), CancellationToken.None)).Message;
            Assert.All(words, word => Assert.Contains(word, message, StringComparison.Ordinal));
            Assert.Contains("--accept-changes", message, StringComparison.Ordinal);
        }

        void Add(string name, int value)
        {
            var path = Path.Combine(_folder["data"], name);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            PictureFile.Save(Picture.Filled(16, 16, new Rgb((byte)(20 * value), (byte)(255 - value), 90)), path);
        }
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_run_can_be_interrupted_after_every_step()
    {
        var options = TinyRun.Denoiser();
        Train(options, "whole", null);
        Assert.Throws<OperationCanceledException>(() => Train(options, "parts", 1));
        for (var step = 2; step < options.Steps; step++)
            Assert.Throws<OperationCanceledException>(() => Resume("parts", step));
        Resume("parts", null);
        SameRun("whole", "parts", withCheckpointsOf: [9]);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Steps_after_the_last_checkpoint_are_repeated_identically()
    {
        var options = TinyRun.Denoiser();
        Train(options, "whole", null);
        Train(options, "killed", null);
        // State after a kill at step 6: no checkpoint after 4, no models, a log ahead of the checkpoint with a truncated last line.
        Directory.Delete(new CheckpointStore(_folder["killed"]).FolderOf(9), recursive: true);
        Directory.Delete(new CheckpointStore(_folder["killed"]).FolderOf(8), recursive: true);
        Copy(new CheckpointStore(Whole4()).FolderOf(4), new CheckpointStore(_folder["killed"]).FolderOf(4));
        foreach (var model in Directory.EnumerateDirectories(_folder["killed"], "model*"))
            Directory.Delete(model, recursive: true);
        var log = Path.Combine(_folder["killed"], "metrics.jsonl");
        var lines = File.ReadAllLines(log);
        File.WriteAllText(log, string.Join('\n', lines[..6]) + "\n" + lines[6][..20]);
        Assert.Contains("Resuming after step 4.", Resume("killed", null));
        SameRun("whole", "killed", withCheckpointsOf: [8, 9]);
    }

    [Fact]
    public void A_finished_run_can_be_extended()
    {
        const string Constant = "\"optimiser.schedule.shape\": \"constant\"";
        Train(TinyRun.Denoiser(set: $"{{ {Constant} }}"), "longer", null);
        using (var run = TrainingRun.Resume(_folder["longer"], 11, TimeProvider.System))
            Assert.Equal(11, run.Train(new ProgressProbe(), CancellationToken.None).Steps);
        Train(TinyRun.Denoiser(set: $"{{ \"steps\": 11, {Constant} }}"), "whole", null);
        SameRun("whole", "longer", withCheckpointsOf: [11]);
        Assert.Equal(
            11,
            OptionsFile.Bind<TrainingOptions>(OptionsFile.Read(Path.Combine(_folder["longer"], "options.json")), "test").Steps
        );
        using var fewer = TrainingRun.Resume(_folder["longer"], 3, TimeProvider.System);
        Assert.Contains(
            "already completed 11 steps",
            Assert.Throws<UsageException>(() => fewer.Train(new ProgressProbe(), CancellationToken.None)).Message
        );
        Assert.Equal(
            11,
            OptionsFile.Bind<TrainingOptions>(OptionsFile.Read(Path.Combine(_folder["longer"], "options.json")), "test").Steps
        );
    }

    [Fact]
    public void A_run_without_checkpoints_restarts()
    {
        var options = TinyRun.Denoiser(set: """{ "steps": 3, "checkpoints.every": 0 }""");
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        using (var run = TrainingRun.Start(options, _folder["run"], TimeProvider.System))
            Assert.Throws<OperationCanceledException>(() => run.Train(new ProgressProbe(), cancelled.Token));
        Assert.Contains("The run has no checkpoint yet; starting at step 0.", Resume("run", null));
        Train(options, "whole", null);
        SameRun("whole", "run", withCheckpointsOf: [3]);
    }

    [Fact]
    public void A_folder_is_locked_by_its_process()
    {
        Train(TinyRun.Denoiser(set: """{ "steps": 1 }"""), "run", null);
        using var locked = RunFolder.Open(_folder["run"]).Lock();
        Assert.Contains("Another process", Assert.Throws<UsageException>(() => Resume("run", null)).Message);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void The_number_of_reader_threads_has_no_effect()
    {
        Train(TinyRun.Denoiser(), "two", null);
        Train(TinyRun.Denoiser(set: """{ "data.workers": 1 }"""), "one", null);
        SameRun("two", "one", withCheckpointsOf: [8, 9]);
    }

    private string Whole4()
    {
        Train(TinyRun.Denoiser(set: """{ "checkpoints.keep": 9 }"""), "all", null);
        return _folder["all"];
    }

    private static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var file in Directory.EnumerateFiles(from))
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
    }

    private void Train(TrainingOptions options, string name, int? stopAfter)
    {
        using var source = new CancellationTokenSource();
        using var run = TrainingRun.Start(options, _folder[name], TimeProvider.System);
        run.Train(Stopper(source, stopAfter), source.Token);
    }

    private List<string> Resume(string name, int? stopAfter)
    {
        using var source = new CancellationTokenSource();
        using var run = TrainingRun.Resume(_folder[name], null, TimeProvider.System);
        var progress = Stopper(source, stopAfter);
        run.Train(progress, source.Token);
        return progress.Notes;
    }

    private static ProgressProbe Stopper(CancellationTokenSource source, int? stopAfter) =>
        new(progress =>
        {
            if (progress.Step == stopAfter)
                source.Cancel();
        });

    private void SameRun(string expected, string actual, int[] withCheckpointsOf, string network = "transformer")
    {
        var (a, b) = (TinyRun.WeightFiles(_folder[expected]), TinyRun.WeightFiles(_folder[actual]));
        string[] wanted =
        [
            .. new[] { "model", "model-average-0.9", "model-average-0.99" }.Select(m =>
                $"{m}/{network}/diffusion_pytorch_model.safetensors"
            ),
            .. withCheckpointsOf.SelectMany(static step =>
                new[] { "weights", "optimiser", "average-0.9", "average-0.99" }.Select(file =>
                    $"checkpoints/step-{step:D8}/{file}.safetensors"
                )
            ),
        ];
        foreach (var file in wanted)
            Assert.True(a[file].AsSpan().SequenceEqual(b[file]), $"{file} differs");
        Assert.Equal(TinyRun.Metrics(_folder[expected]), TinyRun.Metrics(_folder[actual]));
    }
}
