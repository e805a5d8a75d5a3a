using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Objectives.Autoencoder;

/// <summary>
/// Mean absolute difference in each band of a Laplacian pyramid (Burt and Adelson 1983), averaged over the bands. Summed over pixels that
/// is the factor 2^(2·level) of Bojanowski et al. 2018 (arXiv 1707.05776): errors of fine texture and of broad shading count alike, where a
/// plain pixel error sees mostly the latter.
/// </summary>
public static class LaplacianPyramid
{
    private const int Smallest = 8;

    /// <summary>Four levels, or as many as leave the smallest at least eight pixels wide.</summary>
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

    /// <summary>
    /// The distance between two images, given their difference: the pyramid is linear, so the difference's bands are the bands'
    /// differences.
    /// </summary>
    /// <param name="difference">[batch, channels, height, width].</param>
    /// <param name="levels">Bands; the last is the low-pass rest.</param>
    /// <returns>A scalar.</returns>
    /// <exception cref="InputException">The images are too small for so many levels.</exception>
    public static Tensor Distance(Tensor difference, int levels)
    {
        ArgumentNullException.ThrowIfNull(difference);
        if (Math.Min(difference.Shape[2], difference.Shape[3]) >> (levels - 1) < 1)
            throw new InputException(
                $"Pictures of {difference.Shape[3]}×{difference.Shape[2]} pixels cannot be halved {levels - 1} times. Ask for "
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
    /// Binomial blur (1 3 3 1)/8 in both directions, then every other pixel. An even kernel puts the result between two pixels, where
    /// bilinear enlargement expects it: a constant or a slope leaves nothing in the bands. Borders repeat the last pixel.
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
