using Retouch.Images;

namespace Retouch.Data;

/// <summary>
/// Files and folders that are no data: what systems and file servers put beside it (in silence), and what is made of a picture and lies
/// beside it, or has a format that is not read (counted, and named once).
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
        // macOS on other disks.
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

    private static readonly string[] Masks = ["-masklabel", "-condlabel", "_mask", "-mask", ".mask"];
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
    /// Whether a folder is a system's: hidden, beginning with two underscores (as imagefolder has it), or of a known name.
    /// </summary>
    public static bool IsSystemFolder(string name) =>
        name.StartsWith('.') || name.StartsWith("__", StringComparison.Ordinal) || SystemFolders.Contains(name);

    /// <summary>Whether a file is a system's: hidden, as the AppleDouble files of macOS are.</summary>
    public static bool IsSystemFile(string name) => name.StartsWith('.');

    /// <summary>Whether any part of a path with '/' is a system's.</summary>
    public static bool IsSystemPath(string path)
    {
        var parts = path.Split('/');
        return IsSystemFile(parts[^1]) || Array.Exists(parts[..^1], IsSystemFolder);
    }

    /// <summary>Whether a file has the ending of a picture format that is not read here.</summary>
    public static bool IsUnreadPicture(string name) =>
        PictureEndings.Contains(Path.GetExtension(name)) && !PictureFile.HasPictureExtension(name);

    /// <summary>
    /// What a picture is beside another one of the same folder, <c>mask</c> or <c>thumbnail</c>; null where it is a picture of its own.
    /// </summary>
    /// <param name="stem">Its path without the ending.</param>
    /// <param name="stems">Those of all pictures.</param>
    public static string? KindBeside(string stem, IReadOnlySet<string> stems) =>
        IsOf(stem, stems, Masks) ? "mask"
        : IsOf(stem, stems, Thumbnails) ? "thumbnail"
        : null;

    private static bool IsOf(string stem, IReadOnlySet<string> stems, string[] endings) =>
        Array.Exists(endings, e => stem.EndsWith(e, StringComparison.OrdinalIgnoreCase) && stems.Contains(stem[..^e.Length]));
}
