using System.Collections.ObjectModel;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;

namespace Retouch.Data;

/// <summary>Masks and thumbnails: pictures named after another picture of the same folder.</summary>
internal sealed class Companions
{
    private readonly Dictionary<int, string> _kinds;

    private readonly IReadOnlyDictionary<string, int> _masks;

    private Companions(Dictionary<int, string> kinds, IReadOnlyDictionary<string, int> masks) => (_kinds, _masks) = (kinds, masks);

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

        return new(kinds, ReadOnlyDictionary<string, int>.Empty);
    }

    /// <summary>The companions with masks of the loss, which are then used.</summary>
    /// <param name="pictures">See <see cref="Find"/>.</param>
    /// <exception cref="InputException">A picture has two masks.</exception>
    public Companions WithMasks(IReadOnlyList<string> pictures)
    {
        var stems = pictures.Select(FolderScan.Stem).ToHashSet(StringComparer.Ordinal);
        var masks = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var k in _kinds.Keys.Order())
        {
            if (PassedOver.MaskedBy(FolderScan.Stem(pictures[k]), stems) is { } stem && !masks.TryAdd(stem, k))
                throw new InputException(
                    $"'{pictures[masks[stem]]}' and '{pictures[k]}' are masks of the same picture; remove one of them."
                );
        }

        return new(_kinds, masks);
    }

    /// <summary>Index of the mask of a picture, or null.</summary>
    /// <param name="picture">Path of the picture.</param>
    public int? MaskOf(string picture) => _masks.TryGetValue(FolderScan.Stem(picture), out var mask) ? mask : null;

    /// <summary>Whether a picture is a companion.</summary>
    public bool Contains(int index) => _kinds.ContainsKey(index);

    /// <summary>Counts of the skipped companions by kind, as text; null without any.</summary>
    /// <param name="pictures">See <see cref="Find"/>.</param>
    public string? Describe(IReadOnlyList<string> pictures)
    {
        var used = _masks.Values.ToHashSet();
        int[] skipped = [.. _kinds.Keys.Where(k => !used.Contains(k))];
        if (skipped.Length == 0)
            return null;
        var kinds = _kinds
            .Where(p => !used.Contains(p.Key))
            .GroupBy(static p => p.Value)
            .OrderBy(static g => g.Key, StringComparer.Ordinal);
        var counts = kinds.Select(static g => $"{Figures.Count(g.Count())} {g.Key}{(g.Count() == 1 ? "" : "s")}");
        return $"{string.Join(" and ", counts)} beside their pictures "
            + $"{(skipped.Length == 1 ? "is" : "are")} skipped; the first is '{Excerpt.Of(pictures[skipped.Min()])}'";
    }
}
