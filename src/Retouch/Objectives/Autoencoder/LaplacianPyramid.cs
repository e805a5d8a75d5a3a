using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Objectives.Autoencoder;

/// <summary>
/// Mean absolute difference in each band of a Laplacian pyramid (Burt and Adelson 1983), averaged over the bands. In terms of sums over
/// pixels this is the factor 2^(2·level) of Bojanowski et al. 2018 (arXiv 1707.05776): errors in fine texture and in large-scale shading
/// have equal weight, where a per-pixel error is dominated by the latter.
/// </summary>
public static class LaplacianPyramid
{
    private const int Smallest = 8;

    /// <summary>Default number of levels: 4, or fewer so that the smallest level is at least 8 pixels wide.</summary>
    public static int DefaultLevels(Tensor images)
    {
        ArgumentNullException.ThrowIfNull(images);
        var side = Math.Min(images.Shape[2], images.Shape[3]);
        var levels = 1;
        while (levels < 4 && side / 2 >= Smallest && side % 2 == 0)
        {
            side /= 2;
            levels++;
        }

        return levels;
    }

    /// <summary>Distance between two images, given their difference: the pyramid is linear.</summary>
    /// <param name="difference">[batch, channels, height, width].</param>
    /// <param name="levels">Number of bands; the last is the low-pass residual.</param>
    /// <returns>A scalar.</returns>
    /// <exception cref="InputException">The images are too small for the number of levels.</exception>
    public static Tensor Distance(Tensor difference, int levels)
    {
        ArgumentNullException.ThrowIfNull(difference);
        if (Math.Min(difference.Shape[2], difference.Shape[3]) >> (levels - 1) < 1)
            throw new InputException(
                $"Images of {difference.Shape[3]}×{difference.Shape[2]} pixels cannot be halved {levels - 1} times. Request "
                    + $"fewer pyramid levels."
            );
        var current = difference;
        Tensor? total = null;
        for (var level = 0; level < levels; level++)
        {
            var last = level == levels - 1;
            var low = last ? current : Reduce(current);
            var band = last ? current : current - Expand(low, current);
            var term = band.Abs().Mean();
            total = total is null ? term : total + term;
            current = low;
        }

        return total! / levels;
    }

    /// <summary>
    /// Binomial blur (1 3 3 1)/8 in both directions, then subsampling by 2. The even kernel centres the result between two pixels, as
    /// bilinear upsampling expects: constants and linear ramps leave nothing in the bands. Borders are replicated.
    /// </summary>
    private static Tensor Reduce(Tensor x)
    {
        var channels = x.Shape[1];
        var row = Tensor.From([1f / 8, 3f / 8, 3f / 8, 1f / 8], 1, 1, 1, 4).To(x.Device).To(x.DType).Expand([channels, 1L, 1, 4]);
        var across = x.Pad([1, 1, 1, 1], "replicate").Conv2d(row, null, [1L, 2], [0L, 0], [1L, 1], channels);
        return across.Conv2d(row.Transpose(2, 3), null, [2L, 1], [0L, 0], [1L, 1], channels);
    }

    private static Tensor Expand(Tensor low, Tensor like) => low.UpsampleBilinear2d([like.Shape[2], like.Shape[3]], false);
}
