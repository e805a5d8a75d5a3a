namespace Retouch.Images;

/// <summary>A picture in memory: 8-bit sRGB after EXIF rotation, rows from the top, interleaved R, G, B.</summary>
public sealed class Picture
{
    /// <summary>Number of channels.</summary>
    public const int Channels = 3;

    private readonly byte[] _pixels;

    /// <summary>Creates a black picture.</summary>
    /// <param name="width">Width in pixels, at least 1.</param>
    /// <param name="height">Height in pixels, at least 1.</param>
    public Picture(int width, int height)
        : this(width, height, new byte[ByteCount(width, height)]) { }

    /// <summary>Wraps <paramref name="pixels"/> without a copy; the caller must not write to them afterwards.</summary>
    /// <param name="width">Width in pixels, at least 1.</param>
    /// <param name="height">Height in pixels, at least 1.</param>
    /// <param name="pixels">height * width * 3 bytes, [height, width, RGB].</param>
    /// <exception cref="ArgumentException">The number of bytes does not match the size.</exception>
    public Picture(int width, int height, byte[] pixels)
    {
        ArgumentNullException.ThrowIfNull(pixels);
        if (pixels.Length != ByteCount(width, height))
            throw new ArgumentException(
                $"{width} x {height} RGB pixels are {ByteCount(width, height)} bytes, not {pixels.Length}.",
                nameof(pixels)
            );
        Width = width;
        Height = height;
        _pixels = pixels;
    }

    /// <summary>Width in pixels.</summary>
    public int Width { get; }

    /// <summary>Height in pixels.</summary>
    public int Height { get; }

    /// <summary>Shorter side in pixels.</summary>
    public int ShortSide => Math.Min(Width, Height);

    /// <summary>Pixels [height, width, RGB], 0 to 255.</summary>
    public Span<byte> Pixels => _pixels;

    /// <summary>Colour of the pixel in column <paramref name="x"/> and row <paramref name="y"/>.</summary>
    public Rgb this[int x, int y]
    {
        get
        {
            var at = Offset(x, y);
            return new Rgb(_pixels[at], _pixels[at + 1], _pixels[at + 2]);
        }
        set
        {
            var at = Offset(x, y);
            (_pixels[at], _pixels[at + 1], _pixels[at + 2]) = (value.R, value.G, value.B);
        }
    }

    /// <summary>Pixels of a row, [width, RGB].</summary>
    public Span<byte> Row(int y)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(y);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(y, Height);
        return _pixels.AsSpan(y * Width * Channels, Width * Channels);
    }

    /// <summary>Whether both pictures have the same size and bytes.</summary>
    public bool SameAs(Picture other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return Width == other.Width && Height == other.Height && Pixels.SequenceEqual(other.Pixels);
    }

    /// <summary>Deep copy.</summary>
    public Picture Clone() => new(Width, Height, (byte[])_pixels.Clone());

    /// <summary>Creates a picture of one colour.</summary>
    public static Picture Filled(int width, int height, Rgb color)
    {
        var picture = new Picture(width, height);
        for (var at = 0; at < picture._pixels.Length; at += Channels)
            (picture._pixels[at], picture._pixels[at + 1], picture._pixels[at + 2]) = (color.R, color.G, color.B);
        return picture;
    }

    private static int ByteCount(int width, int height)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        return checked(width * height * Channels);
    }

    private int Offset(int x, int y)
    {
        if ((uint)x >= (uint)Width || (uint)y >= (uint)Height)
            throw new ArgumentOutOfRangeException(nameof(x), $"({x}, {y}) is outside the {Width} x {Height} picture.");
        return (y * Width + x) * Channels;
    }
}

/// <summary>An sRGB colour with 8 bits per channel.</summary>
/// <param name="R">Red, 0 to 255.</param>
/// <param name="G">Green, 0 to 255.</param>
/// <param name="B">Blue, 0 to 255.</param>
public readonly record struct Rgb(byte R, byte G, byte B)
{
    /// <summary>255, 255, 255.</summary>
    public static Rgb White => new(255, 255, 255);

    /// <summary>0, 0, 0.</summary>
    public static Rgb Black => default;
}
