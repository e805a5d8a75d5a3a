using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Images;

namespace Retouch.Data;

/// <summary>Relevant files below a folder, as relative paths with '/', in ordinal order.</summary>
internal sealed class FolderScan
{
    // .caption is the default of sd-scripts.
    private static readonly string[] CaptionEndings = [".txt", ".caption"];
    private static readonly string[] OtherLists = ["metadata.csv", "metadata.parquet"];

    private readonly List<string> _pictures = [];
    private readonly Dictionary<string, string> _captions = new(StringComparer.Ordinal);
    private readonly List<string> _metadata = [];
    private readonly List<string> _unread = [];
    private readonly List<string> _empty = [];
    private readonly List<string> _otherLists = [];
    private readonly HashSet<string> _visited = new(StringComparer.Ordinal);
    private int _others;
    private string? _table;

    private FolderScan(string root) => Root = root;

    public string Root { get; }

    public IReadOnlyList<string> Pictures => _pictures;

    /// <summary>Caption files, each beside its picture.</summary>
    public IEnumerable<string> CaptionFiles => _captions.Values;

    /// <summary>The metadata.jsonl files.</summary>
    public IReadOnlyList<string> Metadata => _metadata;

    /// <summary>Pictures of unsupported formats.</summary>
    public IReadOnlyList<string> Unread => _unread;

    /// <summary>HEIF files without a picture.</summary>
    public IReadOnlyList<string> Empty => _empty;

    /// <summary>Metadata files of unsupported formats.</summary>
    public IReadOnlyList<string> UnreadLists => _otherLists;

    public static FolderScan Read(string root)
    {
        ArgumentException.ThrowIfNullOrEmpty(root);
        if (!Directory.Exists(root))
        {
            throw new InputException(
                File.Exists(root)
                    ? $"'{root}' is a file; give the folder with the pictures."
                    : $"There is no folder '{root}'; check the path."
            );
        }

        var scan = new FolderScan(Path.GetFullPath(root));
        scan.Visit("");
        if (scan._pictures.Count == 0)
        {
            var others = scan._others + scan._captions.Count + scan._metadata.Count + scan._unread.Count + scan._empty.Count;
            var formats =
                scan._unread.Count == 0 ? "" : $" ({scan._unread.Count} are pictures of unsupported formats, as '{scan._unread[0]}')";
            throw new InputException(
                $"'{root}' contains no pictures: it and its {Figures.Count(scan._visited.Count - 1, "subfolder")} have "
                    + $"{Figures.Count(others, "file")}, none with one of the extensions "
                    + $"{string.Join(", ", PictureFile.Extensions)}{formats}."
                    + (scan._table is { } table ? $" '{table}' is a Parquet file: give such files as data.parquet." : "")
            );
        }

        scan._pictures.Sort(StringComparer.Ordinal);
        scan._metadata.Sort(StringComparer.Ordinal);
        scan._unread.Sort(StringComparer.Ordinal);
        return scan;
    }

    public string FullPath(string relative) => Path.Combine(Root, relative.Replace('/', Path.DirectorySeparatorChar));

    /// <summary>Reads the lines of all metadata.jsonl files.</summary>
    /// <param name="form">Example of a line, for messages.</param>
    /// <param name="action">Called with the picture's path relative to the root, the line's object, and its file and line.</param>
    /// <exception cref="InputException">A line is not an object or has no <c>file_name</c>.</exception>
    public void ReadMetadata(string form, Action<string, JsonElement, string> action)
    {
        foreach (var file in _metadata)
        {
            var folder = file[..(file.LastIndexOf('/') + 1)];
            JsonLines.Read(
                FullPath(file),
                form,
                (entry, where) =>
                {
                    var name =
                        JsonLines.Text(entry, "file_name", where)
                        ?? throw new InputException($"The member 'file_name' is missing in {where}; every line must name its picture.");
                    action(folder + JsonLines.Tidy(name), entry, where);
                }
            );
        }
    }

    /// <summary>Caption from a file beside a picture, as one line; null without such a file.</summary>
    /// <exception cref="InputException">The file cannot be read, or is not text.</exception>
    public string? CaptionBeside(string picture) =>
        _captions.TryGetValue(Stem(picture), out var path) ? FolderMetadata.OneLine(PlainText.Read(FullPath(path))) : null;

    /// <summary>Path without extension.</summary>
    public static string Stem(string path) => path[..^Path.GetExtension(path).Length];

    private void Visit(string relative)
    {
        var folder = FullPath(relative);
        // A link can lead to a parent folder or to a folder that was already listed.
        if (!_visited.Add(RealPath.Of(folder)))
            return;
        string[] entries;
        try
        {
            entries = Directory.GetFileSystemEntries(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"Cannot list the folder '{folder}': {Reasons.Of(e)}. Grant access to it or move it elsewhere.", e);
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
            (HeifBoxes.AreEmpty(FullPath(path)) ? _empty : _pictures).Add(path);
        else if (string.Equals(name, "metadata.jsonl", StringComparison.Ordinal))
            _metadata.Add(path);
        else if (CaptionEndings.Contains(Path.GetExtension(name), StringComparer.OrdinalIgnoreCase))
            AddCaption(path);
        else if (PassedOver.IsUnreadPicture(name))
            _unread.Add(path);
        else if (OtherLists.Contains(name, StringComparer.Ordinal))
            _otherLists.Add(path);
        else
            (_others, _table) = (_others + 1, path.EndsWith(".parquet", StringComparison.OrdinalIgnoreCase) ? _table ?? path : _table);
    }

    // .txt takes precedence over .caption; of several spellings of an extension, the first in ordinal order.
    private void AddCaption(string path)
    {
        var isText = path.EndsWith(CaptionEndings[0], StringComparison.OrdinalIgnoreCase);
        if (
            !_captions.TryGetValue(Stem(path), out var known)
            || (isText && !known.EndsWith(CaptionEndings[0], StringComparison.OrdinalIgnoreCase))
        )
            _captions[Stem(path)] = path;
    }
}
