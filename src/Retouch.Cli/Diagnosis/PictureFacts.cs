using System.Runtime.InteropServices;
using Retouch.Images;

namespace Retouch.Cli.Diagnosis;

/// <summary>Properties of the loaded picture library.</summary>
/// <param name="VipsVersion">Version of libvips.</param>
/// <param name="Library">Path of the loaded native library.</param>
/// <param name="Libvips">Path of the loaded libvips; null if unknown.</param>
/// <param name="Loaders">Supported file formats, of those used by Retouch.</param>
/// <param name="LackedLoaders">File formats used by Retouch that this libvips does not support.</param>
internal sealed record PictureFacts(
    string VipsVersion,
    string Library,
    string? Libvips,
    IReadOnlyList<string> Loaders,
    IReadOnlyList<string> LackedLoaders
)
{
    private static readonly (string Kind, string Operation)[] Wanted =
    [
        ("JPEG", "jpegload_buffer"),
        ("PNG", "pngload_buffer"),
        ("WebP", "webpload_buffer"),
        ("TIFF", "tiffload_buffer"),
    ];

    /// <summary>Loads libvips into this process and reads its properties.</summary>
    /// <exception cref="Core.Errors.EnvironmentException">The library cannot be loaded.</exception>
    public static PictureFacts Gather()
    {
        var version = PictureFile.LibraryVersion;
        var libvips = LoadedLibraries.Find("libvips.so");
        var found = Wanted.ToLookup(wanted => libvips is null || HasOperation(libvips, wanted.Operation), wanted => wanted.Kind);
        return new(version, PictureFile.LibraryPath, libvips, [.. found[true]], [.. found[false]]);
    }

    /// <summary>Looks up an operation of the loaded libvips by name.</summary>
    private static unsafe bool HasOperation(string libvips, string name)
    {
        var find = (delegate* unmanaged<byte*, byte*, nuint>)NativeLibrary.GetExport(NativeLibrary.Load(libvips), "vips_type_find");
        var (family, operation) = (Marshal.StringToCoTaskMemUTF8("VipsOperation"), Marshal.StringToCoTaskMemUTF8(name));
        try
        {
            return find((byte*)family, (byte*)operation) != 0;
        }
        finally
        {
            Marshal.FreeCoTaskMem(family);
            Marshal.FreeCoTaskMem(operation);
        }
    }
}
