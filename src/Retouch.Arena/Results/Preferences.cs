namespace Retouch.Arena.Results;

/// <summary>Picture preferred to others of the same item.</summary>
internal sealed record Preference(string Item, string? Caption, string Winner, IReadOnlyList<string> Losers);

/// <summary>Converts verdicts to preferences and detects contradictions.</summary>
internal static class Preferences
{
    /// <summary>
    /// One preference per winning picture, with all its losers. Verdicts of a cycle within an item are excluded, as are verdicts between
    /// identical files.
    /// </summary>
    /// <param name="items">Verdicts of one question.</param>
    /// <param name="hash">Hash of a model's picture of an item.</param>
    public static (List<Preference> Kept, List<string> Contradictions) Of(IEnumerable<ItemResult> items, Func<string, string, string> hash)
    {
        var kept = new List<Preference>();
        var contradictions = new List<string>();
        foreach (var item in items.GroupBy(static i => i.Item))
        {
            var wins = new List<(string Winner, string Loser)>();
            foreach (var verdict in item.Where(static i => i.Verdict is "first" or "second"))
            {
                var won = verdict.Verdict == "first" ? (verdict.First, verdict.Second!) : (verdict.Second!, verdict.First);
                if (hash(verdict.First, item.Key) == hash(verdict.Second!, item.Key))
                    contradictions.Add($"{item.Key}: {won.Item1} was preferred to {won.Item2}, but the files are identical");
                else
                    wins.Add(won);
            }

            var circular = wins.Where(w => Leads(wins, w.Loser, w.Winner)).ToList();
            if (circular.Count > 0)
                contradictions.Add($"{item.Key}: cycle, {string.Join(", ", circular.Select(static w => $"{w.Winner} beats {w.Loser}"))}");
            kept.AddRange(
                wins.Except(circular)
                    .GroupBy(static w => w.Winner)
                    .Select(g => new Preference(
                        item.Key,
                        item.First().Prompt,
                        g.Key,
                        [.. g.Select(static w => w.Loser).Order(StringComparer.Ordinal)]
                    ))
            );
        }

        return (kept, contradictions);
    }

    /// <summary>Whether a chain of wins leads from one model to another.</summary>
    private static bool Leads(List<(string Winner, string Loser)> wins, string from, string to)
    {
        var seen = new HashSet<string> { from };
        var open = new Stack<string>(seen);
        while (open.TryPop(out var at))
        {
            if (at == to)
                return true;
            foreach (var (_, loser) in wins.Where(w => w.Winner == at))
            {
                if (seen.Add(loser))
                    open.Push(loser);
            }
        }

        return false;
    }
}
