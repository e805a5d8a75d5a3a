namespace Retouch.Images;

/// <summary>File formats of pictures.</summary>
public enum PictureFormat
{
    /// <summary>JPEG, baseline or progressive, gray, RGB or CMYK.</summary>
    Jpeg = 1,

    /// <summary>PNG of any colour type and depth.</summary>
    Png = 2,

    /// <summary>WebP, lossy or lossless.</summary>
    WebP = 3,

    /// <summary>TIFF; read only.</summary>
    Tiff = 4,

    /// <summary>Windows bitmap without compression; read only.</summary>
    Bmp = 5,

    /// <summary>GIF, of an animation the first picture; read only, where libvips does.</summary>
    Gif = 6,

    /// <summary>AVIF and HEIC; read only, where libvips does.</summary>
    Heif = 7,
}

/// <summary>What a file's header says of its picture.</summary>
/// <param name="Format">The format, found by content, not by name.</param>
/// <param name="Width">Pixels in a row, once upright.</param>
/// <param name="Height">Rows, once upright.</param>
/// <param name="Orientation">EXIF orientation, 1 to 8; already accounted for in the size.</param>
/// <param name="HasAlpha">Whether it is laid over white when read.</param>
/// <param name="HasProfile">Whether it carries an ICC profile.</param>
/// <param name="BitsPerSample">8, 16 or more.</param>
public sealed record PictureInfo(
    PictureFormat Format,
    int Width,
    int Height,
    int Orientation,
    bool HasAlpha,
    bool HasProfile,
    int BitsPerSample
);

/// <summary>How a picture is read.</summary>
public sealed record PictureReading
{
    /// <summary>The default bound on width times height.</summary>
    public const long DefaultMaxPixels = 200_000_000;

    /// <summary>Reads the whole picture, up to <see cref="DefaultMaxPixels"/>.</summary>
    public static PictureReading Default { get; } = new();

    /// <summary>Bound on width times height, 1 to 700,000,000; more is refused from the header, before any memory is taken.</summary>
    public long MaxPixels { get; init; } = DefaultMaxPixels;

    /// <summary>
    /// With a value above 0, JPEG and WebP may be shrunk by 2, 4 or 8 while they are decoded as long as the shorter side keeps at least
    /// this many pixels. Give twice the side that is wanted in the end, so that the antialiased resize still decides the quality; 0
    /// (the default) reads every pixel, which metrics need.
    /// </summary>
    public int MinSide { get; init; }

    /// <summary>
    /// Whether an embedded ICC profile is followed (the default). Without it, samples are taken as they stand, which is what Pillow
    /// does unless it is told otherwise: use it to compare with numbers that were computed that way.
    /// </summary>
    public bool UseProfile { get; init; } = true;
}

/// <summary>A picture as it was read, with what its header said.</summary>
/// <param name="Picture">The pixels, upright.</param>
/// <param name="Info">The header; its size is that in the file, also where the picture was shrunk while it was decoded.</param>
public sealed record LoadedPicture(Picture Picture, PictureInfo Info);
