using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Evaluation.Pixels;

/// <summary>
/// Structural similarity index (Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
/// Similarity", 2004, eq. 13), averaged over a picture: of the luminance (ITU-R BT.601, not rounded), with a Gaussian window of 11 x
/// 11 pixels and standard deviation 1.5, at positions inside the picture, with K₁ = 0.01, K₂ = 0.03 and L = 1 for values in [0, 1]. No
/// downsampling.
/// </summary>
public static class StructuralSimilarity
{
    /// <summary>Side of the window.</summary>
    public const int Window = 11;

    private const double Deviation = 1.5;
    private const double C1 = 0.01 * 0.01;
    private const double C2 = 0.03 * 0.03;

    /// <summary>Index of each picture, 1 for equal pictures.</summary>
    /// <param name="images">[batch, 3, height, width] in [0, 1]; sides of at least 11.</param>
    /// <param name="reference">The same shape.</param>
    /// <returns>[batch].</returns>
    /// <exception cref="UsageException">The pictures are smaller than the window.</exception>
    public static double[] Of(Tensor images, Tensor reference)
    {
        ArgumentNullException.ThrowIfNull(images);
        ArgumentNullException.ThrowIfNull(reference);
        PixelScores.RequireEqualShapes(images, reference);
        if (images.Shape is not [_, 3, >= Window, >= Window])
            throw new UsageException(
                $"ssim has a window of {Window} x {Window} pixels, larger than the pictures. Resize them with --size " + $"or omit ssim."
            );
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var x = Luminance.Of(images.To(DType.Float64)).Unsqueeze(1);
        var y = Luminance.Of(reference.To(DType.Float64)).Unsqueeze(1);
        var taps = Taps().To(images.Device);
        Tensor Smooth(Tensor z) => z.Conv2d(taps.Reshape([1, 1, Window, 1])).Conv2d(taps.Reshape([1, 1, 1, Window]));
        var (meanX, meanY) = (Smooth(x), Smooth(y));
        var (varianceX, varianceY) = (Smooth(x.Square()) - meanX.Square(), Smooth(y.Square()) - meanY.Square());
        var covariance = Smooth(x * y) - (meanX * meanY);
        var map =
            ((2 * meanX * meanY) + C1) * ((2 * covariance) + C2) / ((meanX.Square() + meanY.Square() + C1) * (varianceX + varianceY + C2));
        return map.Mean([1L, 2, 3]).ToArray<double>();
    }

    private static Tensor Taps()
    {
        var taps = new double[Window];
        for (var k = 0; k < Window; k++)
            taps[k] = Math.Exp(-Math.Pow((k - (Window / 2)) / Deviation, 2) / 2);
        var sum = taps.Sum();
        return Tensor.From([.. taps.Select(t => t / sum)], Window);
    }
}
