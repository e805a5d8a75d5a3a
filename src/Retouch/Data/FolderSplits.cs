using System.Text.RegularExpressions;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;

namespace Retouch.Data;

/// <summary>Parts that data sets are divided into, by the names of Hugging Face's <c>datasets</c>.</summary>
public enum DataSplit
{
    /// <summary>To train on.</summary>
    Train,

    /// <summary>To choose by.</summary>
    Validation,

    /// <summary>To measure with.</summary>
    Test,
}

/// <summary>
/// The splits of a folder: a level of its tree whose folders are named <c>train</c>, <c>validation</c>, <c>test</c> or by another word of
/// imagefolder's for them, perhaps with more behind a separator or digits (<c>train2017</c>). A lone folder of such a name among others is
/// a class: trains are things, too.
/// </summary>
/// <param name="Of">By picture; null where it lies in no split.</param>
/// <param name="Paths">The pictures' paths without the folder at that level.</param>
internal sealed partial record FolderSplits(IReadOnlyList<DataSplit?> Of, IReadOnlyList<string> Paths)
{
    private const int MostLevels = 16;

    /// <summary>Whether there are any.</summary>
    public bool Any => Of.Any(static s => s is not null);

    /// <summary>Looks for the level of splits, from the top.</summary>
    /// <param name="pictures">Paths with '/'.</param>
    public static FolderSplits Find(IReadOnlyList<string> pictures)
    {
        string[][] parts = [.. pictures.Select(static p => p.Split('/'))];
        for (var level = 0; level < MostLevels; level++)
        {
            string?[] names = [.. parts.Select(p => level < p.Length - 1 ? p[level] : null)];
            if (names.All(static n => n is null))
                break;
            if (!IsLevel([.. names.OfType<string>().Distinct(StringComparer.Ordinal)], everywhere: names.All(static n => n is not null)))
                continue;
            return new(
                [.. names.Select(static n => n is null ? null : SplitOf(n)?.Split)],
                [.. parts.Select((p, k) => names[k] is null ? pictures[k] : string.Join('/', p[..level].Concat(p[(level + 1)..])))]
            );
        }

        return new(new DataSplit?[pictures.Count], pictures);
    }

    /// <summary>The pictures of a split.</summary>
    /// <param name="wanted">The split; null takes all.</param>
    /// <param name="isPreference">Whether all are taken where there is no such split.</param>
    /// <param name="root">The folder's name, for messages.</param>
    /// <exception cref="InputException">There is no such split.</exception>
    public int[] Choose(DataSplit? wanted, bool isPreference, string root)
    {
        int[] all = [.. Enumerable.Range(0, Of.Count)];
        if (wanted is not { } split)
            return all;
        int[] chosen = [.. all.Where(k => Of[k] == split)];
        if (chosen.Length > 0)
            return chosen;
        var there = Any ? $"its splits are {string.Join(", ", Counts().Select(static c => c.Name))}" : "its folders are no splits";
        return isPreference
            ? all
            : throw new InputException(
                $"'{root}' has no pictures in the split {Name(split)}: {there}. Choose another, or leave the split out."
            );
    }

    /// <summary>The splits and what is used of them, in words.</summary>
    /// <param name="chosen">As <see cref="Choose"/> gave them.</param>
    public string Describe(IReadOnlyList<int> chosen)
    {
        var used = chosen.ToHashSet();
        bool IsUsed(DataSplit? split) => Enumerable.Range(0, Of.Count).Any(k => Of[k] == split && used.Contains(k));
        var parts = Counts().Select(c => $"{c.Name} ({Figures.Count(c.Pictures)} pictures{(IsUsed(c.Split) ? "" : ", not used")})");
        return $"folders are splits, not classes: {string.Join(", ", parts)}";
    }

    private IEnumerable<(DataSplit? Split, string Name, int Pictures)> Counts() =>
        Of.GroupBy(static s => s)
            .OrderBy(static g => g.Key ?? (DataSplit)int.MaxValue)
            .Select(static g => (g.Key, g.Key is { } split ? Name(split) : "outside of them", g.Count()));

    private static string Name(DataSplit split) => split.ToString().ToLowerInvariant();

    private static bool IsLevel(string[] names, bool everywhere)
    {
        (DataSplit Split, bool Plain)?[] found = [.. names.Select(SplitOf)];
        var plain = found.Where(static f => f is { Plain: true }).Select(static f => f!.Value.Split).Distinct().Count();
        var all = found.All(static f => f is not null);
        return plain >= 2 || (everywhere && all && (plain >= 1 || found.Select(static f => f!.Value.Split).Distinct().Count() >= 2));
    }

    /// <summary>The split that a folder's name stands for, and whether it says nothing besides.</summary>
    private static (DataSplit Split, bool Plain)? SplitOf(string name)
    {
        if (Keyword().Match(name) is not { Success: true } match)
            return null;
        var word = match.Groups["word"].Value.ToLowerInvariant();
        var split = word switch
        {
            "train" or "training" => DataSplit.Train,
            "test" or "testing" or "eval" or "evaluation" => DataSplit.Test,
            _ => DataSplit.Validation,
        };
        return (split, match.Groups["before"].Length == 0 && !match.Groups["after"].Value.Any(char.IsLetter));
    }

    [GeneratedRegex(
        "^(?<before>(?:.*[-._ 0-9])?)(?<word>train|training|validation|valid|dev|val|test|testing|eval|evaluation)"
            + "(?<after>(?:[-._ 0-9].*)?)$",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex Keyword();
}
