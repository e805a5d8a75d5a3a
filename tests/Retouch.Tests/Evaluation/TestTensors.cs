using Retouch.Evaluation.Pictures;
using Retouch.Torch;

namespace Retouch.Tests.Evaluation;

internal static class TestTensors
{
    /// <summary>Random pictures in [0, 1] with structure at several scales, [count, 3, size, size].</summary>
    public static Tensor Pictures(int count, int size, ulong seed)
    {
        using var scope = TensorScope.Enter();
        using var generator = Generator.Create(Device.Cpu, seed);
        var sum = Ops.Full([count, 3, size, size], 0.5, dtype: DType.Float64);
        for (var cells = 2; cells <= size; cells *= 2)
            sum += Ops.Randn([count, 3, cells, cells], generator).To(DType.Float64).UpsampleBilinear2d([size, size], false) * (0.3 / cells);
        return scope.Keep(sum.Clamp(0, 1));
    }

    /// <summary>Set of pictures in [0, 1].</summary>
    public static ImageSet Set(string name, Tensor pictures) => ImageSet.From(name, (pictures * 2) - 1);

    /// <summary>Pictures blurred by a box filter of the given side, with replicated borders.</summary>
    public static Tensor Blurred(Tensor pictures, int side) =>
        side == 1 ? pictures : pictures.Pad([side / 2, side / 2, side / 2, side / 2], "replicate").AvgPool2d([side, side], [1, 1]);

    public static void Close(double expected, double actual, double tolerance, string what = "") =>
        Assert.True(Math.Abs(expected - actual) <= tolerance, $"{what} expected {expected:R}, got {actual:R}, tolerance {tolerance:R}");

    public static double Furthest(Tensor a, Tensor b) => (a - b).Abs().Max().Item();
}
