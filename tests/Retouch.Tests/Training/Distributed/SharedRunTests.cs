using Retouch.Core.Errors;
using Retouch.Data.Pairs;
using Retouch.Data.Scenes;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Torch.Safetensors;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.State;
using Retouch.Training.Telemetry;

namespace Retouch.Tests.Training.Distributed;

/// <summary>Runs of several processes equal those of a single one with the same options.</summary>
public sealed class SharedRunTests : IDisposable
{
    private const string Measured = """{ "perceptual": { "weight": { "gradientRatio": 0.5, "warmUp": 5 } }, "decodeBatch": 2 }""";
    private const string Share = """{ "perceptual": { "weight": { "share": 0.2, "warmUp": 5 } }, "decodeBatch": 2 }""";

    private const string Windows = """{ "perceptual": { "weight": 3 }, "pixel": { "weight": 1 }, "decodeCrop": 8, "decodeHalo": 4 }""";

    // Few samples pass this gate, so that it is often open in one process only; the divisor counts them over all processes.
    private const string Gated = """
        { "perceptual": { "weight": 3, "gate": "timestep", "threshold": 350, "sampleReduction": "active" }, "decodeBatch": 2 }
        """;

    private const string Stratified = """{ "times": { "stratified": true } }""";

    private const string Gradients = """{ "distributed": { "shard": "gradients" } }""";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static TrainingOptions Options(string objective = Share, string set = "{}", bool cacheLatents = false) =>
        TinyRun.Denoiser(
            objective,
            cacheLatents,
            set: $$"""{ "batch.size": 1, "batch.accumulate": 4, "steps": 9, "averages": [ { "decay": 0.9 } ], {{set[1..]}}""".Replace(
                ", }",
                " }",
                StringComparison.Ordinal
            )
        );

    private void Train(TrainingOptions options, string run, int processes)
    {
        if (processes == 1)
            TinyRun.Train(options, _folder[run]);
        else
            Worlds.Run(
                processes,
                world =>
                {
                    using var shared = TrainingRun.Start(options, _folder[run], TimeProvider.System, world);
                    shared.Train();
                }
            );
    }

    private void Resume(string run, int processes) =>
        Worlds.Run(
            processes,
            world =>
            {
                using var shared = TrainingRun.Resume(_folder[run], null, TimeProvider.System, world: world);
                shared.Train();
            }
        );

    /// <summary>Stops after a step, by an interruption of one process.</summary>
    private void TrainUntil(TrainingOptions options, string run, int processes, long step)
    {
        using var stop = new CancellationTokenSource();
        var failures = Worlds.Try(
            processes,
            world =>
            {
                using var shared = TrainingRun.Start(options, _folder[run], TimeProvider.System, world);
                using var probe = new ProgressProbe(p =>
                {
                    if (p.Step == step && p.Unit == "step")
                        stop.Cancel();
                });
                shared.Train(probe, world.IsMain ? stop.Token : CancellationToken.None);
            }
        );
        Assert.IsType<OperationCanceledException>(failures[0]);
        Assert.All(failures[1..], static f => Assert.Contains("Another process was interrupted", f!.Message));
    }

    private Dictionary<string, double>[] Metrics(string run) =>
        [
            .. MetricsReader
                .Read(_folder[$"{run}/metrics.jsonl"])
                .Select(static r => r.Values.Where(static v => v.Key.Split('/')[0] is not ("time" or "memory")).ToDictionary()),
        ];

    /// <summary>Distance of the weights of a file from those of the other run, over the distance that training has moved them.</summary>
    private double RelativeDistance(string file, string run, string other, string untrained)
    {
        using var scope = TensorScope.Enter();
        using var a = SafetensorsFile.Open(_folder[$"{run}/{file}"]);
        using var b = SafetensorsFile.Open(_folder[$"{other}/{file}"]);
        using var start = SafetensorsFile.Open(_folder[$"{untrained}/{file}"]);
        double Sum(SafetensorsFile x, SafetensorsFile y) =>
            x.Names.Sum(name => (x.Read(name).To(DType.Float64) - y.Read(name).To(DType.Float64)).Square().Sum().Item());
        Assert.NotEmpty(a.Names);
        return Math.Sqrt(Sum(a, b) / Sum(a, start));
    }

    private void Equal(string run, string other, TrainingOptions options, string file)
    {
        var (single, shared) = (Metrics(other), Metrics(run));
        Assert.Equal(9, single.Length);
        Assert.Equal(single.Length, shared.Length);
        // Sums of float32 gradients in another order differ by 2⁻²⁴ relative to their largest terms; AdamW divides by their root mean
        // square, and the difference grows with the steps.
        foreach (var (step, (a, b)) in single.Zip(shared).Index())
        {
            Assert.Equal(a.Keys.Order(StringComparer.Ordinal), b.Keys.Order(StringComparer.Ordinal));
            // Figures of pairs are differences of errors of about 1.
            foreach (var (name, value) in a)
                Assert.True(
                    Math.Abs(value - b[name])
                        <= (
                            1e-5
                            * (name.StartsWith("preference_", StringComparison.Ordinal) ? Math.Max(1, Math.Abs(value)) : Math.Abs(value))
                        ) + 1e-8,
                    $"step {step + 1}, {name}: {value} and {b[name]}"
                );
        }

        Train(options with { Steps = 1, Optimiser = options.Optimiser with { LearningRate = 1e-30 } }, "untrained", 1);
        Assert.InRange(RelativeDistance(file, run, other, "untrained"), 0, 1e-4);
    }

    private void SameBytes(string a, string b)
    {
        var (first, second) = (TinyRun.WeightFiles(_folder[a]), TinyRun.WeightFiles(_folder[b]));
        foreach (var (name, bytes) in first.Where(static f => !f.Key.Contains("checkpoints", StringComparison.Ordinal)))
            Assert.True(bytes.AsSpan().SequenceEqual(second[name]), name);
        foreach (var (x, y) in Metrics(a).Zip(Metrics(b)))
            Assert.Equal(x, y);
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData(Share, 2, false)]
    [InlineData(Measured, 4, false)]
    [InlineData(Gated, 2, false)]
    [InlineData(Windows, 2, false)]
    [InlineData(Gated, 4, true)]
    [InlineData(Gated, 2, true, Stratified)]
    [InlineData(Measured, 2, false, Gradients)]
    [InlineData(Gated, 4, false, Gradients)]
    public void Losses_and_weights_are_those_of_one_process(string objective, int processes, bool cacheLatents, string set = "{}")
    {
        var options = Options(objective, set, cacheLatents);
        Train(options, "alone", 1);
        Train(options, "shared", processes);
        Equal("shared", "alone", options, "model/transformer/diffusion_pytorch_model.safetensors");
        if (objective == Gated)
            Assert.Contains(Metrics("shared"), static m => m["lpl/active"] == 0.25);
        // 35 % of 4 equally spaced timesteps are 1 or 2.
        if (set == Stratified)
            Assert.All(Metrics("shared"), static m => Assert.InRange(m["lpl/active"], 0.25, 0.5));
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Adapters_are_those_of_one_process()
    {
        Train(Options() with { Steps = 1 }, "base", 1);
        var options = Options(
            Share,
            $$"""{ "model": { "path": "{{_folder["base/model"]}}" }, "lora": { "rank": 2, "targets": ["attention"] } }"""
        );
        Train(options, "alone", 1);
        Train(options, "shared", 2);
        Equal("shared", "alone", options, "model/pytorch_lora_weights.safetensors");
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData(2, "none")]
    [InlineData(4, "weights")]
    public void Preferences_are_those_of_one_process(int processes, string shard)
    {
        DegradedPairs.Write(
            new ProceduralScenes(2, 16, 13),
            new() { Degradation = Degradation.Blur, Size = 16 },
            _folder["pairs"],
            CancellationToken.None
        );
        Train(Options() with { Steps = 1 }, "base", 1);
        // In latents and in pixels, with the reference in every process.
        var options = Options(
            """{ "preference": { "space": "both", "beta": 200, "pixelWeight": 0.5 }, "decodeBatch": 3 }""",
            $$"""
            { "model": { "path": "{{_folder["base/model"]}}" }, "data": { "pairs": "{{_folder["pairs"]}}", "size": 16 },
              "optimiser": { "learningRate": 0.003 }, "distributed": { "shard": "{{shard}}" } }
            """
        );
        Train(options with { Distributed = new() }, "alone", 1);
        Train(options, "shared", processes);
        Equal("shared", "alone", options, "model/transformer/diffusion_pytorch_model.safetensors");
        // The reference is the model itself until the first update.
        var losses = Metrics("shared").Select(static m => m["loss/preference_pixel/raw"]).ToArray();
        Assert.Equal(Math.Log(2), losses[0], 6);
        Assert.Contains(losses, static l => Math.Abs(l - Math.Log(2)) > 1e-5);
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData(3)]
    [InlineData(4)] // at a checkpoint
    public void A_resumed_run_of_as_many_processes_ends_with_the_same_bytes(int stopAfter)
    {
        var options = Options(Measured);
        Train(options, "whole", 2);
        TrainUntil(options, "parts", 2, stopAfter);
        Assert.Equal(stopAfter, new CheckpointStore(_folder["parts"]).Steps[^1]);
        Resume("parts", 2);
        SameBytes("whole", "parts");
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_run_resumes_with_another_number_of_processes()
    {
        var options = Options(Share);
        Train(options, "alone", 1);
        TrainUntil(options, "shared", 4, 3);
        Resume("shared", 2);
        Equal("shared", "alone", options, "model/transformer/diffusion_pytorch_model.safetensors");
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData(2)]
    [InlineData(4)]
    public void A_validation_of_several_processes_has_the_values_of_one(int processes)
    {
        var options = Options(set: """{ "validation": { "count": 5, "every": 1, "timesteps": 3 } }""") with { Steps = 1 };
        Train(options, "alone", 1);
        Train(options, "shared", processes);
        Dictionary<string, double> Initial(string run) =>
            Metrics(run)[0].Where(static m => m.Key.StartsWith("validation/", StringComparison.Ordinal)).ToDictionary();
        // Before the first step the weights are the same, and so are all bits. By term: 3 parts and their sum.
        Assert.True(Initial("alone").Count >= 8, string.Join(' ', Initial("alone").Keys));
        Assert.Equal(Initial("alone"), Initial("shared"));
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("none")]
    [InlineData("states")]
    public void A_validation_that_one_process_interrupts_is_repeated(string shard)
    {
        var set = $$"""{ "validation": { "count": 6, "every": 2, "timesteps": 2 }, "distributed.shard": "{{shard}}" }""";
        var options = Options(set: set) with { Steps = 4 };
        Train(options, "whole", 2);
        using var stop = new CancellationTokenSource();
        var trained = false;
        var failures = Worlds.Try(
            2,
            world =>
            {
                using var shared = TrainingRun.Start(options, _folder["parts"], TimeProvider.System, world);
                using var probe = new ProgressProbe(p =>
                {
                    // Within the validation of the average after step 2.
                    trained |= p is { Unit: "step", Step: 2 };
                    if (trained && p is { Unit: "held-out batch", Step: 16 })
                        stop.Cancel();
                });
                shared.Train(probe, world.IsMain ? stop.Token : CancellationToken.None);
            }
        );
        Assert.IsType<OperationCanceledException>(failures[0]);
        Assert.Contains("Another process was interrupted", failures[1]!.Message);
        Assert.Equal([2], new CheckpointStore(_folder["parts"]).Steps);
        Assert.Equal(2, Metrics("parts").Count(static m => m.ContainsKey("loss/total")));
        Resume("parts", 2);
        SameBytes("whole", "parts");
    }

    [Fact]
    public void Unsupported_and_different_options_are_errors_of_all()
    {
        Exception?[] Try(Func<int, TrainingOptions> options) =>
            Worlds.Try(
                2,
                world =>
                {
                    using var run = TrainingRun.Start(options(world.Rank), _folder["run"], TimeProvider.System, world);
                }
            );
        void Fail(string message, Func<int, TrainingOptions> options) =>
            Assert.All(Try(options), f => Assert.Contains(message, Assert.IsType<UsageException>(f).Message));

        Fail(
            "Rank 1 was started with other options than rank 0: '\"seed\": 7,' instead of '\"seed\": 5,'",
            static rank => Options() with { Seed = rank == 0 ? 5u : 7u }
        );
        Fail(
            "batch.accumulate is 3",
            static _ =>
                Options() with
                {
                    Batch = new() { Size = 1, Accumulate = 3 },
                }
        );
        Fail(
            "a measured weight needs objective.latentWeight above 0",
            static _ => Options("""{ "latentWeight": 0, "perceptual": { "weight": { "share": 0.5 } }, "pixel": { "weight": 1 } }""")
        );
    }
}
