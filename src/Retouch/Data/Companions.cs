using Retouch.Core.Formatting;

namespace Retouch.Data;

/// <summary>Masks and thumbnails: pictures named after another picture of the same folder.</summary>
internal sealed class Companions
{
    private readonly Dictionary<int, string> _kinds;

    private Companions(Dictionary<int, string> kinds) => _kinds = kinds;

    /// <summary>Number of companions.</summary>
    public int Count => _kinds.Count;

    /// <summary>Finds companions.</summary>
    /// <param name="pictures">Picture paths.</param>
    /// <param name="isListed">Whether metadata lists a picture by index; listed pictures are not companions.</param>
    public static Companions Find(IReadOnlyList<string> pictures, Func<int, bool> isListed)
    {
        var stems = pictures.Select(FolderScan.Stem).ToHashSet(StringComparer.Ordinal);
        var kinds = new Dictionary<int, string>();
        for (var k = 0; k < pictures.Count; k++)
        {
            if (PassedOver.KindBeside(FolderScan.Stem(pictures[k]), stems) is { } kind && !isListed(k))
                kinds.Add(k, kind);
        }

        return new(kinds);
    }

    /// <summary>Whether a picture is a companion.</summary>
    public bool Contains(int index) => _kinds.ContainsKey(index);

    /// <summary>Counts by kind, as text.</summary>
    /// <param name="pictures">See <see cref="Find"/>.</param>
    public string Describe(IReadOnlyList<string> pictures)
    {
        var kinds = _kinds.GroupBy(static p => p.Value).OrderBy(static g => g.Key, StringComparer.Ordinal);
        var counts = kinds.Select(static g => $"{Figures.Count(g.Count())} {g.Key}{(g.Count() == 1 ? "" : "s")}");
        return $"{string.Join(" and ", counts)} beside their pictures "
            + $"{(Count == 1 ? "is" : "are")} skipped; the first is '{Excerpt.Of(pictures[_kinds.Keys.Min()])}'";
    }
}
