using Retouch.Data;
using Retouch.Denoisers;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Denoisers;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Optim;
using Retouch.Training;
using Retouch.Training.Conditions;
using Retouch.Training.Distributed;
using Retouch.Training.Options;
using Retouch.Training.State;
using Retouch.Training.Tasks;

namespace Retouch.Tests.Training.Distributed;

/// <summary><c>distributed.shard=weights</c>: the bytes of divided gradients, and outputs and gradients of every family.</summary>
public sealed class DividedWeightsTests : IDisposable
{
    private const string Narrow = """ "optimiser.weights": "bfloat16", "precision": "bfloat16", """;
    private const string Adapters = """ "lora": { "rank": 2 }, "model": { "path": "BASE" }, """;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private TrainingOptions Options(string set, string shard) =>
        TinyRun.Denoiser(
            """{ "perceptual": { "weight": { "share": 0.2, "warmUp": 5 } }, "decodeBatch": 2 }""",
            set: $$"""
            { "model.config.num_layers": 3, {{set.Replace("BASE", _folder["base/model"], StringComparison.Ordinal)}}
              "batch.size": 1, "batch.accumulate": 4, "steps": 7, "averages": [ { "decay": 0.9 } ],
              "validation": { "count": 3, "every": 3, "timesteps": 2 }, "samples": { "every": 5, "count": 1, "steps": 2 },
              "checkpoints": { "every": 3, "keep": 3 }, "distributed.shard": "{{shard}}" }
            """
        );

    private void Train(string set, string shard, string run, int processes) =>
        Worlds.Run(
            processes,
            world =>
            {
                using var shared = TrainingRun.Start(Options(set, shard), _folder[run], TimeProvider.System, world);
                shared.Train();
            }
        );

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("", 2)]
    [InlineData("", 4)]
    [InlineData(Narrow, 2)]
    [InlineData(""" "optimiser.kind": "schedule-free", """, 2)]
    [InlineData(Adapters, 2)]
    public void Divided_weights_train_to_the_bytes_of_divided_gradients(string set, int processes)
    {
        if (set == Adapters)
            TinyRun.Train(TinyRun.Denoiser("{}", set: """{ "model.config.num_layers": 3, "steps": 1 }"""), _folder["base"]);
        Train(set, "gradients", "gradients", processes);
        Train(set, "weights", "weights", processes);
        var (expected, found) = (TinyRun.WeightFiles(_folder["gradients"]), TinyRun.WeightFiles(_folder["weights"]));
        Assert.Equal(expected.Keys, found.Keys);
        foreach (var (file, bytes) in expected)
            Assert.True(bytes.AsSpan().SequenceEqual(found[file]), file);
        Assert.Equal(TinyRun.Metrics(_folder["gradients"]), TinyRun.Metrics(_folder["weights"]));
        Assert.Equal(
            File.ReadAllBytes(_folder["gradients/samples/step-00000005.png"]),
            File.ReadAllBytes(_folder["weights/samples/step-00000005.png"])
        );
        Assert.Equal([3, 6, 7], new CheckpointStore(_folder["weights"]).Steps);
    }

    [Theory]
    [InlineData("dit", 2)]
    [InlineData("pixart", 2)]
    [InlineData("sd3", 3)]
    [InlineData("sd35", 2)]
    [InlineData("unet_sd15", 2)]
    [InlineData("unet_sdxl", 3)]
    public void Blocks_of_every_family_compute_with_the_weights_of_all(string name, int processes)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open(name);
        using var whole = Network(golden);
        var expected = Evaluate(whole);
        Assert.NotEmpty(whole.Parameters.Blocks);
        Worlds.Run(
            processes,
            world =>
            {
                using var quiet = TensorScope.Enter();
                using var network = Network(golden);
                var share = new ParameterShare(
                    network.Parameters.Trained,
                    world.Rank,
                    world.Size,
                    tensor => world.Gather("exchange of weights", tensor)
                );
                _ = new DividedWeights(network.Parameters.Blocks, share, world);
                var others = network.Parameters.Blocks.SelectMany(static b => b).Except(share.Own).ToArray();
                Assert.NotEmpty(others);
                for (var pass = 0; pass < 2; pass++)
                {
                    DenoiserGolden.CheckSame(expected, Evaluate(network));
                    // Nothing but the process's own share remains.
                    Assert.All(others, static p => Assert.Equal(0, p.Value.StorageBytes));
                    network.Parameters.RequireGrad(true);
                    foreach (var parameter in network.Parameters.Trained)
                        parameter.Value.Grad = null;
                }

                using (Autograd.NoGrad())
                    Assert.Equal(expected["output"], Predict(network).ToArray<float>());
            }
        );
    }

    private static IDenoiser Network(GoldenCase golden) => (IDenoiser)ComponentFolder.Load(golden.Folder, Device.Cpu).Network;

    private static Dictionary<string, float[]> Evaluate(IDenoiser network) =>
        DenoiserGolden.Gradients(network, () => Predict(network), DType.BFloat16);

    private static Tensor Predict(IDenoiser network)
    {
        using var generator = Generator.Create(Device.Cpu, 4);
        using var conditions = new MadeUpConditions(network, 5, 6, Device.Cpu);
        using var mode = Autocast.Enter(Device.Cpu, DType.BFloat16);
        var noisy = Ops.Randn([2, network.LatentChannels, network.SampleSize, network.SampleSize], generator);
        var batch = new TrainingBatch(null, null, [new("a", 1, null), new("b", 0, null)], new FrameRecord[2], default);
        return network.Predict(noisy, Tensor.From([12f, 340], 2), conditions.Of(batch, null)).Value;
    }
}
