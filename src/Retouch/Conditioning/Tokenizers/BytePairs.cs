using System.Text;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>
/// Byte-pair encoding of a word (Sennrich et al. 2016, algorithm 1): repeatedly merges the adjacent pair of lowest rank.
/// </summary>
internal sealed class BytePairs
{
    private readonly Dictionary<string, int> _numbers = new(StringComparer.Ordinal);
    private readonly List<string> _symbols = [];
    private readonly Dictionary<(int Left, int Right), (int Rank, int Merged)> _pairs = [];

    /// <param name="merges">Merges by rank; for a duplicate pair the last rank is used.</param>
    public BytePairs(IReadOnlyList<(string Left, string Right)> merges)
    {
        for (var rank = 0; rank < merges.Count; rank++)
        {
            var (left, right) = merges[rank];
            _pairs[(Number(left), Number(right))] = (rank, Number(left + right));
        }

        for (var value = 0; value < 256; value++)
        {
            Number(ByteLetters.Of((byte)value).ToString());
            Number(ByteLetters.Of((byte)value) + ClipVocabulary.WordEnd);
        }
    }

    /// <summary>Tokens of a word, in O(n·log n) for n bytes.</summary>
    /// <param name="word">A non-empty word.</param>
    public List<string> Split(string word)
    {
        var bytes = Encoding.UTF8.GetBytes(word);
        var symbols = new int[bytes.Length];
        for (var k = 0; k < bytes.Length; k++)
            symbols[k] = _numbers[ByteLetters.Of(bytes[k]) + (k == bytes.Length - 1 ? ClipVocabulary.WordEnd : "")];
        Merge(symbols);
        return [.. symbols.Where(static s => s >= 0).Select(s => _symbols[s])];
    }

    /// <summary>Merges in place; a symbol merged into its left neighbour becomes −1.</summary>
    private void Merge(int[] symbols)
    {
        var (next, previous) = (new int[symbols.Length], new int[symbols.Length]);
        var waiting = new PriorityQueue<(int At, int Left, int Right), (int Rank, int At)>();
        for (var k = 0; k < symbols.Length; k++)
        {
            (next[k], previous[k]) = (k + 1, k - 1);
            Offer(k, k + 1);
        }

        while (waiting.TryDequeue(out var pair, out _))
        {
            var at = pair.At;
            var right = next[at];
            // Skips pairs whose symbols have been merged since they were queued.
            if (symbols[at] != pair.Left || right >= symbols.Length || symbols[right] != pair.Right)
                continue;
            symbols[at] = _pairs[(pair.Left, pair.Right)].Merged;
            symbols[right] = -1;
            next[at] = next[right];
            if (next[at] < symbols.Length)
                previous[next[at]] = at;
            if (previous[at] >= 0)
                Offer(previous[at], at);
            Offer(at, next[at]);
        }

        void Offer(int left, int right)
        {
            if (right < symbols.Length && _pairs.TryGetValue((symbols[left], symbols[right]), out var merge))
                waiting.Enqueue((left, symbols[left], symbols[right]), (merge.Rank, left));
        }
    }

    private int Number(string symbol)
    {
        if (!_numbers.TryGetValue(symbol, out var number))
        {
            _numbers[symbol] = number = _symbols.Count;
            _symbols.Add(symbol);
        }

        return number;
    }
}
