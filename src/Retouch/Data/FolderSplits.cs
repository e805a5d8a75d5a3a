using System.Text.RegularExpressions;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;

namespace Retouch.Data;

/// <summary>Splits of a data set, by the names of Hugging Face's <c>datasets</c>.</summary>
public enum DataSplit
{
    /// <summary>Training.</summary>
    Train,

    /// <summary>Validation, for choosing options.</summary>
    Validation,

    /// <summary>Test, for measurements.</summary>
    Test,
}

/// <summary>
/// The splits of a folder: a level of its tree whose folders are named <c>train</c>, <c>validation</c>, <c>test</c> or another keyword
/// of imagefolder, optionally with a suffix after a separator or digits (<c>train2017</c>). A single folder of such a name among other
/// folders is a class, as trains are objects, too.
/// </summary>
/// <param name="Of">Split by picture; null outside the splits.</param>
/// <param name="Paths">Picture paths without the split folder.</param>
internal sealed partial record FolderSplits(IReadOnlyList<DataSplit?> Of, IReadOnlyList<string> Paths)
{
    private const int MostLevels = 16;

    /// <summary>Whether the folder has splits.</summary>
    public bool Any => Of.Any(static s => s is not null);

    /// <summary>Finds the topmost level of splits.</summary>
    /// <param name="pictures">Picture paths with '/'.</param>
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

    /// <summary>Indices of the pictures of a split.</summary>
    /// <param name="wanted">Split; null for all pictures.</param>
    /// <param name="isPreference">Whether to return all pictures if the split does not exist.</param>
    /// <param name="root">Folder name for error messages.</param>
    /// <exception cref="InputException">The split does not exist.</exception>
    public int[] Choose(DataSplit? wanted, bool isPreference, string root)
    {
        int[] all = [.. Enumerable.Range(0, Of.Count)];
        if (wanted is not { } split)
            return all;
        int[] chosen = [.. all.Where(k => Of[k] == split)];
        if (chosen.Length > 0)
            return chosen;
        var there = Any ? $"its splits are {string.Join(", ", Counts().Select(static c => c.Name))}" : "it has no split folders";
        return isPreference
            ? all
            : throw new InputException(
                $"'{root}' has no pictures in the split {Name(split)}: {there}. Choose another split, or omit the split."
            );
    }

    /// <summary>Splits with picture counts and use, as text.</summary>
    /// <param name="chosen">Result of <see cref="Choose"/>.</param>
    /// <param name="sizes">Number of pictures of each entry, if entries are files of several; null for one each.</param>
    public string Describe(IReadOnlyList<int> chosen, IReadOnlyList<int>? sizes = null)
    {
        var used = chosen.ToHashSet();
        bool IsUsed(DataSplit? split) => Enumerable.Range(0, Of.Count).Any(k => Of[k] == split && used.Contains(k));
        var parts = Counts(sizes).Select(c => $"{c.Name} ({Figures.Count(c.Pictures, "picture")}{(IsUsed(c.Split) ? "" : ", not used")})");
        return $"{(sizes is null ? "folders" : "files")} are splits, not classes: {string.Join(", ", parts)}";
    }

    private IEnumerable<(DataSplit? Split, string Name, int Pictures)> Counts(IReadOnlyList<int>? sizes = null) =>
        Of.Select((split, k) => (Split: split, Pictures: sizes?[k] ?? 1))
            .GroupBy(static e => e.Split)
            .OrderBy(static g => g.Key ?? (DataSplit)int.MaxValue)
            .Select(static g => (g.Key, g.Key is { } split ? Name(split) : "outside the splits", g.Sum(static e => e.Pictures)));

    private static string Name(DataSplit split) => split.ToString().ToLowerInvariant();

    private static bool IsLevel(string[] names, bool everywhere)
    {
        (DataSplit Split, bool Plain)?[] found = [.. names.Select(SplitOf)];
        var plain = found.Where(static f => f is { Plain: true }).Select(static f => f!.Value.Split).Distinct().Count();
        var all = found.All(static f => f is not null);
        return plain >= 2 || (everywhere && all && (plain >= 1 || found.Select(static f => f!.Value.Split).Distinct().Count() >= 2));
    }

    /// <summary>Split that a folder name denotes, and whether the name has no other words.</summary>
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
