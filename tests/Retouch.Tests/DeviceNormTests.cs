using Retouch.Tests.Evaluation;
using Retouch.Torch;
using Retouch.Torch.Devices;

namespace Retouch.Tests;

/// <summary>
/// Group normalisation with SiLU by the kernels for GPUs equals libtorch's operators in float64: emulated on the CPU, and on a GPU if there
/// is one.
/// </summary>
[Collection(PretendedDevice.Collection)]
public sealed class DeviceNormTests
{
    public static TheoryData<DType, long[], long> Cases()
    {
        var cases = new TheoryData<DType, long[], long>();
        foreach (var dtype in new[] { DType.Float32, DType.Float64, DType.BFloat16, DType.Float16 })
        {
            cases.Add(dtype, [2, 6, 5, 7], 3);
            cases.Add(dtype, [3, 4, 1, 1], 4);
            cases.Add(dtype, [1, 1, 3, 3], 1);
            cases.Add(dtype, [1, 8, 33, 65], 2);
            // Several parts for each group and each channel, the last incomplete.
            cases.Add(dtype, [2, 4, 150, 120], 2);
            cases.Add(dtype, [2, 12, 11], 4);
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Emulated_kernels_equal_libtorchs_operators(DType dtype, long[] shape, long groups)
    {
        using var watch = PretendedDevice.Watch(nameof(DeviceNormTests));
        foreach (var (threads, descending) in new[] { (16, false), (64, true), (1, false) })
        {
            using var block = PretendedDevice.Threads(threads, descending);
            var launched = PretendedDevice.Launches;
            Check(PretendedDevice.Device, dtype, shape, groups);
            Assert.Equal(6, PretendedDevice.Launches - launched);
        }
    }

    [CudaTheory]
    [MemberData(nameof(Cases))]
    public void Kernels_on_a_GPU_equal_libtorchs_operators(DType dtype, long[] shape, long groups) =>
        Check(Device.Cuda(), dtype, shape, groups);

    [Fact]
    public void Silu_handles_extreme_values_and_propagates_NaN()
    {
        using var scope = TensorScope.Enter();
        using var watch = PretendedDevice.Watch(nameof(DeviceNormTests));
        var device = PretendedDevice.Device;
        var values = new[] { -1e30f, -200f, -88f, -20f, -1e-20f, 0f, 20f, 200f, 1e30f };
        // One pixel per channel and group: the normalised value is zero, the input of SiLU is the bias.
        var y = Ops.Zeros([1, values.Length, 1, 1])
            .To(device)
            .GroupNormSilu(Ops.Ones([values.Length]).To(device), Tensor.From(values).To(device), values.Length, 1e-6)
            .To(Device.Cpu)
            .ToArray<float>();
        for (var k = 0; k < values.Length; k++)
        {
            var expected = values[k] / (1 + Math.Exp(-(double)values[k]));
            TestTensors.Close(expected, y[k], (1e-6 * Math.Abs(expected)) + 1e-7, $"silu({values[k]})");
        }

        var broken = Ops.Zeros([1L, 2, 2, 2]);
        broken.Span<float>()[0] = float.NaN;
        var result = broken
            .To(device)
            .GroupNormSilu(Ops.Ones([2L]).To(device), Ops.Zeros([2L]).To(device), 2, 1e-6)
            .To(Device.Cpu)
            .ToArray<float>();
        Assert.True(float.IsNaN(result[0]));
        Assert.False(float.IsNaN(result[4]));
    }

    [NvrtcTheory]
    [InlineData("sm_75")]
    [InlineData("sm_80")]
    [InlineData("sm_86")]
    [InlineData("sm_89")]
    [InlineData("sm_90")]
    public void Kernels_compile(string architecture)
    {
        using var cache = new TemporaryFolder();
        var report = DeviceKernels.Compile(architecture, cache.Path);
        var sizes = report
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(static line => long.Parse(line.Split(' ')[2]))
            .ToList();
        var files = Directory.GetFiles(cache.Path);
        Assert.Equal(sizes.Order(), files.Select(static file => new FileInfo(file).Length).Order());
        Assert.Equal(8, files.Length);
        Assert.All(sizes, static size => Assert.True(size > 1000));
        // The second time the code is that of the files.
        Array.ForEach(files, static file => File.WriteAllText(file, "compiled"));
        Assert.All(DeviceKernels.Compile(architecture, cache.Path).Trim().Split('\n'), static line => Assert.EndsWith(" 8", line));
    }

    private static void Check(Device device, DType dtype, long[] shape, long groups)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, 4);
        // A single value per group is divided by √ε: its gradient is a difference of terms a thousand times as large, with their rounding.
        var terms = shape[1] == groups && shape.Length == 4 && shape[2] * shape[3] == 1 ? 1000 : 1;
        var tolerance = dtype == DType.Float64 ? 1e-12 * terms : Math.Max(2e-5, 1e-7 * terms);
        var storage = dtype switch
        {
            DType.BFloat16 => 1.0 / 256,
            DType.Float16 => 1.0 / 2048,
            _ => 0,
        };
        // A large mean: sums of squares without centring would lose all digits.
        var x = ((Ops.Randn(shape, generator) * 2) + 50).To(dtype);
        var weight = Ops.Randn([shape[1]], generator).To(dtype);
        var bias = Ops.Randn([shape[1]], generator).To(dtype);
        var cotangent = Ops.Randn(shape, generator).To(dtype);
        Tensor[] leaves = [.. new[] { x, weight, bias }.Select(t => Leaf(t.To(device)))];
        Tensor[] exact = [.. new[] { x, weight, bias }.Select(static t => Leaf(t.To(DType.Float64).Clone()))];
        var found = leaves[0].GroupNormSilu(leaves[1], leaves[2], groups, 1e-6);
        var expected = exact[0].GroupNorm(groups, exact[1], exact[2], 1e-6).Silu();
        var gradients = Autograd.Grad([found], leaves, [cotangent.To(device)]);
        var expectedGradients = Autograd.Grad([expected], exact, [cotangent.To(DType.Float64)]);
        Close(expected, found.Detach().To(Device.Cpu), tolerance, storage);
        for (var k = 0; k < leaves.Length; k++)
            Close(expectedGradients[k]!, gradients[k]!.To(Device.Cpu), tolerance, storage);
    }

    private static Tensor Leaf(Tensor tensor)
    {
        tensor.RequiresGrad = true;
        return tensor;
    }

    /// <summary>Error relative to the largest magnitude, or absolute if all are small, and the rounding of the type.</summary>
    private static void Close(Tensor expected, Tensor actual, double tolerance, double storage)
    {
        Assert.Equal(expected.Shape, actual.Shape);
        var (e, a) = (expected.ToArray<double>(), actual.ToArray<double>());
        var scale = tolerance * Math.Max(1, e.Max(Math.Abs));
        for (var k = 0; k < e.Length; k++)
            TestTensors.Close(e[k], a[k], scale + (storage * Math.Abs(e[k])), $"element {k}");
    }
}
