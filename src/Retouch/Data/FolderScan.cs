using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Images;

namespace Retouch.Data;

/// <summary>The files below a folder that matter, as paths relative to it with '/', in ordinal order.</summary>
internal sealed class FolderScan
{
    // What may stand beside a picture with its caption; sd-scripts has the second by default.
    private static readonly string[] CaptionEndings = [".txt", ".caption"];
    private static readonly string[] OtherLists = ["metadata.csv", "metadata.parquet"];

    private readonly List<string> pictures = [];
    private readonly Dictionary<string, string> captions = new(StringComparer.Ordinal);
    private readonly List<string> metadata = [];
    private readonly List<string> unread = [];
    private readonly List<string> empty = [];
    private readonly List<string> otherLists = [];
    private readonly HashSet<string> visited = new(StringComparer.Ordinal);
    private int others;

    private FolderScan(string root) => Root = root;

    public string Root { get; }

    public IReadOnlyList<string> Pictures => pictures;

    /// <summary>Files with the caption of the picture beside them.</summary>
    public IEnumerable<string> CaptionFiles => captions.Values;

    /// <summary>The metadata.jsonl files.</summary>
    public IReadOnlyList<string> Metadata => metadata;

    /// <summary>Pictures of formats that are not read.</summary>
    public IReadOnlyList<string> Unread => unread;

    /// <summary>Containers of pictures in which none is.</summary>
    public IReadOnlyList<string> Empty => empty;

    /// <summary>Lists of metadata in formats that are not read.</summary>
    public IReadOnlyList<string> UnreadLists => otherLists;

    public static FolderScan Read(string root)
    {
        ArgumentException.ThrowIfNullOrEmpty(root);
        if (!Directory.Exists(root))
        {
            throw new InputException(
                File.Exists(root)
                    ? $"'{root}' is a file; give the folder that holds the pictures."
                    : $"There is no folder '{root}'; check the path."
            );
        }

        var scan = new FolderScan(Path.GetFullPath(root));
        scan.Visit("");
        if (scan.pictures.Count == 0)
        {
            var formats =
                scan.unread.Count == 0 ? "" : $" ({scan.unread.Count} are pictures of formats that are not read, as '{scan.unread[0]}')";
            throw new InputException(
                $"'{root}' holds no pictures: looked in it and in {scan.visited.Count - 1} subfolders for files that end in "
                    + $"{string.Join(", ", PictureFile.Extensions)}, found "
                    + $"{scan.others + scan.captions.Count + scan.metadata.Count + scan.unread.Count + scan.empty.Count} other files{formats}."
            );
        }

        scan.pictures.Sort(StringComparer.Ordinal);
        scan.metadata.Sort(StringComparer.Ordinal);
        scan.unread.Sort(StringComparer.Ordinal);
        return scan;
    }

    public string FullPath(string relative) => Path.Combine(Root, relative.Replace('/', Path.DirectorySeparatorChar));

    /// <summary>The caption that stands in a file beside a picture, on one line; null where there is none.</summary>
    /// <exception cref="InputException">The file cannot be read, or is no text.</exception>
    public string? CaptionBeside(string picture) =>
        captions.TryGetValue(Stem(picture), out var path) ? FolderMetadata.OneLine(PlainText.Read(FullPath(path))) : null;

    /// <summary>A path without the ending of its name.</summary>
    public static string Stem(string path) => path[..^Path.GetExtension(path).Length];

    private void Visit(string relative)
    {
        var folder = FullPath(relative);
        // A link may lead back to a folder above it, or to one that is listed already.
        if (!visited.Add(RealPath.Of(folder)))
            return;
        string[] entries;
        try
        {
            entries = Directory.GetFileSystemEntries(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"Cannot list the folder '{folder}': {Reasons.Of(e)}. Grant access to it or move it away.", e);
        }

        Array.Sort(entries, StringComparer.Ordinal);
        foreach (var entry in entries)
        {
            var name = Path.GetFileName(entry);
            var path = relative.Length == 0 ? name : $"{relative}/{name}";
            if (Directory.Exists(entry))
            {
                if (!PassedOver.IsSystemFolder(name))
                    Visit(path);
            }
            else if (!PassedOver.IsSystemFile(name))
            {
                Add(name, path);
            }
        }
    }

    private void Add(string name, string path)
    {
        if (PictureFile.HasPictureExtension(name))
            (HeifBoxes.AreEmpty(FullPath(path)) ? empty : pictures).Add(path);
        else if (string.Equals(name, "metadata.jsonl", StringComparison.Ordinal))
            metadata.Add(path);
        else if (CaptionEndings.Contains(Path.GetExtension(name), StringComparer.OrdinalIgnoreCase))
            AddCaption(path);
        else if (PassedOver.IsUnreadPicture(name))
            unread.Add(path);
        else if (OtherLists.Contains(name, StringComparer.Ordinal))
            otherLists.Add(path);
        else
            others++;
    }

    // A .txt goes before a .caption; of two spellings of an ending the first in ordinal order.
    private void AddCaption(string path)
    {
        var isText = path.EndsWith(CaptionEndings[0], StringComparison.OrdinalIgnoreCase);
        if (
            !captions.TryGetValue(Stem(path), out var known)
            || (isText && !known.EndsWith(CaptionEndings[0], StringComparison.OrdinalIgnoreCase))
        )
            captions[Stem(path)] = path;
    }
}
