using Retouch.Core.Io;
using Retouch.Evaluation.Features;
using Retouch.Images;

namespace Retouch.Evaluation.Frequency;

/// <summary>
/// Two-dimensional map of the log₁₀ ratio of mean power spectra, with frequency 0 in the centre.
/// </summary>
public static class SpectrumMap
{
    /// <summary>Colour range of a ratio to the reference: a factor of ten.</summary>
    public const double Range = 1;

    /// <summary>Colour range of a ratio of two sets: a factor of two.</summary>
    public static readonly double DifferenceRange = Math.Log10(2);

    /// <summary>log₁₀(power / reference) at every frequency; powers are bounded below by that of rounding to 8 bits.</summary>
    /// <param name="power">[height, width], from <see cref="SpectrumStatistics.MeanMap"/>.</param>
    /// <param name="reference">The same shape.</param>
    public static double[,] LogRatio(double[,] power, double[,] reference)
    {
        ArgumentNullException.ThrowIfNull(power);
        ArgumentNullException.ThrowIfNull(reference);
        var (height, width) = (power.GetLength(0), power.GetLength(1));
        if ((height, width) != (reference.GetLength(0), reference.GetLength(1)))
            throw new ArgumentException("The spectra have different sizes.", nameof(reference));
        var ratio = new double[height, width];
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
                ratio[y, x] = Math.Log10(Math.Max(power[y, x], SpectrumError.Floor) / Math.Max(reference[y, x], SpectrumError.Floor));
        }

        return ratio;
    }

    /// <summary>
    /// Log ratio of the spectra of two sets, from their maps relative to the same reference.
    /// </summary>
    /// <param name="map">Map of one set, from <see cref="LogRatio"/>.</param>
    /// <param name="less">Map of the other set, of the same shape.</param>
    public static double[,] Difference(double[,] map, double[,] less)
    {
        ArgumentNullException.ThrowIfNull(map);
        ArgumentNullException.ThrowIfNull(less);
        var (height, width) = (map.GetLength(0), map.GetLength(1));
        if ((height, width) != (less.GetLength(0), less.GetLength(1)))
            throw new ArgumentException("The maps have different sizes.", nameof(less));
        var difference = new double[height, width];
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
                difference[y, x] = map[y, x] - less[y, x];
        }

        return difference;
    }

    /// <summary>
    /// Renders a map: white at 0, red above, blue below, saturated at ±<paramref name="range"/>.
    /// </summary>
    /// <param name="map">The map.</param>
    /// <param name="range">Log ratio of full saturation, above 0.</param>
    public static Picture Draw(double[,] map, double range = Range)
    {
        ArgumentNullException.ThrowIfNull(map);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(range);
        var picture = Picture.Filled(map.GetLength(1), map.GetLength(0), Rgb.White);
        for (var y = 0; y < picture.Height; y++)
        {
            for (var x = 0; x < picture.Width; x++)
            {
                var share = Math.Clamp(map[y, x] / range, -1, 1);
                var rest = (byte)Math.Round(255 * (1 - Math.Abs(share)));
                picture[x, y] = share >= 0 ? new Rgb(255, rest, rest) : new Rgb(rest, rest, 255);
            }
        }

        return picture;
    }

    /// <summary>Writes a map as <c>.npy</c> (float64 [height, width]) and as <c>.png</c> under the same name.</summary>
    /// <param name="map">Map from <see cref="LogRatio"/> or <see cref="Difference"/>.</param>
    /// <param name="path">Path without extension.</param>
    /// <param name="range">As for <see cref="Draw"/>.</param>
    public static void Save(double[,] map, string path, double range = Range)
    {
        ArgumentNullException.ThrowIfNull(map);
        AtomicFile.Write(path + ".npy", stream => NpyArray.Write(stream, [.. map.Cast<double>()], map.GetLength(0), map.GetLength(1)));
        var png = PictureFile.Encode(Draw(map, range), PictureFormat.Png);
        AtomicFile.Write(path + ".png", stream => stream.Write(png));
    }
}
