namespace Retouch.Torch.Tests;

/// <summary>The native layers against libtorch's, and their gradients against finite differences in float64.</summary>
public sealed class FusedLayerTests
{
    public static TheoryData<long[], long> Shapes =>
        new()
        {
            { [2, 6, 5, 7], 3 },
            { [3, 4, 1, 1], 4 },
            { [1, 8, 33, 65], 2 },
            { [2, 4, 64, 67], 1 },
        };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Normalisation_with_silu_equals_libtorch(long[] shape, long groups)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 4);
        // A single value per group is divided by √ε: its gradient is a difference of terms a thousand times as large, with their rounding.
        var terms = shape[1] == groups && shape[2] * shape[3] == 1 ? 1000 : 1;
        foreach (var (dtype, tolerance) in new[] { (DType.Float64, 1e-12 * terms), (DType.Float32, Math.Max(2e-5, 1e-7 * terms)) })
        {
            // A large mean: sums of squares without centring would lose all digits.
            var x = ((Ops.Randn(shape, generator) * 2) + 50).To(dtype);
            var weight = Ops.Randn([shape[1]], generator).To(dtype);
            var bias = Ops.Randn([shape[1]], generator).To(dtype);
            var cotangent = Ops.Randn(shape, generator).To(dtype);
            Tensor[] leaves = [x, weight, bias];
            foreach (var leaf in leaves)
                leaf.RequiresGrad = true;
            var ours = x.GroupNormSilu(weight, bias, groups, 1e-6);
            var exact = leaves.Select(static t => Leaf(t.Detach().To(DType.Float64).Clone())).ToArray();
            var theirs = exact[0].GroupNorm(groups, exact[1], exact[2], 1e-6).Silu();
            Close(theirs, ours, tolerance);
            var found = Autograd.Grad([ours], leaves, [cotangent]);
            var expected = Autograd.Grad([theirs], exact, [cotangent.To(DType.Float64)]);
            for (var k = 0; k < 3; k++)
                Close(expected[k]!, found[k]!, tolerance);
            using (Autograd.NoGrad())
                Assert.Equal(ours.ToArray<float>(), x.GroupNormSilu(weight, bias, groups, 1e-6).ToArray<float>());
        }
    }

    [Fact]
    public void Gradients_of_normalisation_with_silu_equal_finite_differences()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 9);
        var x = Ops.Randn([2L, 4, 3, 5], generator).To(DType.Float64);
        var weight = Ops.Randn([4L], generator).To(DType.Float64);
        var bias = Ops.Randn([4L], generator).To(DType.Float64);
        var cotangent = Ops.Randn([2L, 4, 3, 5], generator).To(DType.Float64);
        FiniteDifferences([x, weight, bias], t => (t[0].GroupNormSilu(t[1], t[2], 2, 1e-6) * cotangent).Sum());
    }

    [Fact]
    public void Silu_handles_extreme_values_and_propagates_NaN()
    {
        using var scope = TensorScope.Enter();
        var values = new[] { -1e30f, -200f, -88f, -20f, -1e-20f, 0f, 20f, 200f, 1e30f };
        // One pixel per channel and group: the normalised value is zero, the input of SiLU is the bias.
        var y = Ops.Zeros([1, values.Length, 1, 1])
            .GroupNormSilu(Ops.Ones([values.Length]), Tensor.From(values), values.Length, 1e-6)
            .ToArray<float>();
        for (var k = 0; k < values.Length; k++)
        {
            var expected = values[k] / (1 + Math.Exp(-(double)values[k]));
            Assert.True(
                Math.Abs(y[k] - expected) <= (1e-6 * Math.Abs(expected)) + 1e-7,
                $"silu({values[k]}) = {y[k]}, expected {expected}"
            );
        }

        var broken = Ops.Zeros([1L, 2, 2, 2]);
        broken.Span<float>()[0] = float.NaN;
        var result = broken.GroupNormSilu(Ops.Ones([2L]), Ops.Zeros([2L]), 2, 1e-6).ToArray<float>();
        Assert.True(float.IsNaN(result[0]));
        Assert.False(float.IsNaN(result[4]));
    }

    [Fact]
    public void Normalisation_with_silu_does_not_depend_on_threads()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 4);
        var x = Leaf(Ops.Randn([4L, 32, 40, 41], generator));
        var weight = Leaf(Ops.Randn([32L], generator));
        var bias = Leaf(Ops.Randn([32L], generator));
        var threads = TorchRuntime.Threads;
        try
        {
            var runs = new[] { 1, 3 }
                .Select(n =>
                {
                    TorchRuntime.Threads = n;
                    var y = x.GroupNormSilu(weight, bias, 8, 1e-6);
                    return Autograd.Grad([y], [x, weight, bias], [y.Detach()]).Prepend(y).Select(static t => t!.ToArray<float>()).ToArray();
                })
                .ToArray();
            Assert.Equal(runs[0], runs[1]);
        }
        finally
        {
            TorchRuntime.Threads = threads;
        }
    }

    [Fact]
    public void Types_without_a_kernel_use_libtorchs_operators()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 4);
        Tensor[] wide = [.. new long[][] { [2, 8, 6, 6], [8], [8] }.Select(shape => Leaf(Ops.Randn(shape, generator)))];
        Tensor[] narrow = [.. wide.Select(static t => Leaf(t.Detach().To(DType.BFloat16)))];
        var cotangent = Ops.Randn([2L, 8, 6, 6], generator);
        var expected = wide[0].GroupNormSilu(wide[1], wide[2], 4, 1e-6);
        var found = narrow[0].GroupNormSilu(narrow[1], narrow[2], 4, 1e-6);
        Assert.Equal(DType.BFloat16, found.DType);
        Close(expected, found, 0.02);
        var gradients = Autograd.Grad([expected], wide, [cotangent]).Zip(Autograd.Grad([found], narrow, [cotangent.To(DType.BFloat16)]));
        foreach (var (reference, gradient) in gradients)
            Close(reference!, gradient!, 0.03);
    }

    [Fact]
    public void Under_autocast_frozen_layers_return_gradients_in_the_input_type()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 4);
        var weight = Ops.Randn([4L, 4, 3, 3], generator) * 0.2;
        var bias = Ops.Randn([4L], generator);
        var x = Leaf(Ops.Randn([1L, 4, 6, 6], generator));
        Tensor Network() =>
            x.FrozenConv2d(weight, bias, [1, 1], [1, 1]).GroupNormSilu(Ops.Ones([4L]), bias, 2, 1e-6).UpsampleConv2d(weight, bias);
        var expected = Network();
        Tensor found;
        using (Autocast.Enter(Device.Cpu, DType.BFloat16))
            found = Network();
        Assert.Equal(DType.BFloat16, found.DType);
        Close(expected, found.To(DType.Float32), 0.03);
        var cotangent = Ops.Randn(expected.Shape, generator);
        var gradient = Autograd.Grad([found.To(DType.Float32)], [x], [cotangent])[0]!;
        Assert.Equal(DType.Float32, gradient.DType);
        Close(Autograd.Grad([expected], [x], [cotangent])[0]!, gradient, 0.05);
    }

    [Fact]
    public void A_second_derivative_is_rejected()
    {
        using var scope = TensorScope.Enter();
        var x = Leaf(Ops.Ones([1L, 2, 2, 2]));
        var y = x.GroupNormSilu(Ops.Ones([2L]), Ops.Zeros([2L]), 1, 1e-6).Sum();
        Assert.Contains(
            "second derivative",
            Assert.Throws<TorchException>(() => Autograd.Grad([y], [x], createGraph: true)).Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData(3, 1, 1)]
    [InlineData(1, 1, 0)]
    [InlineData(3, 2, 0)]
    [InlineData(3, 1, 0)]
    [InlineData(2, 2, 1)]
    public void A_frozen_convolution_equals_libtorch(int kernel, int stride, int padding)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 8);
        var weight = Ops.Randn([5, 3, kernel, kernel], generator);
        var bias = Ops.Randn([5L], generator);
        var x = Leaf(Ops.Randn([2L, 3, 9, 12], generator));
        var theirs = x.Conv2d(weight, bias, [stride, stride], [padding, padding], [1, 1], 1);
        var ours = x.FrozenConv2d(weight, bias, [stride, stride], [padding, padding]);
        Assert.Equal(theirs.ToArray<float>(), ours.ToArray<float>());
        var cotangent = Ops.Randn(ours.Shape, generator);
        Close(Autograd.Grad([theirs], [x], [cotangent])[0]!, Autograd.Grad([ours], [x], [cotangent])[0]!, 1e-5);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Upsampling_with_a_convolution_equals_libtorch(bool trained)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 8);
        foreach (var (height, width) in new[] { (5, 7), (1, 1), (8, 3) })
        {
            var x = Leaf(Ops.Randn([2, 3, height, width], generator));
            var weight = Ops.Randn([4L, 3, 3, 3], generator);
            var bias = Ops.Randn([4L], generator);
            weight.RequiresGrad = bias.RequiresGrad = trained;
            var theirs = x.UpsampleNearest2d([2 * height, 2 * width]).Conv2d(weight, bias, [1, 1], [1, 1], [1, 1], 1);
            var ours = x.UpsampleConv2d(weight, bias);
            Close(theirs, ours, 1e-5);
            var cotangent = Ops.Randn(ours.Shape, generator);
            Tensor[] wanted = trained ? [x, weight, bias] : [x];
            var expected = Autograd.Grad([theirs], wanted, [cotangent]);
            var found = Autograd.Grad([ours], wanted, [cotangent]);
            for (var k = 0; k < wanted.Length; k++)
                Close(expected[k]!, found[k]!, 3e-5);
            using (Autograd.NoGrad())
                Assert.Equal(ours.ToArray<float>(), x.UpsampleConv2d(weight, bias).ToArray<float>());
        }
    }

    [Fact]
    public void A_frozen_convolution_saves_no_input()
    {
        var kept = new[] { false, true }
            .Select(static trained =>
            {
                using var scope = TensorScope.Enter();
                using var generator = Generator.Create(Device.Cpu, 8);
                var weight = Ops.Randn([4L, 4, 3, 3], generator);
                weight.RequiresGrad = trained;
                var leaf = Leaf(Ops.Ones([1L, 4, 1, 1]));
                using var blocks = BlocksInUse.Watch();
                using var x = leaf.Expand([4, 4, 256, 256]) * 1.0;
                var y = x.FrozenConv2d(weight, null, [1, 1], [1, 1]);
                x.Dispose();
                var used = blocks.Added;
                GC.KeepAlive(y);
                return used >> 20;
            })
            .ToArray();
        // 4 MiB of output, and as much of input.
        Assert.Equal([4L, 8L], kept);
    }

    [Fact]
    public void Normalisation_rejects_weights_of_another_size()
    {
        using var scope = TensorScope.Enter();
        var x = Ops.Ones([2, 6, 3, 3]);
        foreach (var (weight, bias) in new[] { (5L, 6L), (6L, 5L), (1L, 6L), (7L, 7L) })
        {
            foreach (var trained in new[] { false, true })
            {
                var w = Ops.Ones([weight]);
                w.RequiresGrad = trained;
                var error = Assert.Throws<TorchException>(() => x.GroupNormSilu(w, Ops.Zeros([bias]), 3, 1e-6));
                Assert.Contains("weight and bias must be [6]", error.Message, StringComparison.Ordinal);
            }
        }
    }

    private static Tensor Leaf(Tensor tensor)
    {
        tensor.RequiresGrad = true;
        return tensor;
    }

    private static void FiniteDifferences(Tensor[] inputs, Func<Tensor[], Tensor> f)
    {
        const double Step = 1e-6;
        foreach (var input in inputs)
            input.RequiresGrad = true;
        var gradients = Autograd.Grad([f(inputs)], inputs);
        using var quiet = Autograd.NoGrad();
        for (var t = 0; t < inputs.Length; t++)
        {
            var found = gradients[t]!.ToArray<double>();
            for (var k = 0; k < found.Length; k++)
            {
                var original = inputs[t].Detach().Span<double>()[k];
                double At(double value)
                {
                    inputs[t].Detach().Span<double>()[k] = value;
                    return f(inputs).Item();
                }

                var slope = (At(original + Step) - At(original - Step)) / (2 * Step);
                At(original);
                Assert.True(
                    Math.Abs(slope - found[k]) <= 1e-7 * (1 + Math.Abs(slope)),
                    $"input {t}, element {k}: {found[k]:R}, finite difference {slope:R}"
                );
            }
        }
    }

    /// <summary>Largest difference relative to the largest magnitude, or absolute if all are small.</summary>
    private static void Close(Tensor expected, Tensor actual, double tolerance)
    {
        Assert.Equal(expected.Shape, actual.Shape);
        var e = expected.ToArray<double>();
        var a = actual.ToArray<double>();
        var scale = Math.Max(1, e.Max(Math.Abs));
        for (var k = 0; k < e.Length; k++)
            Assert.True(Math.Abs(e[k] - a[k]) <= tolerance * scale, $"element {k}: {a[k]:R}, expected {e[k]:R} (largest {scale:R})");
    }
}
