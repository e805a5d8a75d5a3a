using Retouch.Core.Errors;
using Retouch.Images;

namespace Retouch.Data;

/// <summary>The files below a folder that matter, as paths relative to it with '/', in ordinal order.</summary>
internal sealed class FolderScan
{
    private readonly List<string> pictures = [];
    private readonly HashSet<string> texts = new(StringComparer.Ordinal);
    private readonly List<string> metadata = [];
    private readonly HashSet<string> visited = new(StringComparer.Ordinal);
    private int others;

    private FolderScan(string root) => Root = root;

    public string Root { get; }

    public IReadOnlyList<string> Pictures => pictures;

    /// <summary>The .txt files, which may be captions.</summary>
    public IReadOnlySet<string> Texts => texts;

    /// <summary>The metadata.jsonl files.</summary>
    public IReadOnlyList<string> Metadata => metadata;

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
            throw new InputException(
                $"'{root}' holds no pictures: looked in it and in {scan.visited.Count - 1} subfolders for files that end in "
                    + $"{string.Join(", ", PictureFile.Extensions)}, found {scan.others + scan.texts.Count + scan.metadata.Count} "
                    + $"other files."
            );
        }

        scan.pictures.Sort(StringComparer.Ordinal);
        scan.metadata.Sort(StringComparer.Ordinal);
        return scan;
    }

    public string FullPath(string relative) => Path.Combine(Root, relative.Replace('/', Path.DirectorySeparatorChar));

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
            throw new InputException($"Cannot list the folder '{folder}': {e.Message} Grant access to it or move it away.", e);
        }

        Array.Sort(entries, StringComparer.Ordinal);
        foreach (var entry in entries)
        {
            var name = Path.GetFileName(entry);
            if (name.StartsWith('.'))
                continue;
            var path = relative.Length == 0 ? name : $"{relative}/{name}";
            if (Directory.Exists(entry))
                Visit(path);
            else if (PictureFile.HasPictureExtension(name))
                pictures.Add(path);
            else if (string.Equals(name, "metadata.jsonl", StringComparison.Ordinal))
                metadata.Add(path);
            else if (name.EndsWith(".txt", StringComparison.Ordinal))
                texts.Add(path);
            else
                others++;
        }
    }
}
