using Retouch.Torch;

namespace Retouch.Evaluation.Patches;

/// <summary>
/// Laplacian pyramid (Burt and Adelson 1983) with the 5 x 5 binomial filter and reflected borders: each level is the residual of its
/// half-sized, upsampled version, the last the remaining low-pass. The upsampled levels sum to the picture.
/// </summary>
internal static class LaplacianPyramid
{
    private static readonly double[] Taps = [1 / 16.0, 4 / 16.0, 6 / 16.0, 4 / 16.0, 1 / 16.0];

    /// <summary>Number of levels: a picture is halved while both sides are even and the result has at least <paramref name="smallest"/>
    /// pixels per side.</summary>
    public static int Levels(int width, int height, int smallest)
    {
        var levels = 1;
        while (width % 2 == 0 && height % 2 == 0 && Math.Min(width, height) / 2 >= smallest)
            (width, height, levels) = (width / 2, height / 2, levels + 1);
        return levels;
    }

    /// <summary>[batch, channels, h, w] to its levels, the finest first; owned by the caller's scope.</summary>
    public static Tensor[] Of(Tensor images, int levels)
    {
        using var scope = TensorScope.Enter();
        var result = new Tensor[levels];
        var current = images;
        for (var k = 0; k < levels - 1; k++)
        {
            var half = Smooth(current).Slice(2, 0, null, 2).Slice(3, 0, null, 2);
            result[k] = scope.Keep(current - Up(half));
            current = half;
        }

        result[^1] = scope.Keep(current.Clone());
        return result;
    }

    /// <summary>Upsampling: zeros between the pixels, filtered with four times the filter's weight.</summary>
    internal static Tensor Up(Tensor half)
    {
        using var scope = TensorScope.Enter();
        var shape = half.Shape;
        var spread = Ops.Zeros([shape[0], shape[1], shape[2] * 2, shape[3] * 2], dtype: half.DType, device: half.Device);
        spread.Slice(2, 0, null, 2).Slice(3, 0, null, 2).CopyInPlace(half);
        return scope.Keep(Smooth(spread) * 4);
    }

    private static Tensor Smooth(Tensor x)
    {
        using var scope = TensorScope.Enter();
        var (channels, taps) = (x.Shape[1], Tensor.From(Taps).To(x.DType).To(x.Device));
        var padded = x.Pad([2, 2, 2, 2], "reflect");
        var down = padded.Conv2d(taps.Reshape([1, 1, 5, 1]).Repeat([channels, 1, 1, 1]), groups: channels);
        return scope.Keep(down.Conv2d(taps.Reshape([1, 1, 1, 5]).Repeat([channels, 1, 1, 1]), groups: channels));
    }
}
