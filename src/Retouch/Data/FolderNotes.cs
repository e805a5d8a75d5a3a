using Retouch.Core.Formatting;

namespace Retouch.Data;

/// <summary>Notes about a folder or shards that are shown once: skipped files and unexpected interpretations.</summary>
internal static class FolderNotes
{
    /// <summary>Notes about a folder.</summary>
    /// <param name="scan">Files of the folder.</param>
    /// <param name="companions">Masks and thumbnails.</param>
    /// <param name="splits">Splits of the remaining pictures.</param>
    /// <param name="chosen">Indices of the pictures in use.</param>
    /// <param name="captions">Captions of the pictures in use.</param>
    public static IEnumerable<string> Of(
        FolderScan scan,
        Companions companions,
        FolderSplits splits,
        IReadOnlyList<int> chosen,
        IEnumerable<IReadOnlyList<string>> captions
    )
    {
        if (scan.Unread.Count > 0)
            yield return $"'{scan.Root}': {Skipped(scan.Unread, "picture", "pictures")}, of unsupported formats: {Endings(scan.Unread)}.";
        if (scan.Empty.Count > 0)
            yield return $"'{scan.Root}': {Skipped(scan.Empty, "file", "files")}, truncated before the picture: {Endings(scan.Empty)}.";
        if (companions.Describe(scan.Pictures) is { } skipped)
            yield return $"'{scan.Root}': {skipped}.";
        if (scan.UnreadLists.Count > 0)
            yield return $"'{scan.Root}': {string.Join(", ", scan.UnreadLists)} is not read; write a metadata.jsonl, one object per line.";
        if (splits.Any)
            yield return $"'{scan.Root}': {splits.Describe(chosen)}.";
        if (SeveralCaptions(captions) is { } several)
            yield return $"'{scan.Root}': {several}.";
    }

    /// <summary>Note that some pictures have several captions, or null.</summary>
    public static string? SeveralCaptions(IEnumerable<IReadOnlyList<string>> captions)
    {
        var (pictures, all) = (0, 0);
        foreach (var several in captions.Where(static c => c.Count > 1))
            (pictures, all) = (pictures + 1, all + several.Count);
        return pictures == 0
            ? null
            : $"{Figures.Count(pictures)} {(pictures == 1 ? "picture has" : "pictures have")} several captions, "
                + $"{Figures.Count(all)} in total; one is drawn each time";
    }

    private static string Skipped(IReadOnlyList<string> names, string one, string many) =>
        $"{Figures.Count(names.Count)} {(names.Count == 1 ? one + " is" : many + " are")} skipped";

    private static string Endings(IReadOnlyList<string> names)
    {
        var endings = names.GroupBy(static n => Path.GetExtension(n).ToLowerInvariant()).OrderBy(static g => g.Key, StringComparer.Ordinal);
        var counts = endings.Select(static g => $"{Figures.Count(g.Count())} {g.Key}");
        return $"{string.Join(", ", counts)}; the first is '{Excerpt.Of(names[0])}'";
    }
}
