using System.Text.Json.Nodes;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Denoisers.Dit;
using Retouch.Denoisers.PixArt;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Denoisers;

/// <summary>PixArt against diffusers, and properties that need no golden.</summary>
public sealed class PixArtTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Outputs_intermediates_and_gradients_equal_the_golden(bool checkpoint)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("pixart");
        using var network = Load(golden);
        network.CheckpointActivations = checkpoint;
        DenoiserGolden.Check(
            golden,
            network,
            ["sample", "encoder_hidden_states"],
            x => network.Forward(x[0], golden.Read("in.timestep"), x[1], golden.Read("in.encoder_attention_mask"))
        );
    }

    [Fact]
    public void The_golden_holds_without_a_mask_and_at_other_sizes()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var golden = GoldenCase.Open("pixart");
        using var network = Load(golden);
        var (time, text, mask) = (
            golden.Read("in.timestep"),
            golden.Read("in.encoder_hidden_states"),
            golden.Read("in.encoder_attention_mask")
        );
        golden.Check("out.sample_no_mask", network.Forward(golden.Read("in.sample"), time, text));
        golden.Check("out.sample_b", network.Forward(golden.Read("in.sample_b"), time, text));
        golden.Check("out.sample", network.Forward(golden.Read("in.sample"), time, text, mask));
    }

    [Theory]
    [InlineData(DType.Float32)]
    [InlineData(DType.BFloat16)]
    public void Activation_checkpointing_is_bitwise_exact(DType precision)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("pixart");
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
                            golden.Read("in.encoder_attention_mask")
                        ),
                    precision
                );
            })
            .ToList();
        Assert.True(runs[0].Count > 50);
        DenoiserGolden.CheckSame(runs[0], runs[1]);
    }

    [Fact]
    public void Predict_drops_the_learned_variance_and_masks_padding()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var golden = GoldenCase.Open("pixart");
        using var network = Load(golden);
        var condition = new Condition
        {
            Text = golden.Read("in.encoder_hidden_states"),
            TextMask = golden.Read("in.encoder_attention_mask").To(DType.Int64),
        };
        var predicted = network.Predict(golden.Read("in.sample"), golden.Read("in.timestep").To(DType.Float32), condition).Value;
        Assert.Equal([2, 4, 16, 16], predicted.Shape);
        var whole = network.Forward(
            golden.Read("in.sample"),
            golden.Read("in.timestep"),
            golden.Read("in.encoder_hidden_states"),
            golden.Read("in.encoder_attention_mask")
        );
        Assert.Equal(whole.Narrow(1, 0, 4).ToArray<float>(), predicted.ToArray<float>());
        Assert.Null(network.ClassCount);
        Assert.Equal(16, network.SampleSize);
    }

    /// <summary>
    /// The size acts through the timestep embedding only: a network without size conditioning is equivalent if its bias includes the sum
    /// computed here.
    /// </summary>
    [Fact]
    public void Size_embeddings_are_height_width_and_ratio()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var generator = Generator.Create(Device.Cpu, 5);
        var config = Tiny with { UseAdditionalConditions = true, InterpolationScale = 1 };
        using var told = new PixArtTransformer2D(config);
        told.Parameters.Initialise(generator, Device.Cpu);
        foreach (var parameter in told.Parameters.Trained)
            parameter.Value.CopyInPlace(Ops.Randn(parameter.Shape, generator) * 0.2);
        using var plain = new PixArtTransformer2D(config with { UseAdditionalConditions = false });
        plain.Parameters.Initialise(generator, Device.Cpu);
        foreach (var parameter in plain.Parameters.Trained)
            parameter.Value.CopyInPlace(told.Parameters.Find(parameter.Name)!.Value);
        var (noisy, time, text) = (Ops.Randn([1, 4, 8, 12], generator), Tensor.From([400.0f]), Ops.Randn([1, 3, 20], generator));
        var emb = "adaln_single.emb.";
        double[] moved =
        [
            .. Embed("resolution_embedder", 64),
            .. Embed("resolution_embedder", 96),
            .. Embed("aspect_ratio_embedder", 64.0 / 96),
        ];
        var bias = plain.Parameters.Find(emb + "timestep_embedder.linear_2.bias")!.Value;
        var before = plain.Forward(noisy, time, text).ToArray<float>();
        using var start = bias.Clone();
        bias.CopyInPlace(start + Tensor.From(Array.ConvertAll(moved, static v => (float)v)));
        var expected = plain.Forward(noisy, time, text).ToArray<float>();
        var derived = told.Forward(noisy, time, text).ToArray<float>();
        Assert.Equal(derived, told.Forward(noisy, time, text, size: Tensor.From([64.0f, 96]).View([1, 2])).ToArray<float>());
        Assert.Equal(
            derived[..(4 * 96)],
            told.Predict(noisy, time, new Condition { Text = text, TimeIds = Tensor.From([1.0f, 2, 3, 4, 64, 96]).View([1, 6]) })
                .Value.ToArray<float>()
        );
        for (var k = 0; k < expected.Length; k++)
            Assert.Equal(expected[k], derived[k], 2e-4);
        Assert.True(expected.Zip(before).Max(static p => Math.Abs(p.First - p.Second)) > 0.01);

        // diffusers passes the ratio as a separate [batch, 1] tensor: it need not equal that of the size.
        double[] other = [.. moved[..^(moved.Length / 3)], .. Embed("aspect_ratio_embedder", 1.75)];
        Assert.Equal(moved.Length, other.Length);
        bias.CopyInPlace(start + Tensor.From(Array.ConvertAll(other, static v => (float)v)));
        var given = told.Forward(noisy, time, text, ratio: Tensor.From([1.75f]).View([1, 1])).ToArray<float>();
        var wanted = plain.Forward(noisy, time, text).ToArray<float>();
        for (var k = 0; k < wanted.Length; k++)
            Assert.Equal(wanted[k], given[k], 2e-4);
        Assert.Throws<InputException>(() => plain.Forward(noisy, time, text, ratio: Tensor.From([1.75f])));
        Assert.Throws<InputException>(() => told.Forward(noisy, time, text, ratio: Tensor.From([1.75f, 1])));

        double[] Embed(string name, double value)
        {
            double[] features =
            [
                .. Enumerable
                    .Range(0, 256)
                    .Select(k =>
                        k < 128 ? Math.Cos(value * Math.Pow(10000, -k / 128.0)) : Math.Sin(value * Math.Pow(10000, -(k - 128) / 128.0))
                    ),
            ];
            return Layer(name + ".linear_2", [.. Layer(name + ".linear_1", features).Select(static v => v / (1 + Math.Exp(-v)))]);
        }

        double[] Layer(string name, double[] x)
        {
            var weight = told.Parameters.Find($"{emb}{name}.weight")!.Value.ToArray<double>();
            var b = told.Parameters.Find($"{emb}{name}.bias")!.Value.ToArray<double>();
            return [.. b.Select((v, row) => v + x.Select((u, k) => u * weight[(row * x.Length) + k]).Sum())];
        }
    }

    [Fact]
    public void Positions_of_a_finer_grid_are_interpolated()
    {
        using var scope = TensorScope.Enter();
        Assert.Equal(1, Tiny.Interpolation);
        Assert.Equal(2, (Tiny with { SampleSize = 128 }).Interpolation);
        Assert.Equal(4, (Tiny with { SampleSize = 256 }).Interpolation);
        Assert.Equal(0.5, (Tiny with { InterpolationScale = 0.5 }).Interpolation);
    }

    [Theory]
    [InlineData("pixart_alpha_xl_2_1024", true)]
    [InlineData("pixart_alpha_xl_2_512", false)]
    public void A_full_size_network_has_the_published_keys(string name, bool size)
    {
        var manifest = Manifest.Open(name);
        // These folders were published under the class name of DiT.
        Assert.Equal("Transformer2DModel", (string?)manifest.Config["_class_name"]);
        using var network = Assert.IsType<PixArtTransformer2D>(ComponentRegistry.Find(manifest.Config, name).Create(manifest.Config, name));
        Assert.Equal(size, network.Config.TakesSize);
        manifest.Check(network.Parameters);
        var other = Manifest.Open("dit_xl_2_256").Config;
        Assert.Equal(typeof(DiTTransformer2D), ComponentRegistry.Find(other, name).NetworkType);
    }

    [Fact]
    public void A_new_network_has_zero_output_and_ignores_the_caption()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var generator = Generator.Create(Device.Cpu, 7);
        using var network = new PixArtTransformer2D(Tiny);
        network.Parameters.Initialise(generator, Device.Cpu);
        var (noisy, time) = (Ops.Randn([1, 4, 16, 16], generator), Tensor.From([3.0f]));
        Assert.All(network.Forward(noisy, time, Ops.Randn([1, 3, 20], generator)).ToArray<float>(), static v => Assert.Equal(0, v));
        network.Parameters.Find("proj_out.weight")!.Value.FillInPlace(0.1);
        var one = network.Forward(noisy, time, Ops.Randn([1, 3, 20], generator)).ToArray<float>();
        Assert.Equal(one, network.Forward(noisy, time, Ops.Randn([1, 5, 20], generator)).ToArray<float>());
        Assert.Contains(one, static v => v != 0);
    }

    [Fact]
    public void Invalid_inputs_are_rejected()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("pixart");
        using var network = Load(golden);
        var (sample, time, text) = (golden.Read("in.sample"), golden.Read("in.timestep"), golden.Read("in.encoder_hidden_states"));
        Refused("divisible by 2", () => network.Forward(sample.Narrow(2, 0, 7), time, text));
        Refused("one time per sample", () => network.Forward(sample, time.Narrow(0, 0, 1), text));
        Refused("[2, words, 20]", () => network.Forward(sample, time, text.Narrow(2, 0, 19)));
        Refused("a mask [2, 6]", () => network.Forward(sample, time, text, golden.Read("in.encoder_attention_mask").Narrow(1, 0, 5)));
        Refused("use_additional_conditions", () => network.Forward(sample, time, text, size: Tensor.From([1.0f, 2, 3, 4]).View([2, 2])));
        Assert.Throws<ArgumentException>(() => network.Predict(sample, time, new Condition(Tensor.From([0L, 1]))));
        static void Refused(string words, Func<Tensor> run) =>
            Assert.Contains(words, Assert.Throws<InputException>(run).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("norm_type", "\"ada_norm_zero\"")]
    [InlineData("attention_type", "\"gated\"")]
    [InlineData("norm_elementwise_affine", "true")]
    [InlineData("cross_attention_dim", "768")]
    [InlineData("caption_channels", "null")]
    [InlineData("out_channels", "5")]
    [InlineData("activation_fn", "\"relu\"")]
    [InlineData("dropout", "0.1")]
    [InlineData("patch_size", "3")]
    [InlineData("interpolation_scale", "-1")]
    [InlineData("use_additional_conditions", "true")]
    public void An_invalid_member_of_the_config_is_named(string name, string value)
    {
        using var golden = GoldenCase.Open("pixart");
        var json = golden.ReadObject("config.json");
        json[name] = JsonNode.Parse(value);
        var error = Assert.Throws<InputException>(() => PixArtConfig.FromJson(json, "models/a/config.json"));
        Assert.Contains(name, error.Message, StringComparison.Ordinal);
        Assert.Contains("models/a/config.json", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_config_survives_a_round_trip()
    {
        using var golden = GoldenCase.Open("pixart");
        var json = golden.ReadObject("config.json");
        var config = PixArtConfig.FromJson(json);
        Assert.Equal(config, PixArtConfig.FromJson(config.ToJson()));
        foreach (var (name, value) in config.ToJson())
            Assert.True(JsonNode.DeepEquals(value, json[name]), name);
    }

    internal static PixArtConfig Tiny =>
        new()
        {
            NumAttentionHeads = 3,
            AttentionHeadDim = 8,
            NumLayers = 2,
            SampleSize = 16,
            CaptionChannels = 20,
        };

    internal static PixArtTransformer2D Load(GoldenCase golden)
    {
        var network = new PixArtTransformer2D(PixArtConfig.FromJson(golden.ReadObject("config.json")));
        golden.LoadInto(network.Parameters);
        return network;
    }
}
