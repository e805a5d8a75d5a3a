using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Pictures;
using Retouch.Images;
using Retouch.Perception;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;

namespace Retouch.Tests.Evaluation.Features;

/// <summary>The feature network of Retouch: learning, reproducibility, saving and loading.</summary>
public sealed class RetouchFeaturesTests
{
    private static readonly FeatureTrainingOptions Small = new()
    {
        Epochs = 8,
        BatchSize = 16,
        Size = 16,
        Channels = 12,
        Seed = 3,
        KeptOneIn = 4,
    };

    [Fact]
    [Trait("speed", "slow")]
    public void It_learns_classes_reproducibly_and_survives_a_round_trip()
    {
        using var scope = TensorScope.Enter();
        using var folder = new TemporaryFolder();
        List<double> losses = [];
        var config = FeatureTraining.Run(new Stripes(160), folder["one"], Small, p => losses.Add(p.Loss));
        Assert.Equal((8, 120, 8 * Small.Channels), (losses.Count, config.Pictures, config.Width));
        Assert.True(losses[^1] < 0.3 * losses[0], string.Join(' ', losses));
        // Chance level: a third.
        Assert.True(config.Accuracy > 0.9, $"{config.Accuracy}");
        FeatureTraining.Run(new Stripes(160), folder["two"], Small);
        Assert.Equal(
            File.ReadAllBytes(Path.Combine(folder["one"], "model.safetensors")),
            File.ReadAllBytes(Path.Combine(folder["two"], "model.safetensors"))
        );
        FeatureTraining.Run(new Stripes(160), folder["other"], Small with { Seed = 4, Epochs = 1 });

        using var network = RetouchFeatures.Open(folder["one"], Device.Cpu);
        Assert.Equal(config.ToJson().ToJsonString(), network.Config.ToJson().ToJsonString());
        Assert.Equal(
            ("retouch-features", FeatureWeights.Hash(Path.Combine(folder["one"], "model.safetensors"))),
            (network.Protocol.Key, network.Protocol.Sha256)
        );
        var pictures = TestTensors.Pictures(5, 24, 1);
        Assert.Equal([5L, 8 * Small.Channels], network.Extract(pictures).Shape);
        // Convolutions sum in another order for other batch sizes: some units in the last place of float32.
        var features = network.Extract(pictures);
        TestTensors.Close(
            0,
            TestTensors.Furthest(features.Narrow(0, 2, 1), network.Extract(pictures.Narrow(0, 2, 1))),
            1e-5 * features.Abs().Max().Item()
        );
        var set = ImageSet.From("real", TestTensors.Pictures(80, 16, 1));
        var figures = Evaluator
            .Evaluate(
                set,
                [ImageSet.From("fake", TestTensors.Pictures(80, 16, 2))],
                new EvaluationOptions { Metrics = MetricCatalog.Of("fd"), Networks = [network] }
            )
            .Sets[0]
            .Figures;
        Assert.Equal("fd.retouch-features", figures.Single().Name);
    }

    [Fact]
    public void Pictures_without_classes_and_unrelated_folders_are_rejected()
    {
        using var scope = TensorScope.Enter();
        using var folder = new TemporaryFolder();
        Assert.Contains(
            "one class",
            Assert.Throws<InputException>(() => FeatureTraining.Run(new Stripes(20, classes: 1), folder["x"], Small)).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "too few",
            Assert.Throws<InputException>(() => FeatureTraining.Run(new Stripes(3), folder["x"], Small)).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<UsageException>(() => FeatureTraining.Run(new Stripes(20), folder["x"], Small with { Size = 20 }));
        Assert.Throws<UsageException>(() => FeatureTraining.Run(new Stripes(20), folder["x"], Small with { LearningRate = double.NaN }));
        Assert.False(Directory.Exists(folder["x"]));
        Directory.CreateDirectory(folder["y"]);
        Assert.Throws<InputException>(() => RetouchFeatures.Open(folder["y"], Device.Cpu));
        foreach (
            var text in new[]
            {
                "[]",
                "{",
                """{"_class_name":"DiT"}""",
                """{"_class_name":"RetouchFeatures","size":16,"channels":8,"classes":[1,2]}""",
                """{"_class_name":"RetouchFeatures","size":17,"channels":8,"classes":["a","b"]}""",
            }
        )
        {
            File.WriteAllText(Path.Combine(folder["y"], "config.json"), text);
            Assert.Throws<InputException>(() => RetouchFeatures.Open(folder["y"], Device.Cpu));
        }
    }

    [Fact]
    public void The_learning_rate_rises_and_falls()
    {
        TestTensors.Close(0, FeatureTraining.Rate(0), 0);
        TestTensors.Close(1, FeatureTraining.Rate(0.1), 1e-12);
        TestTensors.Close(0.5, FeatureTraining.Rate(0.55), 1e-12);
        TestTensors.Close(0, FeatureTraining.Rate(1), 1e-12);
    }

    /// <summary>Horizontal stripes, vertical stripes, and uniform pictures, each of a random colour.</summary>
    private sealed class Stripes(int count, int classes = 3) : IPictureSource
    {
        private static readonly string[] Names = ["across", "down", "flat"];

        public int Count => count;

        public IReadOnlyList<string> Classes => Names[..classes];

        public Sample this[int index] => new($"{index}.png", index % classes, null);

        public string Stamp(int index) => "1";

        public SourcePicture Load(int index, int minSide = 0)
        {
            var random = new SplitMix64(SplitMix64.Derive(9, (ulong)index));
            var (r, g, b, phase) = (random.NextInt(200), random.NextInt(200), random.NextInt(200), random.NextInt(4));
            var picture = Picture.Filled(20, 20, Rgb.White);
            for (var y = 0; y < 20; y++)
            {
                for (var x = 0; x < 20; x++)
                {
                    var bright =
                        (index % classes) switch
                        {
                            0 => (y + phase) / 2 % 2,
                            1 => (x + phase) / 2 % 2,
                            _ => 0,
                        } * 55;
                    picture[x, y] = new Rgb((byte)(r + bright), (byte)(g + bright), (byte)(b + bright));
                }
            }

            return new SourcePicture(picture, 20, 20);
        }
    }
}
