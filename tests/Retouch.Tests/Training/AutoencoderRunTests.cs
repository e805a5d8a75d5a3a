using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Perception;
using Retouch.Tests.Goldens;
using Retouch.Tests.Training.Distributed;
using Retouch.Torch;
using Retouch.Torch.Safetensors;
using Retouch.Training;
using Retouch.Training.Options;
using Retouch.Training.State;
using Retouch.Training.Telemetry;

namespace Retouch.Tests.Training;

/// <summary>Runs of an autoencoder with perceptual and adversarial terms: resume, frozen encoder, several processes.</summary>
public sealed class AutoencoderRunTests : IDisposable
{
    private const string Weights = "diffusion_pytorch_model.safetensors";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private TrainingOptions Options(string set = "{}")
    {
        if (!Directory.Exists(_folder["features"]))
        {
            var config = new FeatureNetworkConfig
            {
                Size = 16,
                Channels = 4,
                Classes = ["a", "b"],
            };
            using var network = new RetouchFeatures(config);
            using var generator = Generator.Create(Device.Cpu, 2);
            network.Parameters.Initialise(generator, Device.Cpu);
            network.Save(_folder["features"], config);
        }

        var json = JsonNode
            .Parse(
                $$"""
                {
                  "task": "autoencoder", "seed": 5, "steps": 9,
                  "model": { "path": "{{TinyModel.AutoencoderFolder}}" },
                  "data": { "sceneCount": 11, "size": 16, "workers": 2 },
                  "batch": { "size": 1, "accumulate": 4 },
                  "optimiser": { "learningRate": 1e-3 },
                  "autoencoderLoss": {
                    "perceptual": { "weight": 0.1, "features": "{{_folder["features"]}}" },
                    "adversarial": { "start": 2, "channels": 8, "layers": 2, "learningRate": 1e-3 }
                  },
                  "averages": [ { "decay": 0.9 } ], "checkpoints": { "every": 4, "keep": 2 }, "samples": { "every": 0 }
                }
                """
            )!
            .AsObject();
        foreach (var (path, value) in JsonNode.Parse(set)!.AsObject())
            OptionsFile.Set(json, path, value?.DeepClone());
        return OptionsFile.Bind<TrainingOptions>(json, "test");
    }

    private static string Last(string run) => new CheckpointStore(run).FolderOf(9);

    [Fact]
    public void A_resumed_run_ends_with_the_same_bytes_and_has_the_planned_size()
    {
        TinyRun.Train(Options(), _folder["whole"]);
        TinyRun.TrainUntil(Options(), _folder["parts"], static p => p.Step == 5);
        TinyRun.Resume(_folder["parts"]);
        var (whole, parts) = (TinyRun.WeightFiles(_folder["whole"]), TinyRun.WeightFiles(_folder["parts"]));
        Assert.Contains(whole.Keys, static k => k.EndsWith("discriminator.safetensors", StringComparison.Ordinal));
        foreach (var file in Directory.EnumerateFiles(Last(_folder["whole"]), "*.safetensors"))
        {
            var name = Path.GetRelativePath(_folder["whole"], file);
            Assert.True(whole[name].AsSpan().SequenceEqual(parts[name]), name);
        }

        Assert.Equal(TinyRun.Metrics(_folder["whole"]), TinyRun.Metrics(_folder["parts"]));
        var records = MetricsReader.Read(_folder["whole/metrics.jsonl"]);
        Assert.All(records.Take(2), static r => Assert.Equal(0, r.Find("loss/adversarial/raw")));
        Assert.All(records.Take(2), static r => Assert.Null(r.Find("discriminator/loss")));
        Assert.All(records.Skip(2), static r => Assert.True(r.Find("discriminator/loss") > 0));
        Assert.All(records, static r => Assert.True(r.Find("loss/perceptual/raw") > 0));

        using var planned = TrainingRun.Start(Options(), null, TimeProvider.System);
        var bytes = Directory
            .EnumerateFiles(Last(_folder["whole"]), "*.safetensors")
            .Sum(static f =>
            {
                using var file = SafetensorsFile.Open(f);
                return file.Entries.Sum(static e => e.Value.Length);
            });
        // The discriminator's number of steps, and those of the averages, are not planned.
        Assert.InRange(bytes - planned.Plan(default).CheckpointBytes, 0, 64);
    }

    [Fact]
    public void Training_of_the_decoder_alone_leaves_the_encoder_as_it_is()
    {
        TinyRun.Train(Options("""{ "autoencoderLoss.decoderOnly": true }"""), _folder["run"]);
        using var before = SafetensorsFile.Open(Path.Combine(TinyModel.AutoencoderFolder, Weights));
        foreach (var saved in new[] { "model", "model-average-0.9" })
        {
            using var after = SafetensorsFile.Open(_folder[$"run/{saved}/{Weights}"]);
            foreach (var name in before.Names)
            {
                using var scope = TensorScope.Enter();
                var isEqual = before.Read(name).ToArray<float>().SequenceEqual(after.Read(name).ToArray<float>());
                Assert.Equal(
                    name.StartsWith("encoder.", StringComparison.Ordinal) || name.StartsWith("quant_conv.", StringComparison.Ordinal),
                    isEqual
                );
            }
        }

        Assert.Throws<UsageException>(() =>
            Options("""{ "autoencoderLoss.decoderOnly": true, "model.measureScaling": true }""").Validate()
        );
        Assert.Contains(
            "layers",
            Assert.Throws<UsageException>(() => Options("""{ "autoencoderLoss.adversarial.layers": 3 }""").Validate()).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "features",
            Assert.Throws<UsageException>(() => Options("""{ "autoencoderLoss.perceptual": { "trunk": "vgg.pth" } }""").Validate()).Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData(2, "none")]
    [InlineData(2, "states")]
    public void Several_processes_train_the_same_discriminator(int processes, string shard)
    {
        TinyRun.Train(Options(), _folder["one"]);
        var options = Options($$"""{ "distributed.shard": "{{shard}}" }""");
        Worlds.Run(
            processes,
            world =>
            {
                using var shared = TrainingRun.Start(options, _folder["several"], TimeProvider.System, world);
                shared.Train();
            }
        );
        foreach (
            var file in new[] { $"model/{Weights}", $"checkpoints/{Path.GetFileName(Last(_folder["one"]))}/discriminator.safetensors" }
        )
        {
            using var scope = TensorScope.Enter();
            using var one = SafetensorsFile.Open(_folder[$"one/{file}"]);
            using var several = SafetensorsFile.Open(_folder[$"several/{file}"]);
            Assert.Equal(one.Names.Order(StringComparer.Ordinal), several.Names.Order(StringComparer.Ordinal));
            foreach (var name in one.Names.Where(static n => !n.StartsWith("optimiser.", StringComparison.Ordinal)))
            {
                var difference = (one.Read(name).To(DType.Float64) - several.Read(name).To(DType.Float64)).Abs().Max().Item();
                Assert.True(difference < 1e-3, $"{file}, {name}: {difference}");
            }
        }
    }
}
