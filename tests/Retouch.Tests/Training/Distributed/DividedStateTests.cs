using Retouch.Core.Errors;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.State;
using Retouch.Training.Telemetry;

namespace Retouch.Tests.Training.Distributed;

/// <summary><c>distributed.shard=states</c>: the results of whole states, by the bit; checkpoints of any number of processes.</summary>
public sealed class DividedStateTests : IDisposable
{
    private const string EightBit = """ "optimiser.kind": "adamw8bit", "optimiser.eightBit": { "block": 32, "smallest": 100 }, """;
    private const string Narrow = """ "optimiser.weights": "bfloat16", "precision": "bfloat16", """;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static TrainingOptions Options(string set, bool divided) =>
        TinyRun.Denoiser(
            """{ "perceptual": { "weight": { "share": 0.2, "warmUp": 5 } }, "decodeBatch": 2 }""",
            set: $$"""
            { {{set}} "batch.size": 1, "batch.accumulate": 4, "steps": 7, "averages": [ { "decay": 0.9 }, { "decay": 0.5 } ],
              "validation": { "count": 3, "every": 3, "timesteps": 2 }, "samples": { "every": 5, "count": 1, "steps": 2 },
              "checkpoints": { "every": 3, "keep": 3 }, "distributed.shard": "{{(divided ? "states" : "none")}}" }
            """
        );

    private void Train(TrainingOptions options, string run, int processes) =>
        Worlds.Run(
            processes,
            world =>
            {
                using var shared = TrainingRun.Start(options, _folder[run], TimeProvider.System, world);
                shared.Train();
            }
        );

    private void Resume(string run, int processes, bool divided)
    {
        void Set(System.Text.Json.Nodes.JsonObject json) => OptionsFile.Set(json, "distributed.shard", divided ? "states" : "none");
        if (processes == 1)
        {
            using var alone = TrainingRun.Resume(_folder[run], null, TimeProvider.System, change: Set);
            alone.Train();
        }
        else
            Worlds.Run(
                processes,
                world =>
                {
                    using var shared = TrainingRun.Resume(_folder[run], null, TimeProvider.System, change: Set, world: world);
                    shared.Train();
                }
            );
    }

    /// <summary>Models and metrics of two runs are the same; checkpoints have the same tensors, in as many files as they want.</summary>
    private void Same(string run, string other)
    {
        var (a, b) = (TinyRun.WeightFiles(_folder[run]), TinyRun.WeightFiles(_folder[other]));
        string[] models = [.. a.Keys.Where(static f => !f.Contains("checkpoints", StringComparison.Ordinal))];
        Assert.Contains(models, static m => m.StartsWith("model-average-0.5", StringComparison.Ordinal));
        foreach (var file in models)
            Assert.True(a[file].AsSpan().SequenceEqual(b[file]), file);
        Assert.Equal(TinyRun.Metrics(_folder[other]), TinyRun.Metrics(_folder[run]));
        Assert.Equal(7, MetricsReader.Read(_folder[$"{run}/metrics.jsonl"]).Count(static r => r.Find("loss/total") is not null));
        foreach (var step in new CheckpointStore(_folder[run]).Steps)
            SameTensors(new CheckpointStore(_folder[run]).FolderOf(step), new CheckpointStore(_folder[other]).FolderOf(step));
    }

    private static void SameTensors(string folder, string other)
    {
        using var scope = TensorScope.Enter();
        foreach (var stem in (string[])["weights", "optimiser", "average-0.9", "average-0.5"])
        {
            JoinedTensors Open(string at) =>
                JoinedTensors.Open([
                    .. Directory
                        .EnumerateFiles(at, $"{stem}.safetensors")
                        .Concat(Directory.EnumerateFiles(at, $"{stem}-*-of-*.safetensors")),
                ]);
            using var a = Open(folder);
            using var b = Open(other);
            Assert.Equal(b.Names.Order(StringComparer.Ordinal), a.Names.Order(StringComparer.Ordinal));
            foreach (var name in a.Names)
                Assert.True(Values(a, name).SequenceEqual(Values(b, name)), $"{folder}, {stem}: {name}");
        }
    }

    private static double[] Values(JoinedTensors file, string name) => file.Read(name).To(DType.Float64).View([-1]).ToArray<double>();

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("", 2)]
    [InlineData("", 4)]
    [InlineData(EightBit, 2)]
    [InlineData(""" "optimiser.kind": "adafactor", """, 2)]
    [InlineData(""" "optimiser.kind": "prodigy", "optimiser.prodigy": { "start": 1e-3 }, """, 2)]
    [InlineData(""" "optimiser.kind": "prodigy", "optimiser.prodigy": { "start": 1e-3 }, """, 4)]
    [InlineData(""" "optimiser.kind": "schedule-free", """, 2)]
    [InlineData(""" "optimiser.kind": "muon", """, 2)]
    [InlineData(Narrow, 2)]
    public void Divided_states_train_to_the_bytes_of_whole_ones(string set, int processes)
    {
        Train(Options(set, divided: false), "whole", processes);
        Train(Options(set, divided: true), "divided", processes);
        Same("divided", "whole");
        var folder = new CheckpointStore(_folder["divided"]).FolderOf(7);
        Assert.Equal(processes, Directory.GetFiles(folder, "optimiser-*-of-*.safetensors").Length);
        Assert.False(File.Exists(Path.Combine(folder, "optimiser.safetensors")));
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("", 2, true)]
    [InlineData("", 1, false)]
    [InlineData(""" "optimiser.kind": "prodigy", "optimiser.prodigy": { "start": 1e-3 }, """, 2, true)]
    [InlineData(""" "optimiser.kind": "schedule-free", """, 1, true)]
    public void A_checkpoint_of_four_processes_resumes_in_any_number(string set, int processes, bool divided)
    {
        // Both runs stop at the same step, and continue from the tensors of the same checkpoint.
        foreach (var (run, isDivided) in (ReadOnlySpan<(string, bool)>)[("divided", true), ("whole", false)])
        {
            Train(Options(set, isDivided), run, 4);
            BackTo(run, 3);
        }

        SameTensors(new CheckpointStore(_folder["divided"]).FolderOf(3), new CheckpointStore(_folder["whole"]).FolderOf(3));
        Resume("divided", processes, divided);
        Resume("whole", processes, divided: false);
        Same("divided", "whole");
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_checkpoint_of_whole_states_resumes_with_divided_ones()
    {
        Train(Options("", divided: false), "whole", 2);
        BackTo("whole", 3);
        Resume("whole", 2, divided: true);
        Train(Options("", divided: true), "divided", 2);
        Same("whole", "divided");
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_checkpoint_without_one_of_its_parts_does_not_count()
    {
        Train(Options("", divided: true), "run", 2);
        var store = new CheckpointStore(_folder["run"]);
        Assert.Equal([3, 6, 7], store.Steps);
        File.Delete(Path.Combine(store.FolderOf(7), "average-0.9-00002-of-00002.safetensors"));
        var damaged = Path.Combine(store.FolderOf(6), "optimiser-00002-of-00002.safetensors");
        var bytes = File.ReadAllBytes(damaged);
        bytes[^1] ^= 1;
        File.WriteAllBytes(damaged, bytes);
        List<string> skipped = [];
        Assert.Equal(3, store.ReadNewest(skipped.Add)!.Value.State.Step);
        Assert.Contains("average-0.9-00002-of-00002.safetensors is missing", skipped[0]);
        Assert.Contains("optimiser-00002-of-00002.safetensors does not have the hash it was written with", skipped[1]);
    }

    [Fact]
    [Trait("speed", "slow")]
    public void Each_process_holds_its_part_of_the_states()
    {
        const int Size = 2;
        var parts = new (long States, long Averages)[Size];
        var whole = (States: 0L, Averages: 0L, Largest: 0L);
        Worlds.Run(
            Size,
            world =>
            {
                var options = Options("", divided: true);
                using var network = DividedNetwork(out var all);
                var share = Retouch.Training.Distributed.SharedRun.ShareOf(options, all, world)!;
                using var optimiser = options.Optimiser.Create(all, 1, share);
                using var average = new Torch.Optim.WeightAverage(share.Own, options.Averages[0]);
                parts[world.Rank] = (optimiser.StateBytes, average.Tensors().Sum(static t => t.Value.Count * sizeof(float)));
                if (world.IsMain)
                    whole = (options.Optimiser.StateBytes(all), all.Sum(static p => p.Count) * sizeof(float), all.Max(static p => p.Count));
            }
        );
        // AdamW has 8 bytes per weight, an average 4; shares differ by at most a parameter.
        Assert.Equal(whole.States, parts.Sum(static p => p.States));
        Assert.Equal(whole.Averages, parts.Sum(static p => p.Averages));
        Assert.Equal(2 * whole.Averages, whole.States);
        Assert.All(
            parts,
            p => Assert.InRange(p.States, (whole.States / Size) - (8 * whole.Largest), (whole.States / Size) + (8 * whole.Largest))
        );
    }

    /// <summary>A denoiser with weights.</summary>
    private static ParameterStore DividedNetwork(out IReadOnlyList<Parameter> trained)
    {
        var store = new ParameterStore();
        foreach (var (k, width) in new[] { 64, 64, 32, 32, 32, 16, 8 }.Index())
        {
            store.Root.Parameter($"layers.{k}.weight", [width, width], static (t, _) => t.ZeroInPlace());
            store.Root.Parameter($"layers.{k}.bias", [width], static (t, _) => t.ZeroInPlace());
        }

        using var generator = Generator.Create(Device.Cpu, 0);
        store.Initialise(generator, Device.Cpu);
        trained = [.. store.Trained];
        return store;
    }

    private void BackTo(string run, long step)
    {
        var store = new CheckpointStore(_folder[run]);
        foreach (var later in store.Steps.Where(s => s > step))
            Directory.Delete(store.FolderOf(later), recursive: true);
        Directory.EnumerateDirectories(_folder[run], "model*").ToList().ForEach(static d => Directory.Delete(d, recursive: true));
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_part_that_cannot_be_written_ends_all_and_earlier_checkpoints_remain()
    {
        Train(Options("", divided: true) with { Steps = 6 }, "run", 2);
        var store = new CheckpointStore(_folder["run"]);
        Assert.Equal([3, 6], store.Steps);
        var failures = Worlds.Try(
            2,
            world =>
            {
                using var shared = TrainingRun.Resume(_folder["run"], 8, TimeProvider.System, world: world);
                using var probe = new ProgressProbe(p =>
                {
                    // A file where the checkpoint's folder is to be.
                    if (p.Step == 7 && p.Unit == "step")
                        File.WriteAllText(store.FolderOf(8), "");
                });
                shared.Train(probe);
            }
        );
        Assert.Contains("The checkpoint of step 8 could not be written: ", Assert.IsType<EnvironmentException>(failures[0]).Message);
        Assert.Contains("rank 0 has failed", failures[1]!.Message);
        Assert.Equal(6, store.ReadNewest(static _ => { })!.Value.State.Step);
    }
}
