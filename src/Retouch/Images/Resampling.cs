namespace Retouch.Images;

/// <summary>Filters of <see cref="Resampling"/>, as PIL defines them.</summary>
public enum ResizeFilter
{
    /// <summary>Triangle filter, support 1 source pixel.</summary>
    Bilinear,

    /// <summary>Keys' cubic with a = −0.5, support 2 source pixels.</summary>
    Bicubic,

    /// <summary>Windowed sinc, support 3 source pixels.</summary>
    Lanczos,

    /// <summary>Box filter, the mean of the covered source pixels; support half a source pixel.</summary>
    Box,
}

/// <summary>
/// Antialiased resizing with PIL's exact bytes (Pillow's convolution-based <c>Image.resize</c> for 8-bit pictures), on which published
/// Fréchet distances depend: filters are widened when downscaling, rows are resized before columns, coefficients are fixed-point with
/// 22 fractional bits, and each pass is rounded to 8 bits.
/// </summary>
public static class Resampling
{
    // 8 bits for the sample, 2 for the overshoot of the filters, the rest of an int for the coefficient.
    private const int FractionBits = 32 - 8 - 2;

    /// <summary>Resizes to <paramref name="width"/> × <paramref name="height"/> pixels.</summary>
    public static Picture Resize(this Picture picture, int width, int height, ResizeFilter filter)
    {
        ArgumentNullException.ThrowIfNull(picture);
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        if (width != picture.Width)
            picture = ResizeRows(picture, width, Kernel.Create(picture.Width, width, filter));
        if (height != picture.Height)
            picture = ResizeColumns(picture, height, Kernel.Create(picture.Height, height, filter));
        return picture;
    }

    /// <summary>
    /// Resizes to a short side of <paramref name="side"/> with the same aspect ratio; the long side is truncated to an integer, as in
    /// torchvision and transformers.
    /// </summary>
    public static Picture ResizeShortSide(this Picture picture, int side, ResizeFilter filter)
    {
        ArgumentNullException.ThrowIfNull(picture);
        var longSide = (int)((long)side * Math.Max(picture.Width, picture.Height) / picture.ShortSide);
        return picture.Width <= picture.Height ? picture.Resize(side, longSide, filter) : picture.Resize(longSide, side, filter);
    }

    private static Picture ResizeRows(Picture from, int width, Kernel kernel)
    {
        var to = new Picture(width, from.Height);
        for (var y = 0; y < from.Height; y++)
        {
            ReadOnlySpan<byte> source = from.Row(y);
            var target = to.Row(y);
            for (var x = 0; x < width; x++)
            {
                var weights = kernel.At(x, out var first);
                var taps = source.Slice(first * 3, weights.Length * 3);
                int r = 1 << (FractionBits - 1),
                    g = r,
                    b = r;
                for (var i = 0; i < weights.Length; i++)
                {
                    var weight = weights[i];
                    r += taps[3 * i] * weight;
                    g += taps[3 * i + 1] * weight;
                    b += taps[3 * i + 2] * weight;
                }

                (target[3 * x], target[3 * x + 1], target[3 * x + 2]) = (Clip(r), Clip(g), Clip(b));
            }
        }

        return to;
    }

    private static Picture ResizeColumns(Picture from, int height, Kernel kernel)
    {
        var to = new Picture(from.Width, height);
        var sums = new int[from.Width * Picture.Channels];
        for (var y = 0; y < height; y++)
        {
            var weights = kernel.At(y, out var first);
            Array.Fill(sums, 1 << (FractionBits - 1));
            for (var i = 0; i < weights.Length; i++)
            {
                ReadOnlySpan<byte> source = from.Row(first + i);
                var weight = weights[i];
                for (var x = 0; x < sums.Length; x++)
                    sums[x] += source[x] * weight;
            }

            var target = to.Row(y);
            for (var x = 0; x < sums.Length; x++)
                target[x] = Clip(sums[x]);
        }

        return to;
    }

    private static byte Clip(int sum) => (byte)Math.Clamp(sum >> FractionBits, 0, 255);

    /// <summary>Per target position, the first source position in the support and the weights from there on.</summary>
    private readonly struct Kernel(int[] firsts, int[] starts, int[] weights)
    {
        public ReadOnlySpan<int> At(int target, out int first)
        {
            first = firsts[target];
            return weights.AsSpan(starts[target]..starts[target + 1]);
        }

        public static Kernel Create(int sourceSize, int targetSize, ResizeFilter filter)
        {
            var scale = (double)sourceSize / targetSize;
            var widening = Math.Max(scale, 1.0);
            var support = Support(filter) * widening;
            var firsts = new int[targetSize];
            var starts = new int[targetSize + 1];
            List<int> weights = [];
            for (var target = 0; target < targetSize; target++)
            {
                var center = (target + 0.5) * scale;
                var first = Math.Max((int)(center - support + 0.5), 0);
                var end = Math.Min((int)(center + support + 0.5), sourceSize);
                var raw = new double[end - first];
                var total = 0.0;
                for (var i = 0; i < raw.Length; i++)
                {
                    raw[i] = Weight(filter, (i + first - center + 0.5) * (1.0 / widening));
                    total += raw[i];
                }

                firsts[target] = first;
                foreach (var weight in raw)
                {
                    var share = total == 0.0 ? weight : weight / total;
                    weights.Add((int)(share * (1 << FractionBits) + (share < 0 ? -0.5 : 0.5)));
                }

                starts[target + 1] = weights.Count;
            }

            return new Kernel(firsts, starts, [.. weights]);
        }

        private static double Support(ResizeFilter filter) =>
            filter switch
            {
                ResizeFilter.Box => 0.5,
                ResizeFilter.Bilinear => 1.0,
                ResizeFilter.Bicubic => 2.0,
                ResizeFilter.Lanczos => 3.0,
                _ => throw new ArgumentOutOfRangeException(nameof(filter)),
            };

        private static double Weight(ResizeFilter filter, double x)
        {
            const double A = -0.5;
            var distance = Math.Abs(x);
            return filter switch
            {
                ResizeFilter.Box => x > -0.5 && x <= 0.5 ? 1.0 : 0.0,
                ResizeFilter.Bilinear => distance < 1.0 ? 1.0 - distance : 0.0,
                ResizeFilter.Bicubic when distance < 1.0 => ((A + 2.0) * distance - (A + 3.0)) * distance * distance + 1.0,
                ResizeFilter.Bicubic when distance < 2.0 => (((distance - 5.0) * distance + 8.0) * distance - 4.0) * A,
                ResizeFilter.Lanczos when x >= -3.0 && x < 3.0 => Sinc(x) * Sinc(x / 3.0),
                _ => 0.0,
            };
        }

        private static double Sinc(double x) => x == 0.0 ? 1.0 : Math.Sin(x * Math.PI) / (x * Math.PI);
    }
}
