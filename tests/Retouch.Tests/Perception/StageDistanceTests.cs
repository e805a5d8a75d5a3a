using Retouch.Evaluation.Features;
using Retouch.Perception;
using Retouch.Tests.Evaluation;
using Retouch.Tests.Objectives;
using Retouch.Torch;

namespace Retouch.Tests.Perception;

/// <summary>Distances of channel-normalised features, by hand and against finite differences.</summary>
public sealed class StageDistanceTests
{
    [Fact]
    public void It_equals_plain_loops_and_finite_differences()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 1);
        Tensor Random(params long[] shape) => Ops.Randn(shape, generator).To(DType.Float64);
        Tensor[] x = [Random(2, 3, 2, 3), Random(2, 4, 1, 2)];
        Tensor[] y = [Random(2, 3, 2, 3), Random(2, 4, 1, 2)];
        Tensor[] weights = [Random(1, 3, 1, 1).Abs(), Random(1, 4, 1, 1).Abs()];
        foreach (var w in new[] { null, weights })
        {
            var found = StageDistance.Of(x, y, w).ToArray<double>();
            for (var b = 0; b < 2; b++)
                TestTensors.Close(Enumerable.Range(0, 2).Sum(k => Plain(x[k], y[k], w?[k], b)), found[b], 1e-9);
        }

        foreach (var leaf in x)
            leaf.RequiresGrad = true;
        Tensor Total() => StageDistance.Of(x, y, weights).Sum();
        var gradients = Autograd.Grad([Total()], x);
        for (var k = 0; k < x.Length; k++)
            FiniteDifferences.Check(x[k], gradients[k]!.ToArray<double>(), () => Total().Item());
    }

    [Fact]
    public void The_gradient_is_finite_where_all_channels_are_zero()
    {
        using var scope = TensorScope.Enter();
        var x = Ops.Zeros([1L, 3, 2, 2]);
        x.RequiresGrad = true;
        var distance = StageDistance.Of([x.Relu()], [Ops.Ones([1L, 3, 2, 2])], null);
        Assert.All(Autograd.Grad([distance.Sum()], [x])[0]!.ToArray<float>(), static g => Assert.True(float.IsFinite(g)));
    }

    [Fact]
    public void A_trained_feature_network_measures_distances_by_its_stages()
    {
        using var scope = TensorScope.Enter();
        using var folder = new TemporaryFolder();
        var config = new FeatureNetworkConfig
        {
            Size = 32,
            Channels = 8,
            Classes = ["a", "b"],
        };
        using (var network = new RetouchFeatures(config))
        using (var generator = Generator.Create(Device.Cpu, 2))
        {
            network.Parameters.Initialise(generator, Device.Cpu);
            network.Save(folder["features"], config);
        }

        using var distance = FeatureDistance.Open(folder["features"], Device.Cpu);
        var images = TestTensors.Pictures(2, 40, 1);
        var blurred = TestTensors.Blurred(images, 3);
        images.RequiresGrad = true;
        var near = distance.Distances(images, blurred);
        var far = distance.Distances(images, TestTensors.Blurred(images.Detach(), 9)).ToArray<float>();
        Assert.Equal([0f, 0], distance.Distances(images, images).ToArray<float>());
        Assert.All(near.ToArray<float>().Zip(far), static d => Assert.True(d.First > 0 && d.Second > d.First, $"{d}"));
        Assert.True(Autograd.Grad([near.Sum()], [images])[0]!.Abs().Sum().Item() > 0);
        Assert.Contains("2 classes", distance.Description, StringComparison.Ordinal);
    }

    private static double Plain(Tensor x, Tensor y, Tensor? weights, int sample)
    {
        var (channels, height, width) = (x.Shape[1], x.Shape[2], x.Shape[3]);
        var (a, b) = (x.ToArray<double>(), y.ToArray<double>());
        var w = weights?.ToArray<double>();
        var plane = height * width;
        double Norm(double[] v, long at) =>
            Math.Sqrt(Enumerable.Range(0, (int)channels).Sum(c => Math.Pow(v[at + (c * plane)], 2))) + 1e-10;
        var sum = 0.0;
        for (var p = 0L; p < plane; p++)
        {
            var at = (sample * channels * plane) + p;
            var (n, m) = (Norm(a, at), Norm(b, at));
            for (var c = 0; c < channels; c++)
                sum += (w?[c] ?? 1) * Math.Pow((a[at + (c * plane)] / n) - (b[at + (c * plane)] / m), 2);
        }

        return sum / plane;
    }
}
