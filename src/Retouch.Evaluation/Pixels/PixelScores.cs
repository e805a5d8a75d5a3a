using Retouch.Torch;

namespace Retouch.Evaluation.Pixels;

/// <summary>Pixel metrics of single pictures.</summary>
public static class PixelScores
{
    private const double Peak = 255;

    /// <summary>
    /// Sharpness: variance over the picture of the luminance's Laplacian (four neighbours less four times the centre, border excluded),
    /// in squared levels of 0 to 255 (Pech-Pacheco et al. 2000).
    /// </summary>
    /// <param name="images">[batch, 3, height, width] in [0, 1]; sides of at least 3.</param>
    /// <returns>[batch].</returns>
    public static double[] Sharpness(Tensor images)
    {
        ArgumentNullException.ThrowIfNull(images);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var y = Luminance.Of(images.To(DType.Float64)) * Peak;
        var (height, width) = (y.Shape[1], y.Shape[2]);
        Tensor Shifted(long down, long across) => y.Narrow(1, 1 + down, height - 2).Narrow(2, 1 + across, width - 2);
        var laplacian = Shifted(-1, 0) + Shifted(1, 0) + Shifted(0, -1) + Shifted(0, 1) - (4 * Shifted(0, 0));
        return laplacian.Var([1L, 2], correction: 0).ToArray<double>();
    }

    /// <summary>
    /// Colour saturation: mean over the pixels of the largest less the smallest of the three channels (chroma in the HSV and HSL models),
    /// in [0, 1].
    /// </summary>
    /// <param name="images">[batch, 3, height, width] in [0, 1].</param>
    /// <returns>[batch].</returns>
    public static double[] Saturation(Tensor images)
    {
        ArgumentNullException.ThrowIfNull(images);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var x = images.To(DType.Float64);
        return (x.Amax([1L]) - x.Amin([1L])).Mean([1L, 2]).ToArray<double>();
    }

    /// <summary>Mean squared error over pixels and channels, in squared levels of 0 to 255.</summary>
    /// <param name="images">[batch, 3, height, width] in [0, 1].</param>
    /// <param name="reference">The same shape.</param>
    /// <returns>[batch].</returns>
    public static double[] SquaredError(Tensor images, Tensor reference)
    {
        ArgumentNullException.ThrowIfNull(images);
        ArgumentNullException.ThrowIfNull(reference);
        RequireEqualShapes(images, reference);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        return ((images.To(DType.Float64) - reference.To(DType.Float64)) * Peak).Square().Mean([1L, 2, 3]).ToArray<double>();
    }

    /// <summary>Checks that pictures and references have equal shapes.</summary>
    /// <exception cref="ArgumentException">The shapes differ.</exception>
    internal static void RequireEqualShapes(Tensor images, Tensor reference)
    {
        if (!images.Shape.SequenceEqual(reference.Shape))
            throw new ArgumentException(
                $"Pictures of shape [{string.Join(", ", images.Shape)}] and [{string.Join(", ", reference.Shape)}] have different shapes.",
                nameof(reference)
            );
    }

    /// <summary>
    /// Upper bound of <see cref="Psnr"/> in dB. Equal pictures have an infinite ratio, which would make the mean infinite.
    /// </summary>
    public const double MostPsnr = 100;

    /// <summary>Peak signal-to-noise ratio in dB, 20·log₁₀ 255 − 10·log₁₀ error, at most <see cref="MostPsnr"/>.</summary>
    /// <param name="squaredError">Output of <see cref="SquaredError"/>.</param>
    public static double Psnr(double squaredError) => Math.Min(10 * Math.Log10(Peak * Peak / squaredError), MostPsnr);
}
