namespace Retouch.Images;

/// <summary>Position of a crop.</summary>
public enum CropMode
{
    /// <summary>Centre; an odd remainder goes to the right and bottom.</summary>
    Center,

    /// <summary>Random position, drawn from the sample's seed.</summary>
    Random,
}

/// <summary>Cropping and flipping.</summary>
public static class Cropping
{
    /// <summary>Crops a rectangle with top-left pixel (<paramref name="left"/>, <paramref name="top"/>).</summary>
    /// <exception cref="ArgumentOutOfRangeException">The rectangle is not within the picture.</exception>
    public static Picture Crop(this Picture picture, int left, int top, int width, int height)
    {
        ArgumentNullException.ThrowIfNull(picture);
        if (left < 0 || top < 0 || width < 1 || height < 1 || left > picture.Width - width || top > picture.Height - height)
        {
            throw new ArgumentOutOfRangeException(
                nameof(left),
                $"{width} x {height} pixels at ({left}, {top}) are not within {picture.Width} x {picture.Height}."
            );
        }

        if (width == picture.Width && height == picture.Height)
            return picture;
        var part = new Picture(width, height);
        for (var y = 0; y < height; y++)
            picture.Row(top + y).Slice(left * Picture.Channels, width * Picture.Channels).CopyTo(part.Row(y));
        return part;
    }

    /// <summary>Crops the central <paramref name="width"/> × <paramref name="height"/> pixels; offsets are truncated to
    /// integers.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The picture is smaller.</exception>
    public static Picture CropCenter(this Picture picture, int width, int height)
    {
        ArgumentNullException.ThrowIfNull(picture);
        return picture.Crop((picture.Width - width) / 2, (picture.Height - height) / 2, width, height);
    }

    /// <summary>Mirrors the picture left to right.</summary>
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
