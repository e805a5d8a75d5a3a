using Retouch.Images;

namespace Retouch.Data;

/// <summary>
/// Files and folders that are not data: system files (ignored silently), and masks, thumbnails and pictures of unsupported formats
/// (counted and reported once).
/// </summary>
internal static class PassedOver
{
    private static readonly HashSet<string> SystemFolders = new(StringComparer.OrdinalIgnoreCase)
    {
        // Windows.
        "$RECYCLE.BIN",
        "RECYCLER",
        "System Volume Information",
        // Linux.
        "lost+found",
        // macOS on non-HFS volumes.
        "Network Trash Folder",
        "Temporary Items",
        // Synology and QNAP.
        "@eaDir",
        "@tmp",
        "@Recycle",
        "@Recently-Snapshot",
        "#recycle",
        "#snapshot",
    };

    // A picture to condition on, not a mask of the loss.
    private const string ConditionEnding = "-condlabel";

    private static readonly string[] Masks = ["-masklabel", ConditionEnding, "_mask", "-mask", ".mask"];
    private static readonly string[] Thumbnails = ["_thumb", "-thumb", ".thumb", "_thumbnail", "-thumbnail", ".thumbnail"];

    private static readonly HashSet<string> PictureEndings = new(StringComparer.OrdinalIgnoreCase)
    {
        ".gif",
        ".avif",
        ".heic",
        ".heif",
        ".jxl",
        ".jp2",
        ".j2k",
        ".jpx",
        ".psd",
        ".svg",
        ".tga",
        ".exr",
        ".hdr",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".pfm",
        ".ico",
        ".pcx",
        ".qoi",
        ".dds",
        ".dng",
        ".cr2",
        ".cr3",
        ".nef",
        ".arw",
        ".raf",
        ".orf",
        ".rw2",
    };

    /// <summary>
    /// Whether a folder is a system folder: hidden, starting with two underscores (as in imagefolder), or with a known name.
    /// </summary>
    public static bool IsSystemFolder(string name) =>
        name.StartsWith('.') || name.StartsWith("__", StringComparison.Ordinal) || SystemFolders.Contains(name);

    /// <summary>Whether a file is a system file: hidden, such as macOS's AppleDouble files.</summary>
    public static bool IsSystemFile(string name) => name.StartsWith('.');

    /// <summary>Whether any component of a path with '/' is a system file or folder.</summary>
    public static bool IsSystemPath(string path)
    {
        var parts = path.Split('/');
        return IsSystemFile(parts[^1]) || Array.Exists(parts[..^1], IsSystemFolder);
    }

    /// <summary>Whether a file has the extension of an unsupported picture format.</summary>
    public static bool IsUnreadPicture(string name) =>
        PictureEndings.Contains(Path.GetExtension(name)) && !PictureFile.HasPictureExtension(name);

    /// <summary>
    /// Kind of a companion picture, <c>mask</c> or <c>thumbnail</c>; null for an independent picture.
    /// </summary>
    /// <param name="stem">Path without extension.</param>
    /// <param name="stems">Paths without extension of all pictures.</param>
    public static string? KindBeside(string stem, IReadOnlySet<string> stems) =>
        IsOf(stem, stems, Masks) ? "mask"
        : IsOf(stem, stems, Thumbnails) ? "thumbnail"
        : null;

    /// <summary>Path without extension of the picture that a mask of the loss belongs to, or null.</summary>
    /// <param name="stem">Path of the mask without extension.</param>
    /// <param name="stems">Paths without extension of all pictures.</param>
    public static string? MaskedBy(string stem, IReadOnlySet<string> stems) =>
        Masks
            .Where(e => e != ConditionEnding && stem.EndsWith(e, StringComparison.OrdinalIgnoreCase))
            .Select(e => stem[..^e.Length])
            .FirstOrDefault(stems.Contains);

    private static bool IsOf(string stem, IReadOnlySet<string> stems, string[] endings) =>
        Array.Exists(endings, e => stem.EndsWith(e, StringComparison.OrdinalIgnoreCase) && stems.Contains(stem[..^e.Length]));
}
