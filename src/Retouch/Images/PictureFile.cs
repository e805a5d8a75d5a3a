using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Images.Interop;

namespace Retouch.Images;

/// <summary>
/// Reads and writes picture files. The format is detected from the content, not the name: JPEG, PNG, WebP, TIFF, BMP, GIF and AVIF, and
/// HEIC if libvips has a decoder for it. EXIF rotation is applied; grey, palette, 16-bit, CMYK and ICC colours are converted
/// to 8-bit sRGB; alpha is composited over white. Corrupt, truncated and oversized files are refused with the reason.
/// </summary>
public static class PictureFile
{
    private static readonly Lazy<IReadOnlyList<string>> Readable = new(static () =>
        [
            ".jpg",
            ".jpeg",
            ".jpe",
            ".jfif",
            ".png",
            ".webp",
            ".tif",
            ".tiff",
            ".bmp",
            .. VipsLibrary.Reads(PictureFormat.Gif) ? (string[])[".gif"] : [],
            .. VipsLibrary.Reads(PictureFormat.Heif) ? (string[])[".avif"] : [],
            .. VipsLibrary.ReadsHevc ? (string[])[".heic", ".heif"] : [],
        ]
    );

    /// <summary>Lower-case extensions of the files that are treated as pictures in a folder.</summary>
    /// <exception cref="EnvironmentException">libvips is missing or does not load.</exception>
    public static IReadOnlyList<string> Extensions => Readable.Value;

    /// <summary>Version of libvips, e.g. 8.18.7.</summary>
    /// <exception cref="EnvironmentException">libvips is missing or does not load.</exception>
    public static string LibraryVersion => VipsLibrary.Version;

    /// <summary>Whether libvips has a loader for a format; for HEIC see <see cref="ReadsHeic"/>.</summary>
    /// <exception cref="EnvironmentException">libvips is missing or does not load.</exception>
    public static bool Reads(PictureFormat format) => format == PictureFormat.Bmp || VipsLibrary.Reads(format);

    /// <summary>Whether libvips has a decoder for HEIC, whose container is that of AVIF.</summary>
    /// <exception cref="EnvironmentException">libvips is missing or does not load.</exception>
    public static bool ReadsHeic => VipsLibrary.ReadsHevc;

    /// <summary>Whether a file name has a picture extension, ignoring case.</summary>
    public static bool HasPictureExtension(string path) => Extensions.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase);

    /// <summary>Reads a picture.</summary>
    /// <exception cref="InputException">The file does not exist or is not a readable picture.</exception>
    /// <exception cref="EnvironmentException">libvips is missing or does not load.</exception>
    public static Picture Load(string path, PictureReading? reading = null) => LoadWithInfo(path, reading).Picture;

    /// <summary>Reads a picture and its header.</summary>
    /// <inheritdoc cref="Load"/>
    public static LoadedPicture LoadWithInfo(string path, PictureReading? reading = null) => Decode(ReadBytes(path), path, reading);

    /// <summary>Reads the header of a picture.</summary>
    /// <inheritdoc cref="Load"/>
    public static PictureInfo Probe(string path, PictureReading? reading = null) => Probe(ReadBytes(path), path, reading);

    /// <summary>Reads the header of an encoded picture in memory.</summary>
    /// <param name="data">Contents of a picture file.</param>
    /// <param name="name">Name for error messages.</param>
    /// <param name="reading">Decoder options.</param>
    /// <exception cref="InputException">The data is not a readable picture.</exception>
    public static PictureInfo Probe(ReadOnlySpan<byte> data, string name, PictureReading? reading = null)
    {
        reading = Checked(reading);
        return Refusing(
            data,
            name,
            reading,
            static (d, r) => BmpReader.Recognises(d) ? BmpReader.Probe(d, r.MaxPixels) : VipsDecoder.Probe(d, r)
        );
    }

    /// <summary>Decodes a picture in memory.</summary>
    /// <inheritdoc cref="Probe(ReadOnlySpan{byte}, string, PictureReading?)"/>
    public static LoadedPicture Decode(ReadOnlySpan<byte> data, string name, PictureReading? reading = null)
    {
        reading = Checked(reading);
        return Refusing(
            data,
            name,
            reading,
            static (d, r) => BmpReader.Recognises(d) ? BmpReader.Read(d, r.MaxPixels) : VipsDecoder.Decode(d, r)
        );
    }

    /// <summary>Encodes a picture.</summary>
    /// <param name="picture">Picture to encode.</param>
    /// <param name="format">JPEG, PNG or WebP.</param>
    /// <param name="quality">1 to 100 for JPEG and WebP (WebP 100 is lossless); PNG is always lossless.</param>
    /// <exception cref="ArgumentException">The format is read-only, or the quality is out of range.</exception>
    public static byte[] Encode(Picture picture, PictureFormat format, int quality = 95)
    {
        ArgumentNullException.ThrowIfNull(picture);
        ArgumentOutOfRangeException.ThrowIfLessThan(quality, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(quality, 100);
        if (format is not (PictureFormat.Jpeg or PictureFormat.Png or PictureFormat.WebP))
            throw new ArgumentException($"{format} is read-only; choose Jpeg, Png or WebP.", nameof(format));
        return VipsEncoder.Encode(picture, format, quality);
    }

    /// <summary>Writes a picture atomically, in the format of the extension of <paramref name="path"/>.</summary>
    /// <param name="picture">Picture to write.</param>
    /// <param name="path">File path that ends in .png, .jpg, .jpeg or .webp.</param>
    /// <param name="quality">See <see cref="Encode"/>.</param>
    /// <exception cref="UsageException">The extension is not a writable format.</exception>
    /// <exception cref="EnvironmentException">The file cannot be written.</exception>
    public static void Save(Picture picture, string path, int quality = 95)
    {
        ArgumentNullException.ThrowIfNull(path);
        var format = Path.GetExtension(path).ToLowerInvariant() switch
        {
            ".png" => PictureFormat.Png,
            ".jpg" or ".jpeg" => PictureFormat.Jpeg,
            ".webp" => PictureFormat.WebP,
            var other => throw new UsageException($"Cannot write '{path}': '{other}' is not a writable format; use .png, .jpg or .webp."),
        };
        var encoded = Encode(picture, format, quality);
        AtomicFile.Write(path, stream => stream.Write(encoded));
    }

    private static byte[] ReadBytes(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (Directory.Exists(path))
            throw Refusal(path, "it is a folder");
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InputException($"There is no picture '{path}'; check the path.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Refusal(path, Reasons.Of(e), e);
        }
    }

    private static T Refusing<T>(
        ReadOnlySpan<byte> data,
        string name,
        PictureReading reading,
        Func<ReadOnlySpan<byte>, PictureReading, T> read
    )
    {
        if (data.IsEmpty)
            throw Refusal(name, "the file is empty");
        try
        {
            return read(data, reading);
        }
        catch (PictureRefusedException e)
        {
            throw Refusal(name, e.Message, e);
        }
    }

    private static PictureReading Checked(PictureReading? reading)
    {
        reading ??= PictureReading.Default;
        if (reading.MaxPixels is < 1 or > 700_000_000)
            throw new UsageException($"MaxPixels is {reading.MaxPixels}; it must be from 1 to 700000000.");
        return reading;
    }

    private static InputException Refusal(string name, string reason, Exception? inner = null) =>
        new($"Cannot read the picture '{name}': {reason}. Replace or remove the file.", inner);
}
