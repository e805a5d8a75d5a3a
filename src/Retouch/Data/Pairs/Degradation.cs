using Retouch.Images;

namespace Retouch.Data.Pairs;

/// <summary>Picture degradations, which give preference pairs without human raters.</summary>
public enum Degradation
{
    /// <summary>Gaussian blur with a standard deviation drawn from 1 to 2 pixels.</summary>
    Blur,

    /// <summary>JPEG compression of quality 20.</summary>
    Jpeg20,

    /// <summary>2× subsampling and pixel repetition without a filter; the phase is drawn.</summary>
    Alias,
}

/// <summary>Degrades pictures.</summary>
public static class DegradedPictures
{
    private const int JpegQuality = 20;

    /// <summary>Degrades a picture; the size is unchanged.</summary>
    /// <param name="picture">Input picture; not modified.</param>
    /// <param name="degradation">Degradation.</param>
    /// <param name="seed">Seed of the drawn parameter.</param>
    /// <returns>The degraded picture and its parameter: standard deviation in pixels, quality, or phase (0 to 3).</returns>
    public static (Picture Picture, double Strength) Apply(Picture picture, Degradation degradation, ulong seed)
    {
        ArgumentNullException.ThrowIfNull(picture);
        var random = new SplitMix64(seed);
        switch (degradation)
        {
            case Degradation.Blur:
                var deviation = random.NextDouble(1, 2);
                return (Blur(picture, deviation), deviation);
            case Degradation.Jpeg20:
                return (
                    PictureFile.Decode(PictureFile.Encode(picture, PictureFormat.Jpeg, JpegQuality), "a degraded picture").Picture,
                    JpegQuality
                );
            case Degradation.Alias:
                var phase = random.NextInt(4);
                return (Alias(picture, phase % 2, phase / 2), phase);
            default:
                throw new ArgumentOutOfRangeException(nameof(degradation), degradation, "Unknown degradation.");
        }
    }

    private static Picture Blur(Picture picture, double deviation)
    {
        var reach = (int)Math.Ceiling(3 * deviation);
        var kernel = Enumerable.Range(-reach, (2 * reach) + 1).Select(k => Math.Exp(-k * k / (2 * deviation * deviation))).ToArray();
        var sum = kernel.Sum();
        var values = new double[picture.Pixels.Length];
        for (var i = 0; i < values.Length; i++)
            values[i] = picture.Pixels[i];
        var stride = Picture.Channels * picture.Width;
        values = Pass(values, picture.Width, Picture.Channels, kernel, sum, i => i / Picture.Channels % picture.Width);
        values = Pass(values, picture.Height, stride, kernel, sum, i => i / stride);
        return new Picture(picture.Width, picture.Height, Array.ConvertAll(values, static v => (byte)Math.Clamp(Math.Round(v), 0, 255)));
    }

    /// <summary>Convolution along one axis with edge replication.</summary>
    private static double[] Pass(double[] values, int size, int stride, double[] kernel, double sum, Func<int, int> place)
    {
        var reach = kernel.Length / 2;
        var result = new double[values.Length];
        for (var i = 0; i < values.Length; i++)
        {
            var at = place(i);
            var total = 0.0;
            for (var k = -reach; k <= reach; k++)
                total += kernel[k + reach] * values[i + ((Math.Clamp(at + k, 0, size - 1) - at) * stride)];
            result[i] = total / sum;
        }

        return result;
    }

    private static Picture Alias(Picture picture, int right, int down)
    {
        var result = new Picture(picture.Width, picture.Height);
        for (var y = 0; y < picture.Height; y++)
        {
            for (var x = 0; x < picture.Width; x++)
                result[x, y] = picture[Math.Min((x & ~1) + right, picture.Width - 1), Math.Min((y & ~1) + down, picture.Height - 1)];
        }

        return result;
    }
}
