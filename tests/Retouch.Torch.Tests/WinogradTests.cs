namespace Retouch.Torch.Tests;

/// <summary>3×3 convolutions with frozen weights, large enough for Winograd's kernel, against libtorch's in float64.</summary>
public sealed class WinogradTests
{
    /// <summary>Pictures, input and output channels, height, width: whole and partial tiles, panels of channels and of tiles.</summary>
    public static TheoryData<long, long, long, long, long> Shapes =>
        new()
        {
            { 1, 16, 16, 16, 16 },
            { 3, 16, 19, 17, 14 },
            { 2, 33, 20, 13, 70 },
            { 1, 64, 48, 67, 5 },
            { 2, 160, 31, 21, 34 },
        };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Convolution_and_gradient_equal_libtorch(long pictures, long inputs, long outputs, long height, long width)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 8);
        var (weight, bias, x, exact) = Inputs(generator, [pictures, inputs, height, width], outputs);
        foreach (var offset in new[] { bias, null })
        {
            var ours = x.FrozenConv2d(weight, offset, [1, 1], [1, 1]);
            var theirs = exact.Conv2d(weight.To(DType.Float64), offset?.To(DType.Float64), [1, 1], [1, 1], [1, 1], 1);
            Compare(theirs, ours, exact, x, generator);
            using (Autograd.NoGrad())
                Assert.Equal(ours.ToArray<float>(), x.FrozenConv2d(weight, offset, [1, 1], [1, 1]).ToArray<float>());
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Upsampling_and_gradient_equal_libtorch(long pictures, long inputs, long outputs, long height, long width)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 8);
        var (weight, bias, x, exact) = Inputs(generator, [pictures, inputs, height, width], outputs);
        var ours = x.UpsampleConv2d(weight, bias);
        var large = exact.UpsampleNearest2d([2 * height, 2 * width]);
        Compare(large.Conv2d(weight.To(DType.Float64), bias.To(DType.Float64), [1, 1], [1, 1], [1, 1], 1), ours, exact, x, generator);
    }

    [Fact]
    public void A_picture_does_not_depend_on_its_batch_or_on_threads()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 3);
        var weight = Ops.Randn([24L, 32, 3, 3], generator);
        var x = Leaf(Ops.Randn([5L, 32, 19, 22], generator));
        var threads = TorchRuntime.Threads;
        try
        {
            var whole = Values(x);
            for (var k = 0; k < 5; k++)
            {
                TorchRuntime.Threads = 1 + (k % 3);
                var (y, gradient) = Values(Leaf(x.Detach().Narrow(0, k, 1).Clone()));
                Assert.Equal(Part(whole.Y, k, 5), y);
                Assert.Equal(Part(whole.Gradient, k, 5), gradient);
            }
        }
        finally
        {
            TorchRuntime.Threads = threads;
        }

        (float[] Y, float[] Gradient) Values(Tensor input)
        {
            var y = input.FrozenConv2d(weight, null, [1, 1], [1, 1]);
            return (y.ToArray<float>(), Autograd.Grad([y], [input], [y.Detach()])[0]!.ToArray<float>());
        }
    }

    [Fact]
    public void A_second_derivative_equals_libtorch()
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 5);
        var weight = Ops.Randn([16L, 16, 3, 3], generator) * 0.1;
        var x = Leaf(Ops.Randn([1L, 16, 16, 16], generator));
        Tensor Second(Func<Tensor, Tensor> network)
        {
            var first = Autograd.Grad([(network(x) * network(x)).Sum()], [x], retainGraph: true, createGraph: true)[0]!;
            return Autograd.Grad([(first * first).Sum()], [x])[0]!;
        }

        var theirs = Second(t => t.Conv2d(weight, null, [1, 1], [1, 1], [1, 1], 1));
        Close(theirs, Second(t => t.FrozenConv2d(weight, null, [1, 1], [1, 1])), 2e-5);
    }

    [Fact]
    public void Kernels_use_all_threads()
    {
        using var scope = TensorScope.Enter();
        var threads = TorchRuntime.Threads;
        try
        {
            TorchRuntime.Threads = 3;
            Assert.Equal(3, Ops.KernelThreads());
        }
        finally
        {
            TorchRuntime.Threads = threads;
        }
    }

    /// <summary>Weight, bias, and the same input in float32 and float64.</summary>
    private static (Tensor Weight, Tensor Bias, Tensor X, Tensor Exact) Inputs(Generator generator, long[] shape, long outputs)
    {
        var weight = Ops.Randn([outputs, shape[1], 3, 3], generator) * (1 / Math.Sqrt(9 * shape[1]));
        var bias = Ops.Randn([outputs], generator);
        var x = Leaf(Ops.Randn(shape, generator));
        return (weight, bias, x, Leaf(x.Detach().To(DType.Float64).Clone()));
    }

    private static void Compare(Tensor theirs, Tensor ours, Tensor exact, Tensor x, Generator generator)
    {
        Close(theirs, ours, 2e-5);
        var cotangent = Ops.Randn(ours.Shape, generator);
        var expected = Autograd.Grad([theirs], [exact], [cotangent.To(DType.Float64)])[0]!;
        Close(expected, Autograd.Grad([ours], [x], [cotangent])[0]!, 2e-5);
    }

    private static float[] Part(float[] all, int part, int parts) => all[(part * all.Length / parts)..((part + 1) * all.Length / parts)];

    private static Tensor Leaf(Tensor tensor)
    {
        tensor.RequiresGrad = true;
        return tensor;
    }

    /// <summary>Largest difference relative to the largest magnitude.</summary>
    private static void Close(Tensor expected, Tensor actual, double tolerance)
    {
        Assert.Equal(expected.Shape, actual.Shape);
        var difference = (expected - actual.To(expected.DType)).Abs().Max().Item();
        var scale = expected.Abs().Max().Item();
        Assert.True(difference <= tolerance * scale, $"differs by {difference:R}, largest value {scale:R}");
    }
}
