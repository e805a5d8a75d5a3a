namespace Retouch.Images;

/// <summary>Picture file formats.</summary>
public enum PictureFormat
{
    /// <summary>JPEG, baseline or progressive; grey, RGB or CMYK.</summary>
    Jpeg = 1,

    /// <summary>PNG of any colour type and depth.</summary>
    Png = 2,

    /// <summary>WebP, lossy or lossless.</summary>
    WebP = 3,

    /// <summary>TIFF; read only.</summary>
    Tiff = 4,

    /// <summary>Uncompressed Windows bitmap; read only.</summary>
    Bmp = 5,

    /// <summary>GIF, the first frame of an animation; read only.</summary>
    Gif = 6,

    /// <summary>AVIF, and HEIC if libvips has a decoder for it; read only.</summary>
    Heif = 7,
}

/// <summary>Header of a picture file.</summary>
/// <param name="Format">Format, detected from the content.</param>
/// <param name="Width">Width in pixels after EXIF rotation.</param>
/// <param name="Height">Height in pixels after EXIF rotation.</param>
/// <param name="Orientation">EXIF orientation, 1 to 8; already applied to the size.</param>
/// <param name="HasAlpha">Whether the file has an alpha channel, which is composited over white.</param>
/// <param name="HasProfile">Whether the file has an ICC profile.</param>
/// <param name="BitsPerSample">Bits per sample: 8, 16 or more.</param>
public sealed record PictureInfo(
    PictureFormat Format,
    int Width,
    int Height,
    int Orientation,
    bool HasAlpha,
    bool HasProfile,
    int BitsPerSample
);

/// <summary>Decoder options.</summary>
public sealed record PictureReading
{
    /// <summary>Default maximum of width × height.</summary>
    public const long DefaultMaxPixels = 200_000_000;

    /// <summary>Full resolution, up to <see cref="DefaultMaxPixels"/>.</summary>
    public static PictureReading Default { get; } = new();

    /// <summary>Maximum of width × height, 1 to 700,000,000; larger pictures are refused before memory is allocated.</summary>
    public long MaxPixels { get; init; } = DefaultMaxPixels;

    /// <summary>
    /// Above 0, JPEG and WebP can be downscaled by 2, 4 or 8 in the decoder as long as the shorter side keeps at least this many
    /// pixels. Use twice the final side, so that the antialiased resize still determines the quality; 0 (the default) for full
    /// resolution, which metrics need.
    /// </summary>
    public int MinSide { get; init; }

    /// <summary>
    /// Whether to apply an embedded ICC profile (the default). Without it, samples are used unchanged, as in Pillow by default: use it
    /// to compare with numbers computed that way.
    /// </summary>
    public bool UseProfile { get; init; } = true;
}

/// <summary>A decoded picture and its header.</summary>
/// <param name="Picture">Pixels after EXIF rotation.</param>
/// <param name="Info">Header, with the size in the file even if the decoder downscaled the picture.</param>
public sealed record LoadedPicture(Picture Picture, PictureInfo Info);
