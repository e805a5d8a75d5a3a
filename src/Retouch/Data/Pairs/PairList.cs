using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Data.Pairs;

/// <summary>A preference between two pictures.</summary>
/// <param name="Winner">Path relative to the list's folder, with '/'.</param>
/// <param name="Loser">Path relative to the list's folder, with '/'.</param>
/// <param name="Caption">One line of text, or null.</param>
/// <param name="Label">An int, a string, or null.</param>
/// <param name="Where">Line and file for error messages.</param>
internal sealed record ListedPair(string Winner, string Loser, string? Caption, object? Label, string Where);

/// <summary>
/// A file with one preference per line, in either of two formats, which can be mixed:
/// <list type="bullet">
/// <item><c>winner</c> and <c>loser</c>, the latter a name or a list of names;</item>
/// <item>two pictures <c>jpg_0</c> and <c>jpg_1</c> (or <c>image_0</c> and <c>image_1</c>) with <c>label_0</c> and <c>label_1</c>: 1
/// for the winner, ½ each for a tie (the columns of Pick-a-Pic, Kirstain et al. 2023, with pictures as files).</item>
/// </list>
/// Both accept <c>caption</c>, <c>text</c> or <c>prompt</c>, and <c>label</c> for a class. Names are relative to the file.
/// </summary>
/// <param name="Pairs">Pairs in file order.</param>
/// <param name="Report">Statistics.</param>
internal sealed record PairList(IReadOnlyList<ListedPair> Pairs, PairReport Report)
{
    private const string Example = "{\"winner\": ..., \"loser\": ..., \"caption\": ...}";

    /// <summary>Reads a list.</summary>
    /// <param name="path">List file.</param>
    /// <param name="conflicts">Handling of ties and contradictions.</param>
    /// <exception cref="InputException">A line is malformed, names a file outside the folder or has a conflict that is refused, or no
    /// pair remains.</exception>
    public static PairList Read(string path, PairConflicts conflicts)
    {
        List<ListedPair> found = [];
        var (lines, ties) = (0, 0);
        JsonLines.Read(
            path,
            Example,
            (entry, where) =>
            {
                lines++;
                var before = found.Count;
                found.AddRange(Parse(entry, where));
                if (found.Count > before)
                    return;
                ties++;
                if (conflicts == PairConflicts.Refuse)
                    throw new InputException($"There is a tie in {where}; remove the line, or skip conflicts.");
            }
        );
        return Of(path, found, lines, ties, conflicts, $"Every line must be an object like {Example}.");
    }

    /// <summary>Applies the handling of contradictions to pairs.</summary>
    /// <param name="path">Source of the pairs, for error messages.</param>
    /// <param name="found">All pairs.</param>
    /// <param name="lines">Number of lines.</param>
    /// <param name="ties">Number of lines without a winner.</param>
    /// <param name="conflicts">Handling of contradictions.</param>
    /// <param name="help">Last sentence of the message if no pair remains.</param>
    /// <exception cref="InputException">There is a contradiction that is refused, or no pair remains.</exception>
    public static PairList Of(string path, List<ListedPair> found, int lines, int ties, PairConflicts conflicts, string help)
    {
        var ways = found.Select(static p => (p.Caption, p.Winner, p.Loser)).ToHashSet();
        var contradicting = found.Where(p => ways.Contains((p.Caption, p.Loser, p.Winner))).ToList();
        if (conflicts == PairConflicts.Refuse && contradicting.Count > 0)
        {
            var p = contradicting[0];
            throw new InputException(
                $"'{p.Winner}' is preferred to '{p.Loser}' in {p.Where}, and the opposite is stated elsewhere for the same prompt; "
                    + $"remove one of them, or skip conflicts."
            );
        }

        if (conflicts != PairConflicts.Keep && contradicting.Count > 0)
            found = [.. found.Where(p => !ways.Contains((p.Caption, p.Loser, p.Winner)))];
        if (found.Count == 0)
            throw new InputException(
                $"'{path}' contains no usable pair: {lines} lines, {ties} ties, {contradicting.Count} contradictions. " + help
            );
        return new PairList(found, new PairReport(lines, found.Count, ties, contradicting.Count));
    }

    private static List<ListedPair> Parse(JsonElement entry, string where)
    {
        var caption = (
            JsonLines.Text(entry, "caption", where) ?? JsonLines.Text(entry, "text", where) ?? JsonLines.Text(entry, "prompt", where)
        )
            is { } text
            ? FolderMetadata.OneLine(text)
            : null;
        var label = entry.TryGetProperty("label", out var l) && l.ValueKind != JsonValueKind.Null ? FolderMetadata.Label(l, where) : null;
        var (winner, losers) =
            entry.TryGetProperty("winner", out _) || entry.TryGetProperty("loser", out _) ? Named(entry, where) : Columns(entry, where);
        List<ListedPair> pairs = [];
        foreach (var loser in losers)
        {
            if (loser == winner)
                throw new InputException($"'{winner}' is both winner and loser in {where}; name two pictures.");
            pairs.Add(new ListedPair(winner, loser, caption, label, where));
        }

        return pairs;
    }

    private static (string Winner, IReadOnlyList<string> Losers) Named(JsonElement entry, string where)
    {
        var winner = File(JsonLines.Text(entry, "winner", where), "winner", where);
        if (!entry.TryGetProperty("loser", out var loser) || loser.ValueKind != JsonValueKind.Array)
            return (winner, [File(JsonLines.Text(entry, "loser", where), "loser", where)]);
        var losers = loser
            .EnumerateArray()
            .Select(e =>
                File(
                    e.ValueKind == JsonValueKind.String
                        ? e.GetString()
                        : throw new InputException($"The list 'loser' contains a value that is not text in {where}; list file names."),
                    "loser",
                    where
                )
            )
            .ToList();
        return losers.Count > 0
            ? (winner, losers)
            : throw new InputException($"The list 'loser' is empty in {where}; name a picture, or remove the line.");
    }

    private static (string Winner, IReadOnlyList<string> Losers) Columns(JsonElement entry, string where)
    {
        string Picture(int k) =>
            File(JsonLines.Text(entry, $"jpg_{k}", where) ?? JsonLines.Text(entry, $"image_{k}", where), $"jpg_{k}", where);
        double Label(int k) =>
            entry.TryGetProperty($"label_{k}", out var value)
            && value.ValueKind == JsonValueKind.Number
            && value.TryGetDouble(out var x)
            && x is >= 0 and <= 1
                ? x
                : throw new InputException(
                    $"The member 'label_{k}' is not a number from 0 to 1 in {where}; it must be 1 for the winner, 0 for the loser, 0.5 "
                        + $"for a tie. Or write {Example}."
                );
        if (!entry.TryGetProperty("label_0", out _) && !entry.TryGetProperty("label_1", out _))
            throw new InputException($"Neither 'winner' and 'loser' nor 'label_0' and 'label_1' is given in {where}; write {Example}.");
        var (first, second) = (Label(0), Label(1));
        if (Math.Abs(first + second - 1) > 1e-6)
            throw new InputException($"'label_0' and 'label_1' are {first} and {second} in {where}; they must add up to 1.");
        var (a, b) = (Picture(0), Picture(1));
        return first == second ? (a, [])
            : first > second ? (a, [b])
            : (b, [a]);
    }

    private static string File(string? name, string member, string where)
    {
        if (string.IsNullOrWhiteSpace(name))
            throw new InputException($"The member '{member}' does not name a file in {where}.");
        var tidy = JsonLines.Tidy(name);
        // An untrusted list must not read files outside its folder.
        if (tidy.Contains('\0') || Path.IsPathRooted(tidy) || tidy.Split('/').Contains(".."))
            throw new InputException(
                $"'{name}' in {where} is outside the list's folder; put the picture beside the list and give a relative path."
            );
        return tidy;
    }
}
