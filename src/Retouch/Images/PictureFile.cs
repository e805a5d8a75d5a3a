using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Images.Interop;

namespace Retouch.Images;

/// <summary>
/// Reads and writes files of pictures. Reading goes by content, whatever the name says: JPEG, PNG, WebP, TIFF and BMP, and where libvips
/// has loaders for them GIF, AVIF and HEIC; EXIF rotation is applied, gray, palette, 16 bit, CMYK and ICC colours become 8-bit sRGB, alpha
/// is laid over white. Broken, truncated and
/// oversized files are refused with the reason.
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
            .. NativePictures.Reads(PictureFormat.Gif) ? (string[])[".gif"] : [],
            .. NativePictures.Reads(PictureFormat.Heif) ? (string[])[".avif", ".heic", ".heif"] : [],
        ]
    );

    /// <summary>Endings, in lower case, of the files that are taken for pictures in a folder.</summary>
    /// <exception cref="EnvironmentException">The native library, which knows what it reads, is missing or does not load.</exception>
    public static IReadOnlyList<string> Extensions => Readable.Value;

    /// <summary>Version of the libvips that reads and writes, e.g. 8.14.1.</summary>
    /// <exception cref="EnvironmentException">The native library is missing or does not load.</exception>
    public static string LibraryVersion => NativePictures.VipsVersion;

    /// <summary>The native library's file.</summary>
    /// <exception cref="EnvironmentException">As for <see cref="LibraryVersion"/>.</exception>
    public static string LibraryPath => ImagesLibrary.LoadedFrom;

    /// <summary>Whether the name of a file ends like that of a picture; upper case counts as well.</summary>
    public static bool HasPictureExtension(string path) => Extensions.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase);

    /// <summary>Reads a picture.</summary>
    /// <exception cref="InputException">There is no such file, or it is no picture that can be read.</exception>
    /// <exception cref="EnvironmentException">The native library is missing.</exception>
    public static Picture Load(string path, PictureReading? reading = null) => LoadWithInfo(path, reading).Picture;

    /// <summary>Reads a picture together with its header.</summary>
    /// <inheritdoc cref="Load"/>
    public static LoadedPicture LoadWithInfo(string path, PictureReading? reading = null) => Decode(ReadBytes(path), path, reading);

    /// <summary>Reads the header of a picture only.</summary>
    /// <inheritdoc cref="Load"/>
    public static PictureInfo Probe(string path, PictureReading? reading = null) => Probe(ReadBytes(path), path, reading);

    /// <summary>Reads the header of a picture in memory only.</summary>
    /// <param name="data">The content of a file.</param>
    /// <param name="name">What messages call it.</param>
    /// <param name="reading">How to read it.</param>
    /// <exception cref="InputException">It is no picture that can be read.</exception>
    public static PictureInfo Probe(ReadOnlySpan<byte> data, string name, PictureReading? reading = null)
    {
        reading = Checked(reading);
        return Refusing(
            data,
            name,
            reading,
            static (d, r) => BmpReader.Recognises(d) ? BmpReader.Probe(d, r.MaxPixels) : NativePictures.Probe(d, r)
        );
    }

    /// <summary>Reads a picture in memory.</summary>
    /// <inheritdoc cref="Probe(ReadOnlySpan{byte}, string, PictureReading?)"/>
    public static LoadedPicture Decode(ReadOnlySpan<byte> data, string name, PictureReading? reading = null)
    {
        reading = Checked(reading);
        return Refusing(
            data,
            name,
            reading,
            static (d, r) => BmpReader.Recognises(d) ? BmpReader.Read(d, r.MaxPixels) : NativePictures.Decode(d, r)
        );
    }

    /// <summary>The content of a file with this picture.</summary>
    /// <param name="picture">The pixels.</param>
    /// <param name="format">JPEG, PNG or WebP.</param>
    /// <param name="quality">1 to 100 for JPEG and WebP (WebP 100 is lossless); PNG is always lossless.</param>
    /// <exception cref="ArgumentException">The format is only read, or the quality out of range.</exception>
    public static byte[] Encode(Picture picture, PictureFormat format, int quality = 95)
    {
        ArgumentNullException.ThrowIfNull(picture);
        ArgumentOutOfRangeException.ThrowIfLessThan(quality, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(quality, 100);
        if (format is not (PictureFormat.Jpeg or PictureFormat.Png or PictureFormat.WebP))
            throw new ArgumentException($"{format} is read, not written; choose Jpeg, Png or WebP.", nameof(format));
        return NativePictures.Encode(picture, format, quality);
    }

    /// <summary>Writes a picture, atomically, in the format that the ending of <paramref name="path"/> names.</summary>
    /// <param name="picture">The pixels.</param>
    /// <param name="path">Ends in .png, .jpg, .jpeg or .webp.</param>
    /// <param name="quality">As for <see cref="Encode"/>.</param>
    /// <exception cref="UsageException">The ending names no format that can be written.</exception>
    /// <exception cref="EnvironmentException">The file cannot be written.</exception>
    public static void Save(Picture picture, string path, int quality = 95)
    {
        ArgumentNullException.ThrowIfNull(path);
        var format = Path.GetExtension(path).ToLowerInvariant() switch
        {
            ".png" => PictureFormat.Png,
            ".jpg" or ".jpeg" => PictureFormat.Jpeg,
            ".webp" => PictureFormat.WebP,
            var other => throw new UsageException(
                $"Cannot write '{path}': '{other}' is no format that is written; use .png, .jpg or .webp."
            ),
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
            throw new UsageException($"MaxPixels is {reading.MaxPixels}; it lies between 1 and 700000000.");
        return reading;
    }

    private static InputException Refusal(string name, string reason, Exception? inner = null) =>
        new($"Cannot read the picture '{name}': {reason}. Replace the file or take it out.", inner);
}
