using Retouch.Core.Io;
using Retouch.Evaluation.Features;
using Retouch.Images;

namespace Retouch.Evaluation.Frequency;

/// <summary>
/// Two-dimensional map of the log₁₀ ratio of mean power spectra, frequency 0 in the middle.
/// </summary>
public static class SpectrumMap
{
    /// <summary>Log ratio of full colour: a factor of ten.</summary>
    public const double Range = 1;

    /// <summary>Log ratio of full colour for the difference of two sets: a factor of two.</summary>
    public static readonly double DifferenceRange = Math.Log10(2);

    /// <summary>log₁₀(power / reference) at every frequency, powers bounded below by that of rounding to 8 bits.</summary>
    /// <param name="power">[height, width], as from <see cref="SpectrumStatistics.MeanMap"/>.</param>
    /// <param name="reference">Of the same size.</param>
    public static double[,] LogRatio(double[,] power, double[,] reference)
    {
        ArgumentNullException.ThrowIfNull(power);
        ArgumentNullException.ThrowIfNull(reference);
        var (height, width) = (power.GetLength(0), power.GetLength(1));
        if ((height, width) != (reference.GetLength(0), reference.GetLength(1)))
            throw new ArgumentException("Spectra of different sizes cannot be compared.", nameof(reference));
        var ratio = new double[height, width];
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
                ratio[y, x] = Math.Log10(Math.Max(power[y, x], SpectrumError.Floor) / Math.Max(reference[y, x], SpectrumError.Floor));
        }

        return ratio;
    }

    /// <summary>
    /// The log ratio of two sets' spectra, from their maps against the same reference: where one has more power than the other.
    /// </summary>
    /// <param name="map">As from <see cref="LogRatio"/>.</param>
    /// <param name="less">The other's, of the same size.</param>
    public static double[,] Difference(double[,] map, double[,] less)
    {
        ArgumentNullException.ThrowIfNull(map);
        ArgumentNullException.ThrowIfNull(less);
        var (height, width) = (map.GetLength(0), map.GetLength(1));
        if ((height, width) != (less.GetLength(0), less.GetLength(1)))
            throw new ArgumentException("Maps of different sizes cannot be compared.", nameof(less));
        var difference = new double[height, width];
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
                difference[y, x] = map[y, x] - less[y, x];
        }

        return difference;
    }

    /// <summary>
    /// A picture of a map: white where it is 0, red where there is too much, blue where there is too little, full at ±
    /// <paramref name="range"/>.
    /// </summary>
    /// <param name="map">The map.</param>
    /// <param name="range">The log ratio at which colours are full, above 0.</param>
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

    /// <summary>Writes a map as numbers (<c>.npy</c>, float64 [height, width]) and as a picture (<c>.png</c>) of the same name.</summary>
    /// <param name="map">As from <see cref="LogRatio"/> or <see cref="Difference"/>.</param>
    /// <param name="path">Without extension.</param>
    /// <param name="range">As for <see cref="Draw"/>.</param>
    public static void Save(double[,] map, string path, double range = Range)
    {
        ArgumentNullException.ThrowIfNull(map);
        AtomicFile.Write(path + ".npy", stream => NpyArray.Write(stream, [.. map.Cast<double>()], map.GetLength(0), map.GetLength(1)));
        var png = PictureFile.Encode(Draw(map, range), PictureFormat.Png);
        AtomicFile.Write(path + ".png", stream => stream.Write(png));
    }
}
