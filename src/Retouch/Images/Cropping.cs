namespace Retouch.Images;

/// <summary>Where a crop is taken.</summary>
public enum CropMode
{
    /// <summary>From the middle; an odd rest goes to the right and the bottom.</summary>
    Center,

    /// <summary>Anywhere, by the seed of the sample.</summary>
    Random,
}

/// <summary>Cutting and mirroring.</summary>
public static class Cropping
{
    /// <summary>The part whose top-left pixel is (<paramref name="left"/>, <paramref name="top"/>).</summary>
    /// <exception cref="ArgumentOutOfRangeException">It does not lie within the picture.</exception>
    public static Picture Crop(this Picture picture, int left, int top, int width, int height)
    {
        ArgumentNullException.ThrowIfNull(picture);
        if (left < 0 || top < 0 || width < 1 || height < 1 || left > picture.Width - width || top > picture.Height - height)
        {
            throw new ArgumentOutOfRangeException(
                nameof(left),
                $"{width} x {height} pixels at ({left}, {top}) do not lie within {picture.Width} x {picture.Height}."
            );
        }

        if (width == picture.Width && height == picture.Height)
            return picture;
        var part = new Picture(width, height);
        for (var y = 0; y < height; y++)
            picture.Row(top + y).Slice(left * Picture.Channels, width * Picture.Channels).CopyTo(part.Row(y));
        return part;
    }

    /// <summary>The middle <paramref name="width"/> x <paramref name="height"/> pixels; offsets are cut to integers.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The picture is smaller.</exception>
    public static Picture CropCenter(this Picture picture, int width, int height)
    {
        ArgumentNullException.ThrowIfNull(picture);
        return picture.Crop((picture.Width - width) / 2, (picture.Height - height) / 2, width, height);
    }

    /// <summary>The picture mirrored left to right.</summary>
    public static Picture FlipHorizontal(this Picture picture)
    {
        ArgumentNullException.ThrowIfNull(picture);
        var flipped = new Picture(picture.Width, picture.Height);
        for (var y = 0; y < picture.Height; y++)
        {
            ReadOnlySpan<byte> from = picture.Row(y);
            var to = flipped.Row(y);
            for (var at = 0; at < from.Length; at += Picture.Channels)
                from.Slice(at, Picture.Channels).CopyTo(to[(from.Length - Picture.Channels - at)..]);
        }

        return flipped;
    }
}
