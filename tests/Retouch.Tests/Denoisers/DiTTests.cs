using System.Text.Json.Nodes;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Denoisers.Dit;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Denoisers;

/// <summary>DiT against diffusers, and properties that need no golden.</summary>
public sealed class DiTTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Outputs_intermediates_and_gradients_equal_the_golden(bool checkpoint)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("dit");
        using var network = Load(golden);
        network.CheckpointActivations = checkpoint;
        network.Parameters.RequireGrad(true);
        var seen = new Dictionary<string, Tensor>();
        network.Parameters.Observer = (name, value) => seen.TryAdd(name, value.Detach().Clone().Escape());
        var sample = golden.ReadLeaf("in.sample");
        var output = network.Forward(sample, golden.Read("in.timestep"), golden.Read("in.class_labels"));
        golden.Check("out.sample", output);
        Assert.Equal(golden.Names("mid."), seen.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, value) in seen)
        {
            golden.Check($"mid.{name}", value);
            value.Dispose();
        }

        network.Parameters.Observer = null;
        Autograd.Backward(output, golden.Read("in.cotangent"));
        golden.Check("grad.sample", sample.Grad!);
        golden.CheckGradients(network.Parameters);
    }

    [Theory]
    [InlineData(DType.Float32, false)]
    [InlineData(DType.BFloat16, false)]
    [InlineData(DType.BFloat16, true)]
    public void Activation_checkpointing_is_bitwise_exact(DType precision, bool backwardInside)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("dit");
        var plain = Gradients(golden, checkpoint: false, precision, backwardInside);
        var checkpointed = Gradients(golden, checkpoint: true, precision, backwardInside);
        Assert.True(plain.Count > 50);
        foreach (var (name, values) in plain)
            Assert.Equal(values, checkpointed[name]);
    }

    [Fact]
    public void Gradients_in_mixed_precision_have_the_same_direction()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("dit");
        var full = Gradients(golden, checkpoint: false);
        var mixed = Gradients(golden, checkpoint: false, DType.BFloat16);
        Assert.NotEqual(full["output"], mixed["output"]);
        // A bias of the keys does not change attention weights: its gradient is rounding error.
        foreach (var (name, values) in full.Where(static p => !p.Key.EndsWith("to_k.bias", StringComparison.Ordinal)))
        {
            var dot = values.Zip(mixed[name]).Sum(static p => (double)p.First * p.Second);
            var lengths = Math.Sqrt(values.Sum(static v => (double)v * v) * mixed[name].Sum(static v => (double)v * v));
            Assert.True(dot / lengths > 0.99, $"{name}: cosine {dot / lengths}");
        }
    }

    [Fact]
    public void Predict_drops_the_learned_variance_and_accepts_fractional_timesteps()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var golden = GoldenCase.Open("dit");
        using var network = Load(golden);
        var (sample, time, labels) = (golden.Read("in.sample"), golden.Read("in.timestep"), golden.Read("in.class_labels"));
        var whole = network.Forward(sample, time, labels);
        var predicted = network.Predict(sample, time.To(DType.Float32), new Condition(labels)).Value;
        Assert.Equal([3, 4, 8, 8], predicted.Shape);
        Assert.Equal(whole.Narrow(1, 0, 4).ToArray<float>(), predicted.ToArray<float>());
        var moved = network.Predict(sample, time.To(DType.Float32) + 0.5, new Condition(labels)).Value;
        Assert.NotEqual(predicted.ToArray<float>(), moved.ToArray<float>());
    }

    [Fact]
    public void A_full_size_network_has_the_published_keys()
    {
        using var golden = new StreamReader(ManifestPath());
        var manifest = JsonNode.Parse(golden.ReadToEnd())!;
        using var network = new DiTTransformer2D(DiTConfig.FromJson(manifest["config"]!.AsObject()));
        var expected = manifest["tensors"]!.AsObject().Select(static p => $"{p.Key} {p.Value!.ToJsonString()}");
        Assert.Equal(expected, network.Parameters.All.Select(static p => $"{p.Name} [{string.Join(',', p.Shape)}]"));
        Assert.Equal((long)manifest["parameter_count"]!, network.Parameters.Count);
        Assert.DoesNotContain(network.Parameters.All, static p => p.HasValue);
    }

    [Fact]
    public void A_new_network_has_zero_output_and_identity_blocks()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var generator = Generator.Create(Device.Cpu, 7);
        using var network = new DiTTransformer2D(Small);
        network.Parameters.Initialise(generator, Device.Cpu);
        var seen = new List<float[]>();
        network.Parameters.Observer = (_, value) => seen.Add(value.ToArray<float>());
        var output = network.Forward(Ops.Randn([2, 4, 8, 8], generator), Tensor.From([3.0f, 900]), Tensor.From([0L, 5]));
        Assert.All(output.ToArray<float>(), static v => Assert.Equal(0, v));
        Assert.Equal(3, seen.Count);
        Assert.All(seen.Skip(1), tokens => Assert.Equal(seen[0], tokens));
        Assert.Contains(seen[0], static v => v != 0);
        var weight = network.Parameters.Find("transformer_blocks.1.ff.net.0.proj.weight")!.Value.ToArray<float>();
        var bound = Math.Sqrt(6.0 / (16 + 64));
        Assert.InRange(weight.Max(), 0.95 * bound, bound);
        Assert.InRange(weight.Average(static v => (double)v * v), 0.9 * bound * bound / 3, 1.1 * bound * bound / 3);
    }

    [Fact]
    public void Other_sizes_work_including_rectangles()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var golden = GoldenCase.Open("dit");
        using var network = Load(golden);
        using var generator = Generator.Create(Device.Cpu, 7);
        var (time, labels) = (Tensor.From([10L]), Tensor.From([3L]));
        var wide = Ops.Randn([1, 4, 8, 12], generator);
        var output = network.Forward(wide, time, labels);
        Assert.Equal([1, 8, 8, 12], output.Shape);
        var before = network.Forward(golden.Read("in.sample"), golden.Read("in.timestep"), golden.Read("in.class_labels"));
        golden.Check("out.sample", before);
    }

    [Fact]
    public void Reduced_precision_stays_close()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var golden = GoldenCase.Open("dit");
        using var network = new DiTTransformer2D(DiTConfig.FromJson(golden.ReadObject("config.json")));
        golden.LoadInto(network.Parameters, DType.BFloat16);
        var output = network.Forward(golden.Read("in.sample"), golden.Read("in.timestep"), golden.Read("in.class_labels"));
        Assert.Equal(DType.Float32, output.DType);
        var error = (output - golden.Read("out.sample")).Square().Mean().Sqrt().Item();
        Assert.InRange(error, 1e-4, 0.1);
    }

    [Fact]
    public void Invalid_inputs_are_rejected()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("dit");
        using var network = Load(golden);
        var (sample, time) = (golden.Read("in.sample"), golden.Read("in.timestep"));
        Assert.Contains(
            "between 0 and 10",
            Assert.Throws<InputException>(() => network.Forward(sample, time, Tensor.From([0L, 11, 2]))).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "divisible by 2",
            Assert.Throws<InputException>(() => network.Forward(sample.Narrow(2, 0, 7), time, time)).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "one time and one label",
            Assert.Throws<InputException>(() => network.Forward(sample, time.Narrow(0, 0, 2), time)).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<ArgumentException>(() => network.Predict(sample, time, new Condition()));
    }

    [Theory]
    [InlineData("norm_type", "\"layer_norm\"")]
    [InlineData("cross_attention_dim", "768")]
    [InlineData("num_layers", "0")]
    [InlineData("num_layers", "\"three\"")]
    [InlineData("num_layers", "2.5")]
    [InlineData("out_channels", "5")]
    [InlineData("activation_fn", "\"relu\"")]
    [InlineData("dropout", "0.1")]
    [InlineData("patch_size", "3")]
    [InlineData("attention_head_dim", "9")]
    public void An_invalid_member_of_the_config_is_named(string name, string value)
    {
        using var golden = GoldenCase.Open("dit");
        var json = golden.ReadObject("config.json");
        if (name == "attention_head_dim")
            json["num_attention_heads"] = 1;
        json[name] = JsonNode.Parse(value);
        var error = Assert.Throws<InputException>(() => DiTConfig.FromJson(json, "models/a/config.json"));
        Assert.Contains(name, error.Message, StringComparison.Ordinal);
        Assert.Contains("models/a/config.json", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_config_survives_a_round_trip()
    {
        using var golden = GoldenCase.Open("dit");
        var json = golden.ReadObject("config.json");
        var config = DiTConfig.FromJson(json);
        Assert.Equal(config, DiTConfig.FromJson(config.ToJson()));
        foreach (var (name, value) in config.ToJson())
            Assert.True(JsonNode.DeepEquals(value, json[name]), name);
    }

    internal static DiTConfig Small =>
        new()
        {
            NumAttentionHeads = 2,
            AttentionHeadDim = 8,
            NumLayers = 2,
            SampleSize = 8,
            NumEmbedsAdaNorm = 5,
        };

    internal static DiTTransformer2D Load(GoldenCase golden)
    {
        var network = new DiTTransformer2D(DiTConfig.FromJson(golden.ReadObject("config.json")));
        golden.LoadInto(network.Parameters);
        return network;
    }

    private static Dictionary<string, float[]> Gradients(
        GoldenCase golden,
        bool checkpoint,
        DType precision = DType.Float32,
        bool backwardInside = false
    )
    {
        using var scope = TensorScope.Enter();
        using var network = Load(golden);
        network.CheckpointActivations = checkpoint;
        network.Parameters.RequireGrad(true);
        var sample = golden.ReadLeaf("in.sample");
        var cotangent = golden.Read("in.cotangent");
        Tensor output;
        using (Autocast.Enter(Device.Cpu, precision))
        {
            output = network.Forward(sample, golden.Read("in.timestep"), golden.Read("in.class_labels"));
            if (backwardInside)
                Autograd.Backward(output, cotangent);
        }

        if (!backwardInside)
            Autograd.Backward(output, cotangent);
        var found = network.Parameters.Trained.ToDictionary(static p => p.Name, static p => p.Value.Grad!.ToArray<float>());
        found["output"] = output.ToArray<float>();
        found["sample"] = sample.Grad!.ToArray<float>();
        return found;
    }

    private static string ManifestPath()
    {
        using var golden = GoldenCase.Open("dit");
        return Path.Combine(golden.Folder, "..", "manifests", "dit_xl_2_256.json");
    }
}
