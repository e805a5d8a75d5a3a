using Retouch.Images;

namespace Retouch.Cli.Diagnosis;

/// <summary>Properties of the loaded picture library.</summary>
/// <param name="VipsVersion">Version of libvips.</param>
/// <param name="Libvips">Path of the loaded libvips; null if unknown.</param>
/// <param name="Loaders">Supported file formats, of those that libvips reads for Retouch.</param>
/// <param name="LackedLoaders">File formats of these that this libvips does not support.</param>
internal sealed record PictureFacts(string VipsVersion, string? Libvips, IReadOnlyList<string> Loaders, IReadOnlyList<string> LackedLoaders)
{
    private static readonly (string Name, Func<bool> Reads)[] Formats =
    [
        ("JPEG", static () => PictureFile.Reads(PictureFormat.Jpeg)),
        ("PNG", static () => PictureFile.Reads(PictureFormat.Png)),
        ("WebP", static () => PictureFile.Reads(PictureFormat.WebP)),
        ("TIFF", static () => PictureFile.Reads(PictureFormat.Tiff)),
        ("GIF", static () => PictureFile.Reads(PictureFormat.Gif)),
        ("AVIF", static () => PictureFile.Reads(PictureFormat.Heif)),
        ("HEIC", static () => PictureFile.ReadsHeic),
    ];

    /// <summary>Loads libvips into this process and reads its properties.</summary>
    /// <exception cref="Core.Errors.EnvironmentException">The library cannot be loaded.</exception>
    public static PictureFacts Gather()
    {
        var version = PictureFile.LibraryVersion;
        var found = Formats.ToLookup(static format => format.Reads(), static format => format.Name);
        return new(version, LoadedLibraries.Find("libvips"), [.. found[true]], [.. found[false]]);
    }
}
