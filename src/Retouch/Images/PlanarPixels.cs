namespace Retouch.Images;

/// <summary>Conversion from and to planar pixels, [RGB, height, width].</summary>
public static class PlanarPixels
{
    /// <summary>Writes the picture's three planes to the start of <paramref name="planes"/>.</summary>
    public static void CopyToPlanes(this Picture picture, Span<byte> planes)
    {
        ArgumentNullException.ThrowIfNull(picture);
        ReadOnlySpan<byte> interleaved = picture.Pixels;
        var plane = picture.Width * picture.Height;
        planes = planes[..(Picture.Channels * plane)];
        for (var i = 0; i < plane; i++)
        {
            planes[i] = interleaved[3 * i];
            planes[plane + i] = interleaved[3 * i + 1];
            planes[2 * plane + i] = interleaved[3 * i + 2];
        }
    }

    /// <summary>Creates a picture from the three planes at the start of <paramref name="planes"/>.</summary>
    public static Picture ToPicture(ReadOnlySpan<byte> planes, int width, int height)
    {
        var picture = new Picture(width, height);
        var interleaved = picture.Pixels;
        var plane = width * height;
        planes = planes[..(Picture.Channels * plane)];
        for (var i = 0; i < plane; i++)
        {
            interleaved[3 * i] = planes[i];
            interleaved[3 * i + 1] = planes[plane + i];
            interleaved[3 * i + 2] = planes[2 * plane + i];
        }

        return picture;
    }

    /// <summary>Maps bytes v to v/127.5 − 1, in [−1, 1].</summary>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static void ToUnitRange(ReadOnlySpan<byte> levels, Span<float> values)
    {
        if (levels.Length != values.Length)
            throw new ArgumentException($"{levels.Length} levels do not match {values.Length} values.", nameof(values));
        for (var i = 0; i < levels.Length; i++)
            values[i] = levels[i] / 127.5f - 1f;
    }
}
