using System.Text.RegularExpressions;
using Retouch.Core.Formatting;

namespace Retouch.Data;

/// <summary>Problems of many pictures in few lines: equal ones are stated once, with the names of the others.</summary>
public static partial class PictureFaults
{
    private const int MostNames = 3;
    private const int MostKinds = 5;

    /// <summary>The lines, the most frequent problem first.</summary>
    /// <param name="pictures">Name in the source and error message of each picture.</param>
    public static IEnumerable<string> Lines(IReadOnlyCollection<(string File, string Reason)> pictures)
    {
        ArgumentNullException.ThrowIfNull(pictures);
        string[] lines =
        [
            .. pictures
                .GroupBy(static p => Kind(p.File, p.Reason), StringComparer.Ordinal)
                .OrderByDescending(static kind => kind.Count())
                .Select(static kind => Line([.. kind])),
        ];
        return Excerpt.First(lines, MostKinds);
    }

    private static string Line((string File, string Reason)[] alike)
    {
        var others = Excerpt.First([.. alike.Skip(1).Select(static p => $"'{p.File}'")], MostNames);
        return alike.Length == 1
            ? alike[0].Reason
            : $"{alike[0].Reason} The same applies to {Figures.Count(alike.Length - 1, "other")}: {string.Join(", ", others)}.";
    }

    // The message without the picture's name and its numbers, such as its size.
    private static string Kind(string file, string reason)
    {
        var quoted = Quoted().Replace(reason, match => match.Value.EndsWith(file + "'", StringComparison.Ordinal) ? "" : match.Value);
        return Digits().Replace(quoted, "0");
    }

    [GeneratedRegex("'[^']*'")]
    private static partial Regex Quoted();

    [GeneratedRegex("[0-9]+")]
    private static partial Regex Digits();
}
