using System.Text;
using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Perception;
using Retouch.Tests.Goldens;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;
using Retouch.Torch.Safetensors;

namespace Retouch.Tests.Evaluation.Features;

/// <summary>The Inception network against pytorch-fid, with weights by a formula.</summary>
public sealed class InceptionTests
{
    [Fact]
    [Trait("speed", "slow")]
    public void Features_equal_pytorch_fid()
    {
        using var scope = TensorScope.Enter();
        using var folder = new TemporaryFolder();
        using var golden = GoldenCase.Open("inception_fid");
        var file = folder["inception.safetensors"];
        WriteFormulaWeights(golden, file);
        using var network = InceptionFeatures.Open(file, Device.Cpu);
        Assert.Equal(
            (2048, "inception", FeatureWeights.Hash(file)),
            (network.Protocol.Width, network.Protocol.Key, network.Protocol.Sha256)
        );
        foreach (var size in new[] { "big", "small" })
        {
            Dictionary<string, Tensor> seen = [];
            network.Parameters.Observer = (name, value) =>
            {
                if (name is "resized" or "block64" or "block192" or "block768")
                    seen[name] = value.Clone().Escape();
            };
            var features = network.Extract(golden.Read($"in.{size}").To(DType.Float32) / 255);
            foreach (var block in new[] { "block64", "block192", "block768" })
            {
                golden.Check($"mid.{size}.{block}.channel_mean", seen[block].Mean([2L, 3]));
                golden.Check($"mid.{size}.{block}.channel_std", seen[block].Std([2L, 3], correction: 1));
            }

            if (size == "small")
                golden.Check("mid.small.resized", seen["resized"].Slice(2, 0, null, 13).Slice(3, 0, null, 13));
            golden.Check($"out.{size}.features", features);
            Assert.All(seen.Values, static t => t.Dispose());
        }
    }

    [Fact]
    public void Weights_of_another_network_are_rejected()
    {
        using var scope = TensorScope.Enter();
        using var folder = new TemporaryFolder();
        SafetensorsWriter.Write(folder["other.safetensors"], [new("conv1.weight", Ops.Zeros([2, 3]))]);
        var message = Assert.Throws<InputException>(() => InceptionFeatures.Open(folder["other.safetensors"], Device.Cpu)).Message;
        Assert.Contains("Inception-v3 in pytorch-fid's layout", message, StringComparison.Ordinal);
        Assert.Contains("missing: Conv2d_1a_3x3.conv.weight [", message, StringComparison.Ordinal);
        Assert.Throws<InputException>(() => InceptionFeatures.Open(folder["none.safetensors"], Device.Cpu));
        Assert.Throws<InputException>(() => SqueezeNetFeatures.Open(folder["other.safetensors"], Device.Cpu));
    }

    /// <summary>Weights by the formula in the case's notes.</summary>
    private static void WriteFormulaWeights(GoldenCase golden, string file)
    {
        List<KeyValuePair<string, Tensor>> tensors = [];
        foreach (var (name, node) in golden.ReadObject("manifest.json")["tensors"]!.AsObject())
        {
            long[] shape = [.. node!.AsArray().Select(static n => (long)n!)];
            if (name.EndsWith("num_batches_tracked", StringComparison.Ordinal))
            {
                tensors.Add(new(name, Ops.Zeros([], dtype: DType.Int64)));
                continue;
            }

            var count = shape.Aggregate(1L, static (a, b) => a * b);
            var start = Encoding.UTF8.GetBytes(name).Sum(static b => b);
            var values = new float[count];
            var fan = Math.Sqrt(count / (double)shape[0]);
            for (var i = 0; i < values.Length; i++)
            {
                var s = Math.Sin((0.017 * i) + start);
                values[i] = (float)(
                    shape.Length > 1 ? s / fan
                    : name.EndsWith(".running_var", StringComparison.Ordinal) ? 1 + (0.1 * Math.Abs(s))
                    : name.EndsWith("bn.weight", StringComparison.Ordinal) ? 1 + (0.1 * s)
                    : 0.05 * s
                );
            }

            tensors.Add(new(name, Tensor.From(values, shape)));
        }

        SafetensorsWriter.Write(file, tensors);
    }
}
