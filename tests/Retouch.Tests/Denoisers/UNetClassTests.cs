using System.Text.Json.Nodes;
using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Denoisers.UNet;
using Retouch.Tests.Goldens;
using Retouch.Torch;
using Retouch.Torch.Nn;

namespace Retouch.Tests.Denoisers;

/// <summary>Class-conditional U-Nets without text, and blocks missing in the goldens, against closed forms.</summary>
public sealed class UNetClassTests
{
    /// <summary>Three classes and "no class", self-attention over pixels; loadable in diffusers, too.</summary>
    internal static UNet2DConditionConfig Small =>
        new()
        {
            SampleSize = 8,
            BlockOutChannels = [8, 16],
            LayersPerBlock = [1],
            NormNumGroups = 4,
            AttentionHeadDim = [4],
            NumClassEmbeds = 4,
            DownBlockTypes = ["DownBlock2D", "AttnDownBlock2D"],
            UpBlockTypes = ["AttnUpBlock2D", "UpBlock2D"],
            MidBlockType = "UNetMidBlock2D",
        };

    /// <summary>The same with transformers, whose blocks attend to the picture only.</summary>
    private static UNet2DConditionConfig WithTransformers =>
        Small with
        {
            CrossAttentionDim = null,
            MidBlockType = "UNetMidBlock2DCrossAttn",
            DownBlockTypes = ["DownBlock2D", "CrossAttnDownBlock2D"],
            UpBlockTypes = ["CrossAttnUpBlock2D", "UpBlock2D"],
        };

    [Fact]
    public void A_class_shifts_the_timestep_embedding()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var network = Make(Small);
        using var plain = Make(Small with { NumClassEmbeds = null });
        Assert.Equal(3, network.ClassCount);
        Assert.Null(plain.ClassCount);
        foreach (var parameter in plain.Parameters.All)
            parameter.Value.CopyInPlace(network.Parameters.Find(parameter.Name)!.Value);
        using var generator = Generator.Create(Device.Cpu, 3);
        var (sample, time) = (Ops.Randn([1, 4, 8, 8], generator), Tensor.From([500L]));
        for (var label = 0; label <= 3; label++)
        {
            // Adding a row of the table to the timestep embedding equals adding it to the embedding's last bias.
            var row = network.Parameters.Find("class_embedding.weight")!.Value.Select(0, label);
            plain
                .Parameters.Find("time_embedding.linear_2.bias")!
                .Value.CopyInPlace(network.Parameters.Find("time_embedding.linear_2.bias")!.Value + row);
            var difference =
                network.Predict(sample, time, new Condition(Tensor.From([(long)label]))).Value
                - plain.Predict(sample, time, new Condition()).Value;
            Assert.True(difference.Abs().Max().Item() < 1e-5);
        }

        Assert.Contains(
            "between 0 and 3",
            Assert.Throws<InputException>(() => network.Predict(sample, time, new Condition(Tensor.From([4L])))).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<ArgumentException>(() => network.Predict(sample, time, new Condition()));
    }

    [Fact]
    public void A_network_without_text_has_no_attention_to_it()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var network = Make(WithTransformers);
        Assert.Contains(network.Parameters.All, static p => p.Name == "mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight");
        Assert.DoesNotContain(
            network.Parameters.All,
            static p =>
                p.Name.Contains("attn2", StringComparison.Ordinal)
                || p.Name.Contains("norm2.weight", StringComparison.Ordinal) && p.Name.Contains("transformer", StringComparison.Ordinal)
        );
        var output = network.Predict(Ops.Ones([1, 4, 6, 10]), Tensor.From([3L]), new Condition(Tensor.From([3L]))).Value;
        Assert.Equal([1, 4, 6, 10], output.Shape);
        Assert.True(output.Isfinite().All().Item() == 1);
    }

    [Fact]
    public void Attention_over_pixels_is_a_weighted_mean_per_head()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var store = new ParameterStore();
        var attention = new UNetPixelAttention(store.Root, 8, 2, Small);
        Fill(store);
        Assert.Equal(
            [
                "group_norm.bias",
                "group_norm.weight",
                "to_k.bias",
                "to_k.weight",
                "to_out.0.bias",
                "to_out.0.weight",
                "to_q.bias",
                "to_q.weight",
                "to_v.bias",
                "to_v.weight",
            ],
            store.All.Select(static p => p.Name).Order(StringComparer.Ordinal)
        );
        using var generator = Generator.Create(Device.Cpu, 9);
        var x = Ops.Randn([1, 8, 2, 3], generator);
        var normal = Rows(x.GroupNorm(4, store.Find("group_norm.weight")!.Value, store.Find("group_norm.bias")!.Value, 1e-5));
        var (q, k, v) = (Through("to_q", normal), Through("to_k", normal), Through("to_v", normal));
        var mixed = new double[6][];
        for (var p = 0; p < 6; p++)
        {
            mixed[p] = new double[8];
            // Heads of two channels.
            for (var head = 0; head < 8; head += 2)
            {
                var weights = Enumerable
                    .Range(0, 6)
                    .Select(s => Math.Exp(((q[p][head] * k[s][head]) + (q[p][head + 1] * k[s][head + 1])) / Math.Sqrt(2)))
                    .ToArray();
                for (var c = head; c < head + 2; c++)
                    mixed[p][c] = Enumerable.Range(0, 6).Sum(s => weights[s] * v[s][c]) / weights.Sum();
            }
        }

        var expected = Through("to_out.0", mixed);
        var (found, input) = (Rows(attention.Forward(x)), Rows(x));
        for (var p = 0; p < 6; p++)
        {
            for (var c = 0; c < 8; c++)
                Assert.Equal(expected[p][c] + input[p][c], found[p][c], 1e-5);
        }

        static double[][] Rows(Tensor map)
        {
            var values = map.ToArray<double>();
            return [.. Enumerable.Range(0, 6).Select(p => Enumerable.Range(0, 8).Select(c => values[(c * 6) + p]).ToArray())];
        }

        double[][] Through(string name, double[][] rows)
        {
            var (weight, bias) = (
                store.Find($"{name}.weight")!.Value.ToArray<double>(),
                store.Find($"{name}.bias")!.Value.ToArray<double>()
            );
            return
            [
                .. rows.Select(row =>
                    Enumerable.Range(0, 8).Select(o => bias[o] + Enumerable.Range(0, 8).Sum(i => weight[(o * 8) + i] * row[i])).ToArray()
                ),
            ];
        }
    }

    [Fact]
    public void Timesteps_can_scale_and_shift_and_residuals_can_be_rescaled()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var store = new ParameterStore();
        var block = new UNetResidualBlock(store.Root, 8, 8, Small with { ResnetTimeScaleShift = "scale_shift" }, divisor: 2);
        Fill(store);
        using var generator = Generator.Create(Device.Cpu, 9);
        var (x, embedding) = (Ops.Randn([2, 8, 4, 4], generator), Ops.Randn([2, 32], generator));
        var hidden = Norm("norm1", x).Silu().Conv2d(Of("conv1.weight"), Of("conv1.bias"), [1, 1], [1, 1]);
        var time = embedding.Matmul(Of("time_emb_proj.weight").T()) + Of("time_emb_proj.bias");
        var (scale, shift) = (time.Narrow(1, 0, 8).View([2, 8, 1, 1]), time.Narrow(1, 8, 8).View([2, 8, 1, 1]));
        var expected =
            (x + ((Norm("norm2", hidden) * (scale + 1)) + shift).Silu().Conv2d(Of("conv2.weight"), Of("conv2.bias"), [1, 1], [1, 1])) / 2;
        Assert.True((block.Forward(x, embedding) - expected).Abs().Max().Item() < 1e-5);

        Tensor Of(string name) => store.Find(name)!.Value;

        Tensor Norm(string name, Tensor value) => value.GroupNorm(4, Of($"{name}.weight"), Of($"{name}.bias"), 1e-5);
    }

    [Fact]
    public void Downsampling_without_padding_extends_right_and_down()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var store = new ParameterStore();
        var halving = new UNetDownsampler(store.Root, 4, padding: 0);
        Fill(store);
        using var generator = Generator.Create(Device.Cpu, 9);
        var x = Ops.Randn([1, 4, 6, 7], generator);
        var padded = Ops.Zeros([1, 4, 7, 8]);
        padded.Narrow(2, 0, 6).Narrow(3, 0, 7).CopyInPlace(x);
        var expected = padded.Conv2d(store.Find("conv.weight")!.Value, store.Find("conv.bias")!.Value, [2, 2]);
        Assert.Equal([1, 4, 3, 3], expected.Shape);
        Assert.Equal(expected.ToArray<float>(), halving.Forward(x).ToArray<float>());
    }

    [Fact]
    public void Classes_can_be_numbers_or_vectors()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var vectors = Small with { NumClassEmbeds = null, ClassEmbedType = "identity" };
        using var plain = Make(Small with { NumClassEmbeds = null });
        using var identity = Make(vectors);
        using var projection = Make(vectors with { ClassEmbedType = "projection", ProjectionClassEmbeddingsInputDim = 5 });
        using var number = Make(vectors with { ClassEmbedType = "timestep" });
        Assert.Equal([32, 5], projection.Parameters.Find("class_embedding.linear_1.weight")!.Shape);
        Assert.Equal([32, 8], number.Parameters.Find("class_embedding.linear_1.weight")!.Shape);
        Assert.All((UNet2DCondition[])[identity, projection, number], static n => Assert.Null(n.ClassCount));
        var (sample, time) = (Ops.Ones([1, 4, 8, 8]), Tensor.From([500L]));
        var nothing = plain.Predict(sample, time, new Condition()).Value;
        Assert.Equal(
            nothing.ToArray<float>(),
            identity.Predict(sample, time, new Condition { Pooled = Ops.Zeros([1, 32]) }).Value.ToArray<float>()
        );
        Assert.NotEqual(
            nothing.ToArray<float>(),
            identity.Predict(sample, time, new Condition { Pooled = Ops.Ones([1, 32]) }).Value.ToArray<float>()
        );
        Assert.NotEqual(
            projection.Predict(sample, time, new Condition { Pooled = Ops.Ones([1, 5]) }).Value.ToArray<float>(),
            projection.Predict(sample, time, new Condition { Pooled = Ops.Zeros([1, 5]) }).Value.ToArray<float>()
        );
        Assert.NotEqual(
            number.Predict(sample, time, new Condition(Tensor.From([20L]))).Value.ToArray<float>(),
            number.Predict(sample, time, new Condition(Tensor.From([100L]))).Value.ToArray<float>()
        );
        Assert.Throws<InputException>(() => projection.Predict(sample, time, new Condition { Pooled = Ops.Ones([1, 6]) }));
    }

    [Fact]
    public void The_config_of_a_class_conditional_network_survives()
    {
        var json = Small.ToJson();
        Assert.True(JsonNode.DeepEquals(json, UNet2DConditionConfig.FromJson(JsonNode.Parse(json.ToJsonString())!.AsObject()).ToJson()));
    }

    internal static UNet2DCondition Make(UNet2DConditionConfig config)
    {
        var network = new UNet2DCondition(config);
        Fill(network.Parameters);
        return network;
    }

    /// <summary>Random weights, equal for equal keys; no scale is one and no bias zero.</summary>
    private static void Fill(ParameterStore store)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var generator = Generator.Create(Device.Cpu, 5);
        store.Initialise(generator, Device.Cpu);
        foreach (var parameter in store.All)
        {
            using var own = Generator.Create(Device.Cpu, (ulong)parameter.Name.Sum(static c => c * 31L));
            parameter.Value.CopyInPlace(
                (
                    Ops.Randn(parameter.Shape, own)
                    * (parameter.Shape.Length == 1 ? 0.3 : 1 / Math.Sqrt(parameter.Count / parameter.Shape[0]))
                ) + (parameter.Name.EndsWith("norm1.weight", StringComparison.Ordinal) ? 1 : 0)
            );
        }
    }
}

/// <summary>Tensors are freed after their last use.</summary>
[Collection(LiveTensorCollection.Name)]
public sealed class UNetMemoryTests
{
    [Fact]
    public void Without_gradients_skip_connections_are_freed_after_use()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var golden = GoldenCase.Open("unet_sd15");
        using var network = UNetTests.Load(golden);
        var alive = new List<long>();
        var (sample, time, condition) = (golden.Read("in.sample"), golden.Read("in.timestep"), UNetTests.ConditionOf(golden));
        network.Parameters.Observer = (name, _) =>
        {
            if (name.Contains("blocks.", StringComparison.Ordinal))
                alive.Add(Tensor.LiveCount);
        };
        network.Forward(sample, time, condition);
        // Four blocks down and four up; each block of the up path frees its three skip connections.
        Assert.Equal(8, alive.Count);
        for (var k = 0; k < 3; k++)
            Assert.Equal(3, alive[4 + k] - alive[5 + k]);
    }
}
