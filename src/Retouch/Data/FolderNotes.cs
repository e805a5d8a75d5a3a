using Retouch.Core.Formatting;

namespace Retouch.Data;

/// <summary>What is told once of a folder's or a shard's pictures: what was left out, and what is not used as it seems.</summary>
internal static class FolderNotes
{
    /// <summary>The notes of a folder.</summary>
    /// <param name="scan">Its files.</param>
    /// <param name="companions">Pictures that lie beside others.</param>
    /// <param name="splits">The splits of the rest.</param>
    /// <param name="chosen">Those of the rest that are used.</param>
    /// <param name="captions">Their captions.</param>
    public static IEnumerable<string> Of(
        FolderScan scan,
        Companions companions,
        FolderSplits splits,
        IReadOnlyList<int> chosen,
        IEnumerable<IReadOnlyList<string>> captions
    )
    {
        if (scan.Unread.Count > 0)
            yield return $"'{scan.Root}': {LeftOut(scan.Unread, "picture", "pictures")}, of formats that are not read: {Endings(scan.Unread)}.";
        if (scan.Empty.Count > 0)
            yield return $"'{scan.Root}': {LeftOut(scan.Empty, "file", "files")}, cut off before the picture begins: {Endings(scan.Empty)}.";
        if (companions.Count > 0)
            yield return $"'{scan.Root}': {companions.Describe(scan.Pictures)}.";
        if (scan.UnreadLists.Count > 0)
            yield return $"'{scan.Root}': {string.Join(", ", scan.UnreadLists)} is not read; write a metadata.jsonl, an object a line.";
        if (splits.Any)
            yield return $"'{scan.Root}': {splits.Describe(chosen)}.";
        if (SeveralCaptions(captions) is { } several)
            yield return $"'{scan.Root}': {several}.";
    }

    /// <summary>That some pictures have several captions; null where none has.</summary>
    public static string? SeveralCaptions(IEnumerable<IReadOnlyList<string>> captions)
    {
        var (pictures, all) = (0, 0);
        foreach (var several in captions.Where(static c => c.Count > 1))
            (pictures, all) = (pictures + 1, all + several.Count);
        return pictures == 0
            ? null
            : $"{Figures.Count(pictures)} {(pictures == 1 ? "picture has" : "pictures have")} several captions, "
                + $"{Figures.Count(all)} in all; one is drawn each time";
    }

    private static string LeftOut(IReadOnlyList<string> names, string one, string many) =>
        $"{Figures.Count(names.Count)} {(names.Count == 1 ? one + " is" : many + " are")} left out";

    private static string Endings(IReadOnlyList<string> names)
    {
        var endings = names.GroupBy(static n => Path.GetExtension(n).ToLowerInvariant()).OrderBy(static g => g.Key, StringComparer.Ordinal);
        return $"{string.Join(", ", endings.Select(static g => $"{Figures.Count(g.Count())} {g.Key}"))}; the first is '{Excerpt.Of(names[0])}'";
    }
}
