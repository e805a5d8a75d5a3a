using System.Globalization;
using Retouch.Core.Errors;

namespace Retouch.Data.Shards;

/// <summary>Names of the files of a data set in several files.</summary>
internal static class ShardNames
{
    /// <summary>Files that a name stands for.</summary>
    /// <param name="name">A file; a folder, for its files of the extension; a name with a range in braces, as webdataset's
    /// <c>shard-{000000..000007}.tar</c>; or a name with <c>*</c> and <c>?</c> in its last part.</param>
    /// <param name="ending">Extension with its dot.</param>
    /// <param name="inSubfolders">Whether a folder without such files stands for those of all its subfolders.</param>
    /// <returns>Full paths, those of a folder or pattern in ordinal order; files need not exist.</returns>
    /// <exception cref="InputException">A folder or pattern has no files, or a range is malformed.</exception>
    public static IEnumerable<string> Expand(string name, string ending, bool inSubfolders = false)
    {
        if (File.Exists(name))
            return [Path.GetFullPath(name)];
        var (open, close) = (name.IndexOf('{', StringComparison.Ordinal), name.IndexOf('}', StringComparison.Ordinal));
        if (open >= 0 && close > open)
            return Range(name, name[(open + 1)..close].Split(".."))
                .SelectMany(number => Expand(name[..open] + number + name[(close + 1)..], ending));
        if (name.AsSpan().ContainsAny('*', '?'))
            return Matching(name);
        if (!Directory.Exists(name))
            return [Path.GetFullPath(name)];
        string[] found = FilesOf(name, "*" + ending, SearchOption.TopDirectoryOnly);
        if (found.Length == 0 && inSubfolders)
            found = FilesOf(name, "*" + ending, SearchOption.AllDirectories);
        return found.Length > 0 ? found : throw new InputException($"The folder '{name}' contains no {ending} files.");
    }

    private static string[] Matching(string pattern)
    {
        var full = Path.GetFullPath(pattern);
        var folder = Path.GetDirectoryName(full)!;
        if (folder.AsSpan().ContainsAny('*', '?'))
            throw new InputException($"'{pattern}' has * or ? in a folder's name; they are allowed in the name of the file only.");
        var found = Directory.Exists(folder) ? FilesOf(folder, Path.GetFileName(full), SearchOption.TopDirectoryOnly) : [];
        return found.Length > 0 ? found : throw new InputException($"No file matches '{pattern}'; check the path.");
    }

    private static string[] FilesOf(string folder, string pattern, SearchOption depth)
    {
        var root = Path.GetFullPath(folder);
        return
        [
            .. Directory
                .EnumerateFiles(root, pattern, depth)
                .Where(f => !PassedOver.IsSystemPath(Path.GetRelativePath(root, f).Replace(Path.DirectorySeparatorChar, '/')))
                .Order(StringComparer.Ordinal),
        ];
    }

    private static IEnumerable<string> Range(string pattern, string[] ends)
    {
        const int Most = 100_000;
        if (
            ends.Length != 2
            || !int.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out var first)
            || !int.TryParse(ends[1], NumberStyles.None, CultureInfo.InvariantCulture, out var last)
            || last < first
            || last - first >= Most
        )
            throw new InputException(
                $"'{pattern}' has no valid range of shards in its braces; write the first and the last number, as {{000000..000007}}."
            );
        return Enumerable.Range(first, last - first + 1).Select(n => n.ToString(CultureInfo.InvariantCulture).PadLeft(ends[0].Length, '0'));
    }
}
