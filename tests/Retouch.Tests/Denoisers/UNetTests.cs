using Retouch.Conditioning;
using Retouch.Core.Errors;
using Retouch.Denoisers.UNet;
using Retouch.Tests.Goldens;
using Retouch.Torch;

namespace Retouch.Tests.Denoisers;

/// <summary>The U-Net against diffusers, and properties that need no golden.</summary>
public sealed class UNetTests
{
    [Theory]
    [Trait("speed", "slow")]
    [InlineData("unet_sd15", false)]
    [InlineData("unet_sd15", true)]
    [InlineData("unet_sdxl", false)]
    [InlineData("unet_sdxl", true)]
    public void Outputs_intermediates_and_gradients_equal_the_golden(string name, bool checkpoint)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open(name);
        using var network = Load(golden);
        network.CheckpointActivations = checkpoint;
        network.Parameters.RequireGrad(true);
        var seen = new Dictionary<string, Tensor>();
        network.Parameters.Observer = (path, value) => seen.TryAdd(path, value.Detach().Clone().Escape());
        var (sample, condition) = (golden.ReadLeaf("in.sample"), ConditionOf(golden, leaves: true));
        var output = network.Forward(sample, golden.Read("in.timestep"), condition);
        golden.Check("out.sample", output);
        Assert.Equal(golden.Names("mid."), seen.Keys.Order(StringComparer.Ordinal));
        foreach (var (path, value) in seen)
        {
            golden.Check($"mid.{path}", value);
            value.Dispose();
        }

        network.Parameters.Observer = null;
        Autograd.Backward(output, golden.Read("in.cotangent"));
        golden.Check("grad.sample", sample.Grad!);
        golden.Check("grad.encoder_hidden_states", condition.Text!.Grad!);
        golden.CheckGradients(network.Parameters);
    }

    [Theory]
    [Trait("speed", "slow")]
    [InlineData("unet_sd15", DType.Float32)]
    [InlineData("unet_sdxl", DType.Float32)]
    [InlineData("unet_sdxl", DType.BFloat16)]
    public void Activation_checkpointing_is_bitwise_exact(string name, DType precision)
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open(name);
        var plain = Gradients(golden, checkpoint: false, precision);
        var checkpointed = Gradients(golden, checkpoint: true, precision);
        Assert.True(plain.Count > 100);
        foreach (var (key, values) in plain)
            Assert.True(values.AsSpan().SequenceEqual(checkpointed[key]), key);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Odd_sizes_are_restored(bool gradients)
    {
        using var scope = TensorScope.Enter();
        using var mode = gradients ? Autograd.WithGrad() : Autograd.NoGrad();
        using var golden = GoldenCase.Open("unet_sd15");
        using var network = Load(golden);
        network.Parameters.RequireGrad(gradients);
        golden.Check("out.odd_sample", network.Forward(golden.Read("in.odd_sample"), golden.Read("in.timestep"), ConditionOf(golden)));
        using var generator = Generator.Create(Device.Cpu, 7);
        Assert.Equal(
            [2, 4, 5, 11],
            network.Forward(Ops.Randn([2, 4, 5, 11], generator), golden.Read("in.timestep"), ConditionOf(golden)).Shape
        );
    }

    [Fact]
    public void Reduced_precision_stays_close()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var golden = GoldenCase.Open("unet_sdxl");
        using var network = new UNet2DCondition(UNet2DConditionConfig.FromJson(golden.ReadObject("config.json")));
        golden.LoadInto(network.Parameters, DType.BFloat16);
        var output = network.Forward(golden.Read("in.sample"), golden.Read("in.timestep"), ConditionOf(golden));
        Assert.Equal(DType.Float32, output.DType);
        Assert.InRange((output - golden.Read("out.sample")).Square().Mean().Sqrt().Item(), 1e-4, 0.1);
    }

    [Theory]
    [InlineData("sd15_unet")]
    [InlineData("sd21_unet")]
    [InlineData("sdxl_unet")]
    public void A_full_size_network_has_the_published_keys(string name)
    {
        var manifest = Manifest.Open(name);
        using var network = new UNet2DCondition(UNet2DConditionConfig.FromJson(manifest.Config));
        manifest.Check(network.Parameters);
    }

    [Fact]
    public void A_masked_token_has_no_effect()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var golden = GoldenCase.Open("unet_sd15");
        using var network = Load(golden);
        var (sample, time, text) = (golden.Read("in.sample"), golden.Read("in.timestep"), golden.Read("in.encoder_hidden_states"));
        var mask = Tensor.From([1L, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0], 2, 7);
        var masked = network.Forward(sample, time, new Condition { Text = text, TextMask = mask });
        var cut = network.Forward(sample, time, new Condition { Text = text.Narrow(1, 0, 4) });
        Assert.True((masked - cut).Abs().Max().Item() < 1e-5);
        Assert.True((masked - network.Forward(sample, time, new Condition { Text = text })).Abs().Max().Item() > 1e-2);
    }

    [Fact]
    public void Invalid_inputs_are_rejected()
    {
        using var scope = TensorScope.Enter();
        using var golden = GoldenCase.Open("unet_sdxl");
        using var network = Load(golden);
        var (sample, time, condition) = (golden.Read("in.sample"), golden.Read("in.timestep"), ConditionOf(golden));
        Refused("[batch, 4, height, width]", () => network.Forward(sample.Narrow(1, 0, 3), time, condition));
        Refused("one time per sample", () => network.Forward(sample, time.Narrow(0, 0, 1), condition));
        Refused("text [2, tokens, 20]", () => network.Forward(sample, time, condition with { Text = condition.Text!.Narrow(2, 0, 19) }));
        Refused("mask [2, 9]", () => network.Forward(sample, time, condition with { TextMask = Tensor.From([1L, 1], 2, 1) }));
        Refused("with 60 features", () => network.Forward(sample, time, condition with { TimeIds = condition.TimeIds!.Narrow(1, 0, 5) }));
        Assert.Contains(
            "no Text",
            Assert.Throws<ArgumentException>(() => network.Predict(sample, time, new Condition())).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "no Pooled",
            Assert.Throws<ArgumentException>(() => network.Predict(sample, time, condition with { Pooled = null })).Message,
            StringComparison.Ordinal
        );

        static void Refused(string expected, Func<Tensor> run) =>
            Assert.Contains(expected, Assert.Throws<InputException>(run).Message, StringComparison.Ordinal);
    }

    internal static UNet2DCondition Load(GoldenCase golden)
    {
        var network = new UNet2DCondition(UNet2DConditionConfig.FromJson(golden.ReadObject("config.json")));
        golden.LoadInto(network.Parameters);
        return network;
    }

    internal static Condition ConditionOf(GoldenCase golden, bool leaves = false) =>
        new()
        {
            Text = leaves ? golden.ReadLeaf("in.encoder_hidden_states") : golden.Read("in.encoder_hidden_states"),
            Pooled = golden.Has("in.text_embeds") ? golden.Read("in.text_embeds") : null,
            TimeIds = golden.Has("in.time_ids") ? golden.Read("in.time_ids") : null,
        };

    private static Dictionary<string, float[]> Gradients(GoldenCase golden, bool checkpoint, DType precision)
    {
        using var scope = TensorScope.Enter();
        using var network = Load(golden);
        network.CheckpointActivations = checkpoint;
        network.Parameters.RequireGrad(true);
        var (sample, condition) = (golden.ReadLeaf("in.sample"), ConditionOf(golden, leaves: true));
        Tensor output;
        using (Autocast.Enter(Device.Cpu, precision))
            output = network.Forward(sample, golden.Read("in.timestep"), condition);
        Autograd.Backward(output, golden.Read("in.cotangent"));
        var found = network.Parameters.Trained.ToDictionary(static p => p.Name, static p => p.Value.Grad!.ToArray<float>());
        found["output"] = output.ToArray<float>();
        found["sample"] = sample.Grad!.ToArray<float>();
        found["text"] = condition.Text!.Grad!.ToArray<float>();
        return found;
    }
}
