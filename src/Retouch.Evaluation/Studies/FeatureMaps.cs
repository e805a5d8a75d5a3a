using Retouch.Autoencoders;
using Retouch.Images;
using Retouch.Objectives.LatentPerceptual;
using Retouch.Torch;

namespace Retouch.Evaluation.Studies;

/// <summary>Channel of a tap, rendered as a picture.</summary>
/// <param name="Tap">Index of the tap.</param>
/// <param name="Channel">Index of the channel.</param>
/// <param name="Outliers">Share of outliers among its pixels; 0 for a constant map.</param>
/// <param name="Map">Grey levels between the quantiles 1 % and 99 %; outliers red.</param>
public sealed record FeatureMapPicture(int Tap, int Channel, double Outliers, Picture Map);

/// <summary>Renders decoder features with marked outliers ([LPL], appendix on outliers).</summary>
public static class FeatureMaps
{
    private const double Tail = 0.01;
    private static readonly Rgb Mark = new(230, 30, 30);

    /// <summary>Renders, for one picture, the channels of each tap with the most outliers.</summary>
    /// <param name="image">[1, 3, height, width] in [−1, 1].</param>
    /// <param name="autoencoder">Autoencoder on <paramref name="device"/>.</param>
    /// <param name="taps">Indices of the taps, ascending.</param>
    /// <param name="channels">Number of channels per tap.</param>
    /// <param name="device">Device of the computation.</param>
    public static IReadOnlyList<FeatureMapPicture> Draw(
        Tensor image,
        IAutoencoder autoencoder,
        IReadOnlyList<int> taps,
        int channels,
        Device device
    )
    {
        ArgumentNullException.ThrowIfNull(image);
        ArgumentNullException.ThrowIfNull(autoencoder);
        ArgumentNullException.ThrowIfNull(taps);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var decoded = autoencoder.DecodeWithTaps(autoencoder.Encode(image.To(device), generator: null), new TapRequest(taps));
        List<FeatureMapPicture> pictures = [];
        foreach (var (tap, features) in taps.Zip(decoded.Features))
        {
            var maps = features.To(DType.Float32);
            var kept = OutlierMask.Compute(maps, TapStudy.Mask);
            var (height, width) = ((int)maps.Shape[2], (int)maps.Shape[3]);
            var (values, masks) = (maps.To(Device.Cpu).Contiguous().ToArray<float>(), kept.To(Device.Cpu).Contiguous().ToArray<float>());
            var size = height * width;
            for (var c = 0; c < maps.Shape[1]; c++)
            {
                // The loss's mask excludes all pixels of a constant map; none of them is an outlier.
                if (values.AsSpan(c * size, size).IndexOfAnyExcept(values[c * size]) < 0)
                    masks.AsSpan(c * size, size).Fill(1);
            }

            double Outliers(int c) => 1 - masks.AsSpan(c * size, size).ToArray().Average();
            foreach (var channel in Enumerable.Range(0, (int)maps.Shape[1]).OrderByDescending(Outliers).Take(channels))
            {
                var at = channel * size;
                pictures.Add(
                    new FeatureMapPicture(
                        tap,
                        channel,
                        Outliers(channel),
                        Draw(values.AsSpan(at, size), masks.AsSpan(at, size), width, height, (int)image.Shape[3], (int)image.Shape[2])
                    )
                );
            }
        }

        return pictures;
    }

    /// <summary>Renders one map, each pixel as a block.</summary>
    internal static Picture Draw(
        ReadOnlySpan<float> values,
        ReadOnlySpan<float> kept,
        int width,
        int height,
        int shownWidth,
        int shownHeight
    )
    {
        var sorted = values.ToArray();
        Array.Sort(sorted);
        double low = sorted[(int)(Tail * (sorted.Length - 1))],
            high = sorted[(int)((1 - Tail) * (sorted.Length - 1))];
        var picture = new Picture(shownWidth, shownHeight);
        for (var y = 0; y < shownHeight; y++)
        {
            var row = picture.Row(y);
            for (var x = 0; x < shownWidth; x++)
            {
                var at = (y * height / shownHeight * width) + (x * width / shownWidth);
                var grey = (byte)Math.Round(255 * Math.Clamp(high > low ? (values[at] - low) / (high - low) : 0.5, 0, 1));
                var color = kept[at] > 0 ? new Rgb(grey, grey, grey) : Mark;
                (row[3 * x], row[(3 * x) + 1], row[(3 * x) + 2]) = (color.R, color.G, color.B);
            }
        }

        return picture;
    }
}
