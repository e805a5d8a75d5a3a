using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Pictures;
using Retouch.Evaluation.Statistics;
using Retouch.Torch;
using Retouch.Torch.Safetensors;
using Xunit.Sdk;

namespace Retouch.Tests.Evaluation.Features;

/// <summary>Test that needs the published SqueezeNet in the folder next to RETOUCH_SHARED_DATA.</summary>
[AttributeUsage(AttributeTargets.Method)]
[TraitDiscoverer(NeedsDiscoverer.Name, "Retouch.Tests")]
public sealed class SqueezeNetFactAttribute : FactAttribute, ITraitAttribute
{
    public string Needs => "shared";

    public SqueezeNetFactAttribute()
    {
        if (Weights is null)
            Skip = "There is no models/squeezenet_v1_0 and golden/squeezenet_real beside the folder that RETOUCH_SHARED_DATA names.";
    }

    public static string? Weights => Beside("models/squeezenet_v1_0/squeezenet_v1_0.safetensors");

    public static string? Golden => Beside("golden/squeezenet_real/io.safetensors");

    private static string? Beside(string path) =>
        Environment.GetEnvironmentVariable("RETOUCH_SHARED_DATA") is { Length: > 0 } folder && File.Exists(Path.Combine(folder, "..", path))
            ? Path.Combine(folder, "..", path)
            : null;
}

public sealed class SqueezeNetTests
{
    [SqueezeNetFact]
    public void The_published_network_gives_the_features_and_classes_of_PyTorch()
    {
        using var scope = TensorScope.Enter();
        using var network = SqueezeNetFeatures.Open(SqueezeNetFactAttribute.Weights!, Device.Cpu);
        using var golden = SafetensorsFile.Open(SqueezeNetFactAttribute.Golden!);
        foreach (var size in new[] { "128", "227" })
        {
            var images = golden.Read($"images_u8_{size}").To(DType.Float32) / 255;
            foreach (
                var (name, actual) in new[] { ($"fire9_mean_{size}", network.Extract(images)), ($"logits_{size}", network.Logits(images)) }
            )
            {
                var expected = golden.Read(name);
                Assert.Equal(expected.Shape, actual.Shape);
                var far = ((actual - expected).Abs() - (1e-3 * expected.Abs())).Max().Item();
                Assert.True(far <= 1e-3 * expected.Abs().Max().Item() * 0.01, $"{name}: {far}");
            }
        }

        var top = network.Logits(golden.Read("images_u8_227").To(DType.Float32) / 255).Argmax(1).ToArray<long>();
        Assert.True(top[0] is 285 or 281 or 282, $"{top[0]}");
        Assert.Equal(967, top[1]);
    }

    [SqueezeNetFact]
    public void Photographs_give_the_distance_of_PyTorch_and_NumPy()
    {
        using var scope = TensorScope.Enter();
        using var network = SqueezeNetFeatures.Open(SqueezeNetFactAttribute.Weights!, Device.Cpu);
        var data = Environment.GetEnvironmentVariable("RETOUCH_SHARED_DATA")!;
        var options = new EvaluationOptions
        {
            Metrics = MetricCatalog.Of("fd"),
            Networks = [network],
            Bootstrap = new BootstrapOptions { Resamples = 100 },
        };
        var figure = Evaluator
            .Evaluate(ImageSet.Open(Path.Combine(data, "photos")), [ImageSet.Open(Path.Combine(data, "photos_test"))], options)
            .Sets[0]
            .Figures.Single();
        Assert.Equal("fd.squeezenet", figure.Name);
        TestTensors.Close(9142.75, figure.Value, 2);
    }

    [Fact]
    public void Feature_metrics_do_not_depend_on_order_or_batches()
    {
        using var scope = TensorScope.Enter();
        using var network = new TinyFeatures();
        var options = new EvaluationOptions
        {
            Metrics =
            [
                new FrechetFeatureMetric(),
                new KernelDistanceMetric
                {
                    Options = new() { Subsets = 10, SubsetSize = 40 },
                },
                new PrecisionRecallMetric(),
            ],
            Networks = [network],
            Bootstrap = new BootstrapOptions { Resamples = 200 },
        };
        var real = TestTensors.Pictures(120, 16, 1);
        var other = TestTensors.Blurred(TestTensors.Pictures(110, 16, 2), 3);
        EvaluationResult Of(Tensor reference, Tensor set, EvaluationOptions how) =>
            Evaluator.Evaluate(TestTensors.Set("real", reference), [TestTensors.Set("other", set)], how);
        var one = Of(real, other, options);
        var two = Of(real.Flip([0L]), other.Flip([0L]), options with { BatchSize = 7 });
        Assert.Equal(
            ["fd.tiny", "kd.tiny", "precision.tiny", "density.tiny", "recall.tiny", "coverage.tiny"],
            one.Sets[0].Figures.Select(static f => f.Name)
        );
        Assert.All(
            one.Sets[0].Figures.Zip(two.Sets[0].Figures),
            static pair => TestTensors.Close(pair.First.Value, pair.Second.Value, 1e-5 * Math.Abs(pair.First.Value), pair.First.Name)
        );
        Assert.All(one.Sets[0].Figures, static f => Assert.True(f.Interval.Contains(f.Value), f.ToString()));
        Assert.Equal(
            ("tiny", 100, 5),
            (
                one.Protocol.Networks![0].Key,
                one.Protocol.Of<KernelDistanceOptions>()!.Subsets * 10,
                one.Protocol.Of<PrecisionRecallOptions>()!.Neighbours
            )
        );
        Assert.Equal(4, one.Warnings.Count);
        Assert.All(one.Warnings, static w => Assert.Contains("below 2048", w, StringComparison.Ordinal));

        var itself = Of(real, real, options).Sets[0].Figures;
        TestTensors.Close(0, itself[0].Value, 1e-6);
        Assert.Equal([1.0, 1.0, 1.0], [itself[2].Value, itself[4].Value, itself[5].Value]);
        var flat = Evaluator.Evaluate(
            TestTensors.Set("real", real),
            [TestTensors.Set("flat", ((real - 0.5) * 0.3) + 0.5), TestTensors.Set("less flat", ((real - 0.5) * 0.8) + 0.5)],
            options
        );
        Assert.Equal(Verdict.Better, flat.Differences.Single(static d => d.Figure == "fd.tiny").Verdict);
        Assert.True(flat.Differences.Single(static d => d.Figure == "recall.tiny").Paired);
    }

    [Fact]
    public void Missing_and_unused_networks_are_rejected()
    {
        using var scope = TensorScope.Enter();
        using var network = new TinyFeatures();
        var set = TestTensors.Set("real", TestTensors.Pictures(8, 16, 1));
        void Refused(EvaluationOptions options, string message, ImageSet? reference) =>
            Assert.Contains(
                message,
                Assert.Throws<UsageException>(() => Evaluator.Evaluate(reference, [set], options)).Message,
                StringComparison.Ordinal
            );
        Refused(new EvaluationOptions { Metrics = MetricCatalog.Of("fid") }, "--inception", set);
        Refused(new EvaluationOptions { Metrics = MetricCatalog.Of("fd") }, "--squeezenet", set);
        Refused(new EvaluationOptions { Metrics = MetricCatalog.Of("kid") }, "feature network", set);
        Refused(new EvaluationOptions { Metrics = MetricCatalog.Of("prdc") }, "feature network", set);
        Refused(new EvaluationOptions { Metrics = MetricCatalog.Of("fwd"), Networks = [network] }, "no metric uses it", set);
        Refused(new EvaluationOptions { Metrics = MetricCatalog.Of("fd"), Networks = [network] }, "--reference", null);
    }

    [Fact]
    public void Saved_statistics_replace_the_reference()
    {
        using var scope = TensorScope.Enter();
        using var network = new TinyFeatures("inception");
        var (real, other) = (
            TestTensors.Set("real", TestTensors.Pictures(90, 16, 1)),
            TestTensors.Set("other", TestTensors.Pictures(80, 16, 2))
        );
        var options = new EvaluationOptions
        {
            Metrics = MetricCatalog.Of("fid"),
            Networks = [network],
            Bootstrap = new BootstrapOptions { Resamples = 100 },
        };
        var direct = Evaluator.Evaluate(real, [other], options);
        using var rows = FeatureRows.Of(real, network, options.BatchSize, Device.Cpu);
        var saved = FrechetStatistics.Of(rows, network.Protocol, real.Preparation, Device.Cpu);
        EvaluationOptions Against(FrechetStatistics statistics, string name) =>
            options with
            {
                Metrics = [new FrechetInceptionMetric { Statistics = statistics, StatisticsName = name }],
            };
        var by = Against(saved, "real.npz");
        var indirect = Evaluator.Evaluate(null, [other], by);
        Assert.Equal("fid", indirect.Sets[0].Figures.Single().Name);
        TestTensors.Close(direct.Sets[0].Figures[0].Value, indirect.Sets[0].Figures[0].Value, 1e-9);
        Assert.Equal(("real.npz", 90), (indirect.Reference.Name, indirect.Reference.Count));
        Assert.Contains(indirect.Warnings, static w => w.Contains("are of 90 pictures", StringComparison.Ordinal));
        Assert.Contains(
            "omit --reference",
            Assert.Throws<UsageException>(() => Evaluator.Evaluate(real, [other], by)).Message,
            StringComparison.Ordinal
        );
        var foreign = Against(saved with { Protocol = network.Protocol with { Sha256 = "aa" } }, "real.npz");
        Assert.Contains(
            Evaluator.Evaluate(null, [other], foreign).Warnings,
            static w => w.Contains("other weights", StringComparison.Ordinal)
        );
        Assert.Throws<InputException>(() => Evaluator.Evaluate(null, [other], Against(new FrechetStatistics([0], [1]), "x")));
    }

    /// <summary>Means of 2 x 2 pixels, with different weights for each feature.</summary>
    private sealed class TinyFeatures : IFeatureExtractor
    {
        private readonly Tensor _mixture;

        public TinyFeatures(string key = "tiny")
        {
            using var generator = Generator.Create(Device.Cpu, 4);
            using var scope = TensorScope.Enter();
            _mixture = Ops.Randn([192, 12], generator).Escape();
            Protocol = new(key, "test", 12, "as they are", "none", "0");
        }

        public FeatureProtocol Protocol { get; }

        public Tensor Extract(Tensor images) => images.AvgPool2d([2, 2]).Flatten(1).Matmul(_mixture).Relu();

        public void Dispose() => _mixture.Dispose();
    }
}
