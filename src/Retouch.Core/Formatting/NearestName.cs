namespace Retouch.Core.Formatting;

/// <summary>Suggestions for misspelled names.</summary>
public static class NearestName
{
    /// <summary>The name closest to a word, if at most a third of its letters differ.</summary>
    /// <param name="word">The misspelled name; case is ignored.</param>
    /// <param name="names">Valid names.</param>
    /// <param name="slips">Letters that may differ in a short name.</param>
    /// <returns>The closest name, the first in ordinal order among equals, or null.</returns>
    public static string? Of(string word, IEnumerable<string> names, int slips = 1) =>
        AllOf(word, names, slips, most: 1) is [var name, ..] ? name : null;

    /// <summary>The names closest to a word, each with at most a third of its letters different; the closest first.</summary>
    /// <param name="word">The misspelled name; case is ignored.</param>
    /// <param name="names">Valid names.</param>
    /// <param name="slips">Letters that may differ in a short name.</param>
    /// <param name="most">Maximum number of names.</param>
    public static IReadOnlyList<string> AllOf(string word, IEnumerable<string> names, int slips = 1, int most = 3)
    {
        ArgumentNullException.ThrowIfNull(word);
        ArgumentNullException.ThrowIfNull(names);
        return
        [
            .. names
                .Select(name => (Name: name, Distance: Distance(word.ToLowerInvariant(), name.ToLowerInvariant())))
                .Where(pair => pair.Distance <= Math.Max(slips, pair.Name.TrimStart('-').Length / 3))
                .OrderBy(static pair => pair.Distance)
                .ThenBy(static pair => pair.Name, StringComparer.Ordinal)
                .Select(static pair => pair.Name)
                .Take(most),
        ];
    }

    /// <summary>Edit distance with cost 1 for insertion, deletion, substitution and transposition of neighbours.</summary>
    private static int Distance(string a, string b)
    {
        var d = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++)
        {
            for (var j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    d[i, j] = i + j;
                    continue;
                }

                var replaced = d[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                d[i, j] = Math.Min(replaced, Math.Min(d[i - 1, j], d[i, j - 1]) + 1);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                    d[i, j] = Math.Min(d[i, j], d[i - 2, j - 2] + 1);
            }
        }

        return d[a.Length, b.Length];
    }
}
