using System.Text.Json.Nodes;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Denoisers.Sd3;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Denoisers;

/// <summary>The transformers of SD 3 and 3.5 against diffusers, and properties that need no golden.</summary>
public sealed class Sd3Tests
{
    [Theory]
    [InlineData("sd3", false)]
    [InlineData("sd3", true)]
    [InlineData("sd35", false)]
    [InlineData("sd35", true)]
    public void Outputs_intermediates_and_gradients_equal_the_golden(string name, bool checkpoint)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open(name);
        using var network = Load(golden);
        network.CheckpointActivations = checkpoint;
        DenoiserGolden.Check(
            golden,
            network,
            ["sample", "encoder_hidden_states", "pooled_projections"],
            x => network.Forward(x[0], golden.Read("in.timestep"), x[1], x[2])
        );
    }

    [Theory]
    [InlineData("sd3")]
    [InlineData("sd35")]
    public void The_golden_holds_at_other_sizes(string name)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var golden = GoldenCase.Open(name);
        using var network = Load(golden);
        golden.Check(
            "out.sample_b",
            network.Forward(
                golden.Read("in.sample_b"),
                golden.Read("in.timestep"),
                golden.Read("in.encoder_hidden_states"),
                golden.Read("in.pooled_projections")
            )
        );
        var predicted = network.Predict(
            golden.Read("in.sample"),
            golden.Read("in.timestep"),
            new Condition { Text = golden.Read("in.encoder_hidden_states"), Pooled = golden.Read("in.pooled_projections") }
        );
        golden.Check("out.sample", predicted.Value);
        Assert.Null(network.ClassCount);
        Assert.Equal(16, network.SampleSize);
    }

    [Theory]
    [InlineData("sd3", DType.Float32)]
    [InlineData("sd35", DType.Float32)]
    [InlineData("sd35", DType.BFloat16)]
    public void Activation_checkpointing_is_bitwise_exact(string name, DType precision)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open(name);
        var runs = new[] { false, true }
            .Select(checkpoint =>
            {
                using var network = Load(golden);
                network.CheckpointActivations = checkpoint;
                return DenoiserGolden.Gradients(
                    network,
                    () =>
                        network.Forward(
                            golden.Read("in.sample"),
                            golden.Read("in.timestep"),
                            golden.Read("in.encoder_hidden_states"),
                            golden.Read("in.pooled_projections")
                        ),
                    precision
                );
            })
            .ToList();
        Assert.True(runs[0].Count > 80);
        DenoiserGolden.CheckSame(runs[0], runs[1]);
    }

    [Fact]
    public void A_new_position_table_equals_that_of_checkpoints()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("sd3");
        using var generator = Generator.Create(Device.Cpu, 7);
        using var stored = Load(golden);
        using var fresh = new Sd3Transformer2D(stored.Config);
        fresh.Parameters.Initialise(generator, Device.Cpu);
        var (a, b) = (stored.Parameters.Find("pos_embed.pos_embed")!, fresh.Parameters.Find("pos_embed.pos_embed")!);
        Assert.True(b.IsBuffer);
        var expected = a.Value.ToArray<float>();
        foreach (var (value, k) in b.Value.ToArray<float>().Select(static (v, k) => (v, k)))
            Assert.Equal(expected[k], value, 1e-6);
    }

    [Fact]
    public void A_full_size_network_has_the_published_keys()
    {
        var manifest = Manifest.Open("sd3_medium_transformer");
        using var network = Assert.IsType<Sd3Transformer2D>(ComponentRegistry.Find(manifest.Config, "a").Create(manifest.Config, "a"));
        manifest.Check(network.Parameters);
    }

    [Fact]
    public void A_new_network_has_zero_output()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var generator = Generator.Create(Device.Cpu, 7);
        using var network = new Sd3Transformer2D(Tiny);
        network.Parameters.Initialise(generator, Device.Cpu);
        var seen = new Dictionary<string, float[]>();
        network.Parameters.Observer = (name, value) => seen[name] = value.ToArray<float>();
        var output = network.Forward(
            Ops.Randn([1, 4, 8, 8], generator),
            Tensor.From([3.0f]),
            Ops.Randn([1, 3, 20], generator),
            Ops.Randn([1, 12], generator)
        );
        Assert.All(output.ToArray<float>(), static v => Assert.Equal(0, v));
        Assert.Equal(seen["pos_embed"], seen["transformer_blocks.1"]);
        Assert.Equal(seen["context_embedder"], seen["transformer_blocks.0#0"]);
    }

    [Fact]
    public void Invalid_inputs_are_rejected()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("sd3");
        using var network = Load(golden);
        var (sample, time, text, pooled) = (
            golden.Read("in.sample"),
            golden.Read("in.timestep"),
            golden.Read("in.encoder_hidden_states"),
            golden.Read("in.pooled_projections")
        );
        Refused("divisible by 2", () => network.Forward(sample.Narrow(3, 0, 7), time, text, pooled));
        Refused("at most 24 per side", () => network.Forward(Ops.Cat([sample, sample], 3), time, text, pooled));
        Refused("one time per sample", () => network.Forward(sample, time.Narrow(0, 0, 1), text, pooled));
        Refused("[2, words, 20]", () => network.Forward(sample, time, text.Narrow(2, 0, 19), pooled));
        Refused("[2, 12]", () => network.Forward(sample, time, text, pooled.Narrow(1, 0, 11)));
        Assert.Throws<ArgumentException>(() => network.Predict(sample, time, new Condition { Text = text }));
        static void Refused(string words, Func<Tensor> run) =>
            Assert.Contains(words, Assert.Throws<InputException>(run).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("qk_norm", "\"layer_norm\"")]
    [InlineData("dual_attention_layers", "[0, 3]")]
    [InlineData("dual_attention_layers", "[0.5]")]
    [InlineData("dual_attention_layers", "\"all\"")]
    [InlineData("caption_projection_dim", "16")]
    [InlineData("out_channels", "8")]
    [InlineData("patch_size", "3")]
    [InlineData("pos_embed_max_size", "4")]
    [InlineData("num_layers", "0")]
    public void An_invalid_member_of_the_config_is_named(string name, string value)
    {
        using var golden = GoldenCase.Open("sd35");
        var json = golden.ReadObject("config.json");
        json[name] = JsonNode.Parse(value);
        var error = Assert.Throws<InputException>(() => Sd3Config.FromJson(json, "models/a/config.json"));
        Assert.Contains(name, error.Message, StringComparison.Ordinal);
        Assert.Contains("models/a/config.json", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("sd3")]
    [InlineData("sd35")]
    public void The_config_survives_a_round_trip(string name)
    {
        using var golden = GoldenCase.Open(name);
        var json = golden.ReadObject("config.json");
        var written = Sd3Config.FromJson(json).ToJson();
        Assert.Equal(written.ToJsonString(), Sd3Config.FromJson(written).ToJson().ToJsonString());
        foreach (var (member, value) in written)
            Assert.True(JsonNode.DeepEquals(value, json[member]), member);
    }

    internal static Sd3Config Tiny =>
        new()
        {
            NumAttentionHeads = 2,
            AttentionHeadDim = 8,
            NumLayers = 2,
            InChannels = 4,
            OutChannels = 4,
            SampleSize = 8,
            PosEmbedMaxSize = 6,
            JointAttentionDim = 20,
            PooledProjectionDim = 12,
        };

    internal static Sd3Transformer2D Load(GoldenCase golden)
    {
        var network = new Sd3Transformer2D(Sd3Config.FromJson(golden.ReadObject("config.json")));
        golden.LoadInto(network.Parameters);
        return network;
    }
}
