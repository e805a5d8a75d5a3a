using Retouch.Core.Formatting;

namespace Retouch.Data;

/// <summary>Pictures that belong to another one of the same folder, whose name they carry: masks and thumbnails.</summary>
internal sealed class Companions
{
    private readonly Dictionary<int, string> _kinds;

    private Companions(Dictionary<int, string> kinds) => _kinds = kinds;

    /// <summary>How many there are.</summary>
    public int Count => _kinds.Count;

    /// <summary>Looks for them.</summary>
    /// <param name="pictures">Paths.</param>
    /// <param name="isListed">Whether somebody named a picture as data: it is no companion then.</param>
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

    /// <summary>Whether a picture is one.</summary>
    public bool Contains(int index) => _kinds.ContainsKey(index);

    /// <summary>How many of each kind, in words.</summary>
    /// <param name="pictures">As for <see cref="Find"/>.</param>
    public string Describe(IReadOnlyList<string> pictures)
    {
        var kinds = _kinds.GroupBy(static p => p.Value).OrderBy(static g => g.Key, StringComparer.Ordinal);
        var counts = kinds.Select(static g => $"{Figures.Count(g.Count())} {g.Key}{(g.Count() == 1 ? "" : "s")}");
        return $"{string.Join(" and ", counts)} beside their pictures "
            + $"{(Count == 1 ? "is" : "are")} left out; the first is '{Excerpt.Of(pictures[_kinds.Keys.Min()])}'";
    }
}
