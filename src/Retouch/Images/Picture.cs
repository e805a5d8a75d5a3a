namespace Retouch.Images;

/// <summary>A picture in memory: upright sRGB, 8 bit a channel, rows from the top, R G B interleaved.</summary>
public sealed class Picture
{
    /// <summary>The number of channels of every picture.</summary>
    public const int Channels = 3;

    private readonly byte[] pixels;

    /// <summary>Makes a black picture.</summary>
    /// <param name="width">Pixels in a row, at least 1.</param>
    /// <param name="height">Rows, at least 1.</param>
    public Picture(int width, int height)
        : this(width, height, new byte[ByteCount(width, height)]) { }

    /// <summary>Takes over <paramref name="pixels"/> without a copy; the caller does not write to them afterwards.</summary>
    /// <param name="width">Pixels in a row, at least 1.</param>
    /// <param name="height">Rows, at least 1.</param>
    /// <param name="pixels">height * width * 3 bytes, [height, width, RGB].</param>
    /// <exception cref="ArgumentException">The number of bytes does not fit the size.</exception>
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
        this.pixels = pixels;
    }

    /// <summary>Pixels in a row.</summary>
    public int Width { get; }

    /// <summary>Rows.</summary>
    public int Height { get; }

    /// <summary>The shorter of the two sides.</summary>
    public int ShortSide => Math.Min(Width, Height);

    /// <summary>All bytes, [height, width, RGB].</summary>
    public Span<byte> Pixels => pixels;

    /// <summary>The red, green and blue of the pixel in column <paramref name="x"/> of row <paramref name="y"/>.</summary>
    public Rgb this[int x, int y]
    {
        get
        {
            var at = Offset(x, y);
            return new Rgb(pixels[at], pixels[at + 1], pixels[at + 2]);
        }
        set
        {
            var at = Offset(x, y);
            (pixels[at], pixels[at + 1], pixels[at + 2]) = (value.R, value.G, value.B);
        }
    }

    /// <summary>The bytes of one row, [width, RGB].</summary>
    public Span<byte> Row(int y)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(y);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(y, Height);
        return pixels.AsSpan(y * Width * Channels, Width * Channels);
    }

    /// <summary>Whether both pictures have the same size and the same bytes.</summary>
    public bool SameAs(Picture other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return Width == other.Width && Height == other.Height && Pixels.SequenceEqual(other.Pixels);
    }

    /// <summary>A copy of its own.</summary>
    public Picture Clone() => new(Width, Height, (byte[])pixels.Clone());

    /// <summary>A picture of one colour.</summary>
    public static Picture Filled(int width, int height, Rgb color)
    {
        var picture = new Picture(width, height);
        for (var at = 0; at < picture.pixels.Length; at += Channels)
            (picture.pixels[at], picture.pixels[at + 1], picture.pixels[at + 2]) = (color.R, color.G, color.B);
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
            throw new ArgumentOutOfRangeException(nameof(x), $"({x}, {y}) lies outside the {Width} x {Height} picture.");
        return (y * Width + x) * Channels;
    }
}

/// <summary>An sRGB colour, 8 bit a channel.</summary>
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
