using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Denoisers;
using Retouch.Denoisers.MmDit;
using Retouch.Denoisers.Sd3;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Tests.Denoisers;

/// <summary>The class-conditional MM-DiT against SD 3's transformer, which has goldens, and against finite differences.</summary>
public sealed partial class MmDitTests
{
    [Theory]
    [InlineData(false, null)]
    [InlineData(false, "rms_norm")]
    [InlineData(true, null)]
    [InlineData(true, "rms_norm")]
    public void It_equals_SD3_with_the_class_embedding(bool shared, string? qkNorm)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var generator = Generator.Create(Device.Cpu, 3);
        using var network = Random(Tiny with { SharedStreams = shared, QkNorm = qkNorm }, generator, DType.Float64);
        using var reference = new Sd3Transformer2D(network.Config.AsSd3());
        reference.Parameters.Initialise(generator, Device.Cpu, DType.Float64);
        foreach (var parameter in reference.Parameters.Trained)
            parameter.Value.CopyInPlace(shared ? Dense(network.Parameters, parameter) : network.Parameters.Find(parameter.Name)!.Value);
        var (noisy, time, labels) = (
            Ops.Randn([3, 4, 8, 12], generator).To(DType.Float64),
            Tensor.From([3.0f, 500, 999]),
            Tensor.From([0L, 5, 2])
        );
        var y = network.Parameters.Find("class_embedder.weight")!.Value.IndexSelect(0, labels);
        var expected = reference.Forward(noisy, time, y.Unsqueeze(1), y).ToArray<double>();
        var found = network.Predict(noisy, time, new Condition(labels)).Value.ToArray<double>();
        Assert.True(expected.Max(Math.Abs) > 0.1);
        for (var k = 0; k < expected.Length; k++)
            Assert.Equal(expected[k], found[k], 1e-10);
        // Labels have an effect, and "no class" is one of them.
        Assert.NotEqual(found, network.Forward(noisy, time, Tensor.From([1L, 5, 2])).ToArray<double>());
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData(false)]
    [InlineData(true)]
    public void Gradients_equal_finite_differences(bool shared)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 3);
        using var network = Random(Tiny with { SharedStreams = shared, QkNorm = "rms_norm" }, generator, DType.Float64);
        network.Parameters.RequireGrad(true);
        var noisy = Ops.Randn([2, 4, 8, 8], generator).To(DType.Float64);
        var cotangent = Ops.Randn([2, 4, 8, 8], generator).To(DType.Float64);
        noisy.RequiresGrad = true;
        var (time, labels) = (Tensor.From([30.0f, 700]), Tensor.From([1L, 4]));
        double Value() => (network.Forward(noisy, time, labels) * cotangent).Sum().Item();
        Autograd.Backward((network.Forward(noisy, time, labels) * cotangent).Sum());
        using var quiet = Autograd.NoGrad();
        const double Step = 1e-5;
        foreach (var (name, leaf) in network.Parameters.Trained.Select(static p => (p.Name, p.Value)).Append(("noisy", noisy)))
        {
            using var inner = TensorScope.Enter();
            var direction = Ops.Randn(leaf.Shape, generator).To(DType.Float64);
            var expected = leaf.Grad is { } gradient ? (gradient * direction).Sum().Item() : 0;
            leaf.AddInPlace(direction, Step);
            var above = Value();
            leaf.AddInPlace(direction, -2 * Step);
            var below = Value();
            leaf.AddInPlace(direction, Step);
            var found = (above - below) / (2 * Step);
            Assert.True(Math.Abs(found - expected) <= 1e-5 * (1 + Math.Abs(expected)), $"{name}: {found:R}, gradient says {expected:R}");
        }
    }

    [Theory]
    [InlineData(false, DType.Float32)]
    [InlineData(true, DType.Float32)]
    [InlineData(true, DType.BFloat16)]
    public void Activation_checkpointing_is_bitwise_exact(bool shared, DType precision)
    {
        using var scope = TensorScope.Enter();
        var runs = new[] { false, true }
            .Select(checkpoint =>
            {
                using var generator = Generator.Create(Device.Cpu, 3);
                using var network = Random(Tiny with { SharedStreams = shared }, generator, DType.Float32);
                network.CheckpointActivations = checkpoint;
                var noisy = Ops.Randn([2, 4, 8, 8], generator);
                return DenoiserGolden.Gradients(
                    network,
                    () => network.Forward(noisy, Tensor.From([30.0f, 700]), Tensor.From([1L, 4])),
                    precision
                );
            })
            .ToList();
        Assert.True(runs[0].Count > 30);
        DenoiserGolden.CheckSame(runs[0], runs[1]);
    }

    /// <summary>The parameter counts in docs/denoisers.md equal those of the configurations in docs/networks.</summary>
    [Fact]
    public void The_described_networks_have_the_stated_numbers_of_parameters()
    {
        var docs = Path.Combine(GoldenCase.Root(), "..", "..", "docs");
        var stated = Row()
            .Matches(File.ReadAllText(Path.Combine(docs, "denoisers.md")))
            .ToDictionary(
                static m => m.Groups[1].Value,
                static m => long.Parse(m.Groups[2].Value.Replace(",", "", StringComparison.Ordinal), null)
            );
        var files = Directory.GetFiles(Path.Combine(docs, "networks"), "*.json");
        Assert.Equal(
            files.Select(Path.GetFileNameWithoutExtension).Order(StringComparer.Ordinal),
            stated.Keys.Order(StringComparer.Ordinal)
        );
        foreach (var file in files)
        {
            var json = JsonNode.Parse(File.ReadAllText(file))!.AsObject();
            using var network = (IDenoiser)ComponentRegistry.Find(json, file).Create(json, file);
            Assert.Equal(stated[Path.GetFileNameWithoutExtension(file)], network.Parameters.Count);
            var written = network switch
            {
                MmDitTransformer2D own => own.Config.ToJson(),
                Sd3Transformer2D text => text.Config.ToJson(),
                _ => null,
            };
            Assert.True(JsonNode.DeepEquals(json, written), file);
        }
    }

    [Fact]
    public void The_paper_size_is_matched_within_half_a_percent()
    {
        using var network = new MmDitTransformer2D(new MmDitConfig { SharedStreams = true });
        Assert.Equal((28, 1536), (network.Config.NumLayers, network.Config.Width));
        Assert.InRange(network.Parameters.Count, 796_000_000 * 0.995, 796_000_000 * 1.005);
    }

    [Fact]
    public void A_new_network_has_zero_output_and_learns()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 7);
        using var network = new MmDitTransformer2D(Tiny with { SharedStreams = true });
        network.Parameters.Initialise(generator, Device.Cpu);
        network.Parameters.RequireGrad(true);
        var output = network.Forward(Ops.Randn([1, 4, 8, 8], generator), Tensor.From([3.0f]), Tensor.From([0L]));
        Assert.All(output.ToArray<float>(), static v => Assert.Equal(0, v));
        Autograd.Backward((output - 1).Square().Mean());
        // For a zero output the loss has the gradient −2/N per element, which each bias sums over its share of the N elements.
        var bias = network.Parameters.Find("proj_out.bias")!.Value;
        Assert.All(bias.Grad!.ToArray<float>(), v => Assert.Equal(-2.0 / bias.Shape[0], v, 1e-6));
        Assert.True(network.Parameters.Find("proj_out.weight")!.Value.Grad!.Abs().Max().Item() > 0);
    }

    [Fact]
    public void Invalid_inputs_are_rejected()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 7);
        using var network = Random(Tiny, generator, DType.Float32);
        var (noisy, time) = (Ops.Randn([1, 4, 8, 8], generator), Tensor.From([3.0f]));
        Refused("between 0 and 5", () => network.Forward(noisy, time, Tensor.From([6L])));
        Refused("one label per sample", () => network.Forward(noisy, time, Tensor.From([1L, 2])));
        Refused("MM-DiT takes latents", () => network.Forward(noisy.Narrow(2, 0, 7), time, Tensor.From([1L])));
        Refused("MM-DiT has positions", () => network.Forward(Ops.Cat([noisy, noisy], 2), time, Tensor.From([1L])));
        Assert.Throws<ArgumentException>(() => network.Predict(noisy, time, new Condition()));
        foreach (
            var (name, value) in new (string, JsonNode)[]
            {
                ("qk_norm", "layer_norm"),
                ("patch_size", 3),
                ("num_classes", 0),
                ("shared_streams", "yes"),
                ("pos_embed_max_size", 2),
            }
        )
        {
            var json = Tiny.ToJson();
            json[name] = value.DeepClone();
            Assert.Contains(name, Assert.Throws<InputException>(() => MmDitConfig.FromJson(json, "a")).Message, StringComparison.Ordinal);
        }

        static void Refused(string words, Func<Tensor> run) =>
            Assert.Contains(words, Assert.Throws<InputException>(run).Message, StringComparison.Ordinal);
    }

    internal static MmDitConfig Tiny =>
        new()
        {
            NumAttentionHeads = 2,
            AttentionHeadDim = 8,
            NumLayers = 3,
            SampleSize = 8,
            PosEmbedMaxSize = 6,
            NumClasses = 5,
            ClassEmbeddingDim = 12,
        };

    /// <summary>Randomises all parameters, so that no gate is closed.</summary>
    private static MmDitTransformer2D Random(MmDitConfig config, Generator generator, DType type)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var network = new MmDitTransformer2D(config);
        network.Parameters.Initialise(generator, Device.Cpu, type);
        foreach (var parameter in network.Parameters.Trained)
            parameter.Value.CopyInPlace(Ops.Randn(parameter.Shape, generator) * 0.3);
        return network;
    }

    /// <summary>SD 3's parameter for shared weights of both streams and diagonal modulation matrices.</summary>
    private static Tensor Dense(ParameterStore store, Parameter wanted)
    {
        var name = wanted.Name;
        foreach (
            var (theirs, ours) in new[]
            {
                ("add_q_proj", "to_q"),
                ("add_k_proj", "to_k"),
                ("add_v_proj", "to_v"),
                ("to_add_out", "to_out.0"),
                ("norm_added_q", "norm_q"),
                ("norm_added_k", "norm_k"),
                ("ff_context", "ff"),
                ("norm1_context", "norm1"),
            }
        )
            name = name.Replace($".{theirs}.", $".{ours}.", StringComparison.Ordinal);
        var value = store.Find(name)!.Value;
        if (!name.Contains(".linear.", StringComparison.Ordinal) && !name.StartsWith("norm_out.", StringComparison.Ordinal))
            return value;
        // The context's last modulation has two parts, scale before shift.
        var width = store.Find("proj_out.weight")!.Shape[1];
        if (wanted.Shape[0] == 2 * width && name.StartsWith("transformer_blocks", StringComparison.Ordinal))
            value = value.Narrow(0, 0, 2).Flip([0]);
        if (wanted.Shape.Length == 1)
            return value.Flatten();
        return (value.Unsqueeze(2) * Ops.Eye(width, dtype: value.DType)).Reshape(wanted.Shape);
    }

    [GeneratedRegex(@"`(mmdit-[a-z0-9-]+)`[^\n]*?\| ([\d,]{7,}) \|")]
    private static partial Regex Row();
}
