using Retouch.Images;

namespace Retouch.Arena.Material;

/// <summary>Degraded copies of pictures for attention checks.</summary>
internal static class DegradedPicture
{
    private const int CellsAcross = 14;

    /// <summary>Mosaic with about 14 cells along the shorter side, each the mean of its pixels; same size as the input.</summary>
    public static Picture Of(Picture picture)
    {
        var cell = Math.Max(2, picture.ShortSide / CellsAcross);
        var spoiled = new Picture(picture.Width, picture.Height);
        for (var y = 0; y < picture.Height; y += cell)
        {
            for (var x = 0; x < picture.Width; x += cell)
                Fill(picture, spoiled, x, y, Math.Min(picture.Width, x + cell), Math.Min(picture.Height, y + cell));
        }

        return spoiled;
    }

    private static void Fill(Picture from, Picture to, int left, int top, int right, int bottom)
    {
        var (r, g, b, n) = (0, 0, 0, (right - left) * (bottom - top));
        for (var y = top; y < bottom; y++)
        {
            for (var x = left; x < right; x++)
            {
                var pixel = from[x, y];
                (r, g, b) = (r + pixel.R, g + pixel.G, b + pixel.B);
            }
        }

        var mean = new Rgb((byte)(r / n), (byte)(g / n), (byte)(b / n));
        for (var y = top; y < bottom; y++)
        {
            for (var x = left; x < right; x++)
                to[x, y] = mean;
        }
    }
}
