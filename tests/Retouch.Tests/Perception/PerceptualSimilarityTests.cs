using Retouch.Core.Errors;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Pictures;
using Retouch.Evaluation.Statistics;
using Retouch.Perception;
using Retouch.Tests.Evaluation;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Torch.Nn;
using Retouch.Torch.Safetensors;

namespace Retouch.Tests.Perception;

/// <summary>LPIPS with synthetic weights, against plain loops.</summary>
public sealed class PerceptualSimilarityTests
{
    [Fact]
    public void It_equals_SqueezeNet_in_plain_loops()
    {
        using var scope = TensorScope.Enter();
        using var folder = new TemporaryFolder();
        int[] channels = [64, 128, 256, 384, 384, 512, 512];
        var weights = Write(folder, channels, Squeeze());
        using var network = PerceptualSimilarity.Open(folder["trunk.safetensors"], folder["linear.safetensors"], Device.Cpu);
        Assert.Equal(("SqueezeNet 1.1", "trunk.safetensors"), (network.Protocol.Network, network.Protocol.Trunk));
        var x = TestTensors.Pictures(1, 35, 1);
        var y = TestTensors.Blurred(x, 3);
        var expected = Plain(weights, Map.Of(x), Map.Of(y), channels.Length);
        var found = network.Of(x, y)[0];
        Assert.True(expected > 1e-3, $"{expected}");
        TestTensors.Close(expected, found, 1e-4 * expected);
        TestTensors.Close(0, network.Of(x, x)[0], 0);
        TestTensors.Close(found, network.Of(Ops.Cat([x, y], 0), Ops.Cat([y, x], 0))[1], 1e-6);

        var options = new EvaluationOptions
        {
            Metrics = [new SsimMetric(), new LpipsMetric { Network = network }],
            Bootstrap = new BootstrapOptions { Resamples = 100 },
        };
        var real = TestTensors.Pictures(6, 35, 4);
        ImageSet Set(string name, Tensor unit) => ImageSet.From(name, (unit * 2) - 1);
        var result = Evaluator.Evaluate(
            Set("real", real),
            [Set("blurred", TestTensors.Blurred(real, 5)), Set("sharper", TestTensors.Blurred(real, 3))],
            options
        );
        Assert.All(result.Differences, static d => Assert.Equal((Verdict.Better, true), (d.Verdict, d.Paired)));
        Assert.Equal(["ssim", "lpips"], result.Sets[0].Figures.Select(static f => f.Name));
        Assert.Equal(network.Protocol, result.Protocol.Of<PerceptualProtocol>());
        Assert.Throws<UsageException>(() => network.Of(TestTensors.Pictures(1, 16, 1), TestTensors.Pictures(1, 16, 1)));
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData(
        "AlexNet",
        new[] { 64, 192, 384, 256, 256 },
        new[] { "0:3:64:11", "3:64:192:5", "6:192:384:3", "8:384:256:3", "10:256:256:3" }
    )]
    [InlineData(
        "VGG-16",
        new[] { 64, 128, 256, 512, 512 },
        new[]
        {
            "0:3:64:3",
            "2:64:64:3",
            "5:64:128:3",
            "7:128:128:3",
            "10:128:256:3",
            "12:256:256:3",
            "14:256:256:3",
            "17:256:512:3",
            "19:512:512:3",
            "21:512:512:3",
            "24:512:512:3",
            "26:512:512:3",
            "28:512:512:3",
        }
    )]
    public void The_other_classifiers_take_torchvisions_keys(string name, int[] channels, string[] layers)
    {
        using var scope = TensorScope.Enter();
        using var folder = new TemporaryFolder();
        Write(
            folder,
            channels,
            layers.Select(static layer =>
            {
                var parts = layer.Split(':');
                return ($"features.{parts[0]}", int.Parse(parts[1]), int.Parse(parts[2]), int.Parse(parts[3]));
            })
        );
        using var network = PerceptualSimilarity.Open(folder["trunk.safetensors"], folder["linear.safetensors"], Device.Cpu);
        Assert.Equal(name, network.Protocol.Network);
        var x = TestTensors.Pictures(1, 64, 1);
        var y = TestTensors.Blurred(x, 3);
        var found = network.Of(x, y)[0];
        Assert.Equal(0, network.Of(x, x)[0]);
        TestTensors.Close(found, network.Of(y, x)[0], 1e-5 * found);
        // The distance is linear in the linear layers' weights.
        using var linear = SafetensorsFile.Open(folder["linear.safetensors"]);
        SafetensorsWriter.Write(folder["doubled.safetensors"], [.. linear.Names.Select(n => KeyValuePair.Create(n, linear.Read(n) * 2))]);
        using var doubled = PerceptualSimilarity.Open(folder["trunk.safetensors"], folder["doubled.safetensors"], Device.Cpu);
        TestTensors.Close(2 * found, doubled.Of(x, y)[0], 1e-5 * found);
        using var store = new ParameterStore();
        Assert.Equal(channels, PerceptualTrunk.For(channels, store.Root)!.Channels);
    }

    [Fact]
    public void Missing_and_unrelated_weights_are_rejected()
    {
        using var scope = TensorScope.Enter();
        using var folder = new TemporaryFolder();
        Write(folder, [64, 128], []);
        Assert.Contains(
            "64, 128",
            Assert
                .Throws<InputException>(() =>
                    PerceptualSimilarity.Open(folder["trunk.safetensors"], folder["linear.safetensors"], Device.Cpu)
                )
                .Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "lin0",
            Assert
                .Throws<InputException>(() =>
                    PerceptualSimilarity.Open(folder["linear.safetensors"], folder["trunk.safetensors"], Device.Cpu)
                )
                .Message,
            StringComparison.Ordinal
        );
        var set = ImageSet.From("real", TestTensors.Pictures(4, 32, 1));
        Assert.Contains(
            "--lpips-network",
            Assert
                .Throws<UsageException>(() => Evaluator.Evaluate(set, [set], new EvaluationOptions { Metrics = MetricCatalog.Of("lpips") }))
                .Message,
            StringComparison.Ordinal
        );
    }

    private static IEnumerable<(string Name, int Inputs, int Outputs, int Kernel)> Squeeze()
    {
        yield return ("features.0", 3, 64, 3);
        (int Index, int Inputs, int Narrow, int Wide)[] fires =
        [
            (3, 64, 16, 64),
            (4, 128, 16, 64),
            (6, 128, 32, 128),
            (7, 256, 32, 128),
            (9, 256, 48, 192),
            (10, 384, 48, 192),
            (11, 384, 64, 256),
            (12, 512, 64, 256),
        ];
        foreach (var fire in fires)
        {
            yield return ($"features.{fire.Index}.squeeze", fire.Inputs, fire.Narrow, 1);
            yield return ($"features.{fire.Index}.expand1x1", fire.Narrow, fire.Wide, 1);
            yield return ($"features.{fire.Index}.expand3x3", fire.Narrow, fire.Wide, 3);
        }
    }

    private static Dictionary<string, float[]> Write(
        TemporaryFolder folder,
        int[] channels,
        IEnumerable<(string Name, int Inputs, int Outputs, int Kernel)> layers
    )
    {
        using var generator = Generator.Create(Device.Cpu, 12);
        List<KeyValuePair<string, Tensor>> trunk = [new("classifier.1.weight", Ops.Ones([4, 4]))],
            linear = [];
        foreach (var (name, inputs, outputs, kernel) in layers)
        {
            trunk.Add(
                new($"{name}.weight", Ops.Randn([outputs, inputs, kernel, kernel], generator) * Math.Sqrt(2.0 / (inputs * kernel * kernel)))
            );
            trunk.Add(new($"{name}.bias", Ops.Randn([outputs], generator) * 0.1));
        }

        for (var k = 0; k < channels.Length; k++)
            linear.Add(new($"lin{k}.model.1.weight", Ops.Rand([1, channels[k], 1, 1], generator)));
        SafetensorsWriter.Write(folder["trunk.safetensors"], trunk);
        SafetensorsWriter.Write(folder["linear.safetensors"], linear);
        return trunk.Concat(linear).ToDictionary(static p => p.Key, static p => p.Value.ToArray<float>());
    }

    private static double Plain(Dictionary<string, float[]> weights, Map x, Map y, int stages)
    {
        double[] shift = [-0.030, -0.088, -0.188],
            scale = [0.458, 0.448, 0.450];
        List<Map> Stages(Map picture)
        {
            var at = picture.Each((v, c) => ((2 * v) - 1 - shift[c]) / scale[c]);
            List<Map> outputs = [at = at.Convolved(weights["features.0.weight"], weights["features.0.bias"], 3, 2, 0)];
            Map Fire(Map map, int index)
            {
                Map Layer(Map from, string name, int kernel) =>
                    from.Convolved(
                        weights[$"features.{index}.{name}.weight"],
                        weights[$"features.{index}.{name}.bias"],
                        kernel,
                        1,
                        kernel / 2
                    );
                var thin = Layer(map, "squeeze", 1);
                return Map.Joined(Layer(thin, "expand1x1", 1), Layer(thin, "expand3x3", 3));
            }

            outputs.Add(at = Fire(Fire(at.Pooled(), 3), 4));
            outputs.Add(at = Fire(Fire(at.Pooled(), 6), 7));
            outputs.Add(at = Fire(at.Pooled(), 9));
            outputs.Add(at = Fire(at, 10));
            outputs.Add(at = Fire(at, 11));
            outputs.Add(Fire(at, 12));
            return outputs;
        }

        var (a, b) = (Stages(x), Stages(y));
        var sum = 0.0;
        for (var k = 0; k < stages; k++)
        {
            var lin = weights[$"lin{k}.model.1.weight"];
            var places = a[k].Height * a[k].Width;
            for (var p = 0; p < places; p++)
            {
                double Norm(Map map) =>
                    Math.Sqrt(Enumerable.Range(0, map.Channels).Sum(c => map.Values[(c * places) + p] * map.Values[(c * places) + p]))
                    + 1e-10;
                var (na, nb) = (Norm(a[k]), Norm(b[k]));
                for (var c = 0; c < a[k].Channels; c++)
                    sum += lin[c] * Math.Pow((a[k].Values[(c * places) + p] / na) - (b[k].Values[(c * places) + p] / nb), 2) / places;
            }
        }

        return sum;
    }

    /// <summary>Channels of a picture in double precision, with a network's layers as loops.</summary>
    private sealed record Map(int Channels, int Height, int Width, double[] Values)
    {
        public static Map Of(Tensor x) => new((int)x.Shape[1], (int)x.Shape[2], (int)x.Shape[3], x.ToArray<double>());

        public static Map Joined(Map a, Map b) => new(a.Channels + b.Channels, a.Height, a.Width, [.. a.Values, .. b.Values]);

        public Map Each(Func<double, int, double> map) => this with { Values = [.. Values.Select((v, i) => map(v, i / (Height * Width)))] };

        /// <summary>Followed by ReLU.</summary>
        public Map Convolved(float[] weight, float[] bias, int kernel, int stride, int padding)
        {
            var (height, width) = (((Height + (2 * padding) - kernel) / stride) + 1, ((Width + (2 * padding) - kernel) / stride) + 1);
            var result = new double[bias.Length * height * width];
            for (var o = 0; o < bias.Length; o++)
            {
                for (var y = 0; y < height; y++)
                {
                    for (var x = 0; x < width; x++)
                    {
                        double sum = bias[o];
                        for (var c = 0; c < Channels; c++)
                        {
                            for (var i = 0; i < kernel; i++)
                            {
                                for (var j = 0; j < kernel; j++)
                                {
                                    var (row, column) = ((y * stride) + i - padding, (x * stride) + j - padding);
                                    if (row >= 0 && row < Height && column >= 0 && column < Width)
                                        sum +=
                                            weight[(((((o * Channels) + c) * kernel) + i) * kernel) + j]
                                            * Values[(((c * Height) + row) * Width) + column];
                                }
                            }
                        }

                        result[(((o * height) + y) * width) + x] = Math.Max(sum, 0);
                    }
                }
            }

            return new Map(bias.Length, height, width, result);
        }

        /// <summary>Max pooling of 3 x 3 with stride 2, sizes rounded up.</summary>
        public Map Pooled()
        {
            var (height, width) = (((Height - 2) / 2) + 1, ((Width - 2) / 2) + 1);
            var result = new double[Channels * height * width];
            for (var c = 0; c < Channels; c++)
            {
                for (var y = 0; y < height; y++)
                {
                    for (var x = 0; x < width; x++)
                    {
                        var best = double.NegativeInfinity;
                        for (var row = 2 * y; row < Math.Min(Height, (2 * y) + 3); row++)
                        {
                            for (var column = 2 * x; column < Math.Min(Width, (2 * x) + 3); column++)
                                best = Math.Max(best, Values[(((c * Height) + row) * Width) + column]);
                        }

                        result[(((c * height) + y) * width) + x] = best;
                    }
                }
            }

            return new Map(Channels, height, width, result);
        }
    }
}
