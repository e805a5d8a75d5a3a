using Retouch.Core.Errors;
using Retouch.Torch.Nn;

namespace Retouch.Torch.Tests;

/// <summary>Low-rank adapters against the dense layer W + s·B·A, by its closed form in float64.</summary>
public sealed class LowRankAdapterTests
{
    [Fact]
    public void Adapters_of_a_linear_layer_equal_the_dense_form()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 3);
        using var store = new ParameterStore();
        var layer = new Linear(store.Root / "a" / "to_q", 5, 4);
        store.Initialise(generator, Device.Cpu, DType.Float64);
        using var adapters = LowRankAdapters.Attach(
            store,
            new AdapterOptions
            {
                Rank = 2,
                Alpha = 3,
                Targets = ["to_q"],
            }
        );
        var (a, b) = Fill(adapters, generator, "a.to_q");
        var x = Ops.Randn([3, 5], generator).To(DType.Float64);
        x.RequiresGrad = true;
        var cotangent = Ops.Randn([3, 4], generator).To(DType.Float64);
        var y = layer.Forward(x);
        Autograd.Backward(y, cotangent);
        using var quiet = Autograd.NoGrad();
        var weight = store.Find("a.to_q.weight")!.Value;
        var dense = weight + (b.Matmul(a) * 1.5);
        Close(x.Matmul(dense.Transpose(0, 1)) + store.Find("a.to_q.bias")!.Value, y);
        Close(cotangent.Matmul(dense), x.Grad!);
        Close(b.Transpose(0, 1).Matmul(cotangent.Transpose(0, 1)).Matmul(x) * 1.5, a.Grad!);
        Close(cotangent.Transpose(0, 1).Matmul(x.Matmul(a.Transpose(0, 1))) * 1.5, b.Grad!);
        Assert.Null(weight.Grad);
        Assert.Equal([("a.to_q", 1.5)], adapters.Layers);
    }

    [Theory]
    [InlineData(3, 1, 1)]
    [InlineData(3, 2, 1)]
    [InlineData(1, 1, 0)]
    public void Adapters_of_a_convolution_equal_the_dense_form(int kernel, int stride, int padding)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 3);
        using var store = new ParameterStore();
        var layer = new Conv2d(store.Root / "conv", 3, 4, kernel, stride, padding);
        store.Initialise(generator, Device.Cpu, DType.Float64);
        using var adapters = LowRankAdapters.Attach(
            store,
            new AdapterOptions
            {
                Rank = 2,
                Alpha = 1,
                Targets = [AdapterOptions.All],
            }
        );
        var (a, b) = Fill(adapters, generator, "conv");
        var x = Ops.Randn([2, 3, 6, 6], generator).To(DType.Float64);
        x.RequiresGrad = true;
        var found = layer.Forward(x);
        var cotangent = Ops.Randn(found.Shape, generator).To(DType.Float64);
        Autograd.Backward(found, cotangent);
        var (weight, bias) = (store.Find("conv.weight")!.Value, store.Find("conv.bias")!.Value);
        var (other, a2, b2) = (x.Detach(), a.Detach(), b.Detach());
        (other.RequiresGrad, a2.RequiresGrad, b2.RequiresGrad) = (true, true, true);
        var dense = weight + (b2.Flatten(1).Matmul(a2.Flatten(1)).View(weight.Shape) * 0.5);
        var expected = other.Conv2d(dense, bias, [stride, stride], [padding, padding]);
        Autograd.Backward(expected, cotangent);
        Close(expected, found);
        Close(other.Grad!, x.Grad!);
        Close(a2.Grad!, a.Grad!);
        Close(b2.Grad!, b.Grad!);
        Assert.Null(weight.Grad);
    }

    [Fact]
    public void Disabled_adapters_equal_the_base_and_merging_preserves_the_output()
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var generator = Generator.Create(Device.Cpu, 3);
        using var store = new ParameterStore();
        var layer = new Linear(store.Root / "to_q", 5, 4);
        store.Initialise(generator, Device.Cpu);
        var x = Ops.Randn([3, 5], generator);
        var before = layer.Forward(x).ToArray<float>();
        using var adapters = LowRankAdapters.Attach(store, new AdapterOptions { Rank = 2 });
        adapters.Parameters.Initialise(generator, Device.Cpu);
        // B is zero: adapters have no effect yet, and A is not zero.
        Assert.Equal(before, layer.Forward(x).ToArray<float>());
        Assert.InRange(adapters.Parameters.Find("to_q.lora_A.weight")!.Value.Abs().Max().Item(), 0.1, 1 / Math.Sqrt(5));
        Fill(adapters, generator, "to_q");
        var on = layer.Forward(x).ToArray<float>();
        Assert.NotEqual(before, on);
        using (adapters.Off())
        {
            using (adapters.Off())
                Assert.Equal(before, layer.Forward(x).ToArray<float>());
            Assert.Equal(before, layer.Forward(x).ToArray<float>());
        }

        Assert.Equal(on, layer.Forward(x).ToArray<float>());
        adapters.Merge();
        var merged = layer.Forward(x).ToArray<float>();
        for (var k = 0; k < on.Length; k++)
            Assert.Equal(on[k], merged[k], 1e-5);
        using var again = LowRankAdapters.Attach(store, new AdapterOptions { Rank = 1, Start = AdapterInit.Gaussian });
        again.Parameters.Initialise(generator, Device.Cpu);
        Assert.Equal(merged, layer.Forward(x).ToArray<float>());
    }

    [Fact]
    public void Presets_and_path_suffixes_select_layers()
    {
        using var store = new ParameterStore();
        var block = store.Root / "blocks" / 0;
        _ = new Linear(block / "attn" / "to_q", 4, 4);
        _ = new Linear(block / "attn" / "to_out" / 0, 4, 4);
        _ = new Linear(block / "ff" / "net" / 2, 4, 4);
        _ = new Conv2d(store.Root / "proj", 4, 4, 2);
        _ = new LayerNorm(block / "norm", 4, 1e-5);
        _ = new Embedding(store.Root / "table", 3, 4);
        using var generator = Generator.Create(Device.Cpu, 3);
        store.Initialise(generator, Device.Cpu);
        Assert.Equal(["blocks.0.attn.to_q", "blocks.0.attn.to_out.0"], Chosen(AdapterOptions.Attention));
        Assert.Equal(["blocks.0.attn.to_q", "blocks.0.attn.to_out.0", "blocks.0.ff.net.2"], Chosen(AdapterOptions.AllLinear));
        Assert.Equal(4, Chosen(AdapterOptions.All).Length);
        Assert.Equal(["blocks.0.attn.to_q", "blocks.0.ff.net.2"], Chosen("to_q", "net.2", "ff.net.2"));
        Assert.Contains("'et.2'", Assert.Throws<UsageException>(() => Chosen("et.2")).Message, StringComparison.Ordinal);
        Assert.Contains("proj", Assert.Throws<UsageException>(() => Chosen("table")).Message, StringComparison.Ordinal);
        Assert.Throws<UsageException>(() => LowRankAdapters.Attach(store, new AdapterOptions { Rank = 0 }));
        Assert.Throws<UsageException>(() => LowRankAdapters.Attach(store, new AdapterOptions { Alpha = -1 }));
        Assert.Throws<UsageException>(() => LowRankAdapters.Attach(store, [new AdaptedLayer("blocks.0.norm", 1, 1)]));
        using var one = LowRankAdapters.Attach(store, new AdapterOptions());
        Assert.Throws<InvalidOperationException>(() => LowRankAdapters.Attach(store, new AdapterOptions()));

        string[] Chosen(params string[] targets)
        {
            using var adapters = LowRankAdapters.Attach(store, new AdapterOptions { Targets = targets });
            return [.. adapters.Layers.Select(static l => l.Path)];
        }
    }

    private static (Tensor A, Tensor B) Fill(LowRankAdapters adapters, Generator generator, string path)
    {
        var type = path == "to_q" ? DType.Float32 : DType.Float64;
        using (Autograd.NoGrad())
        {
            adapters.Parameters.Initialise(generator, Device.Cpu, type);
            var up = adapters.Parameters.Find($"{path}.lora_B.weight")!;
            up.Value.CopyInPlace(Ops.Randn(up.Shape, generator));
        }

        adapters.Parameters.RequireGrad(true);
        return (adapters.Parameters.Find($"{path}.lora_A.weight")!.Value, adapters.Parameters.Find($"{path}.lora_B.weight")!.Value);
    }

    private static void Close(Tensor expected, Tensor found)
    {
        Assert.Equal(expected.Shape, found.Shape);
        Assert.True(expected.Abs().Max().Item() > 0.01);
        Assert.True((expected - found).Abs().Max().Item() < 1e-12);
    }
}
