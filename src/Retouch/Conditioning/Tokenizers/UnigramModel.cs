using System.Text;
using System.Text.Json;
using Retouch.Core.Errors;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>What a piece of a unigram vocabulary is for.</summary>
public enum PieceKind
{
    /// <summary>A part of words, with a probability.</summary>
    Normal = 1,

    /// <summary>Stands for characters that no piece has.</summary>
    Unknown = 2,

    /// <summary>A marker, never found in a text.</summary>
    Control = 3,

    /// <summary>Found in a text before any other piece.</summary>
    UserDefined = 4,

    /// <summary>Not used.</summary>
    Unused = 5,

    /// <summary>A byte, for models that spell unknown characters in bytes; not supported.</summary>
    Byte = 6,
}

/// <summary>A piece of a unigram vocabulary.</summary>
/// <param name="Text">Its characters; ▁ (U+2581) stands for a space.</param>
/// <param name="Score">Logarithm of its probability.</param>
/// <param name="Kind">What it is for.</param>
public sealed record UnigramPiece(string Text, double Score, PieceKind Kind);

/// <summary>
/// A unigram language model over pieces of words (Kudo 2018, section 3.2), as sentencepiece and T5 use it: a text is split into the pieces
/// with the greatest product of probabilities.
/// </summary>
public sealed class UnigramModel
{
    internal const char Space = '\u2581';

    private const double UnknownPenalty = 10;
    private const int LongestPiece = 4096;

    private readonly string[] _sorted;
    private readonly int[] _order;
    private readonly double _largest;
    private readonly double _unknownScore;
    private readonly CharacterMap _characters;

    internal UnigramModel(IReadOnlyList<UnigramPiece> pieces, CharacterMap characters, string origin)
    {
        (Pieces, _characters, Origin) = (pieces, characters, origin);
        UnknownId = Enumerable.Range(0, pieces.Count).Where(k => pieces[k].Kind == PieceKind.Unknown).DefaultIfEmpty(-1).First();
        if (UnknownId < 0)
            throw new InputException($"'{origin}' has no piece for unknown characters.");
        if (
            pieces.FirstOrDefault(static p =>
                !double.IsFinite(p.Score) || p.Text.Length is 0 or > LongestPiece || p.Kind == PieceKind.Byte
            ) is
            { } odd
        )
            throw new InputException(
                $"'{origin}': the piece '{TokenizerBytes.Short(odd.Text)}' is empty, very long, without a score, or a byte "
                    + $"({odd.Kind}, {odd.Score}); such models are not supported."
            );
        var normal = pieces.Where(static p => p.Kind == PieceKind.Normal).Select(static p => p.Score).DefaultIfEmpty(0).ToList();
        (_largest, _unknownScore) = (normal.Max(), normal.Min() - UnknownPenalty);
        _order =
        [
            .. Enumerable
                .Range(0, pieces.Count)
                .Where(k => pieces[k].Kind is PieceKind.Normal or PieceKind.UserDefined)
                .OrderBy(k => pieces[k].Text, StringComparer.Ordinal),
        ];
        _sorted = [.. _order.Select(k => pieces[k].Text)];
        for (var k = 1; k < _sorted.Length; k++)
        {
            if (_sorted[k] == _sorted[k - 1])
                throw new InputException($"'{origin}' has the piece '{TokenizerBytes.Short(_sorted[k])}' twice.");
        }
    }

    /// <summary>The vocabulary; a piece's id is its place.</summary>
    public IReadOnlyList<UnigramPiece> Pieces { get; }

    /// <summary>Id of the piece for unknown characters.</summary>
    public int UnknownId { get; }

    /// <summary>The file's name, for messages.</summary>
    public string Origin { get; }

    /// <summary>Ids of tokens that a <c>tokenizer.json</c> adds.</summary>
    public IReadOnlyDictionary<string, int> Added { get; private init; } = new Dictionary<string, int>();

    /// <summary>Reads a sentencepiece model, <c>spiece.model</c>.</summary>
    /// <exception cref="InputException">It is malformed, or not of the kind unigram.</exception>
    public static UnigramModel ParseSentencePiece(ReadOnlyMemory<byte> bytes, string origin) => SentencePieceFile.Parse(bytes, origin);

    /// <summary>Reads a <c>tokenizer.json</c> of the kind <c>Unigram</c>.</summary>
    /// <exception cref="InputException">It is malformed, or holds another kind of tokenizer.</exception>
    public static UnigramModel ParseTokenizerJson(ReadOnlyMemory<byte> bytes, string origin) =>
        TokenizerBytes.Json(
            bytes,
            origin,
            root =>
            {
                var model = root.GetProperty("model");
                if (model.GetProperty("type").GetString() != "Unigram")
                    throw new InputException($"'{origin}' holds no unigram tokenizer, which T5's is.");
                var added = TokenizerJson.Added(root, origin);
                var unknown = TokenizerBytes.Id(model.GetProperty("unk_id"), origin, "unk_id");
                var pieces = new List<UnigramPiece>();
                foreach (var entry in model.GetProperty("vocab").EnumerateArray())
                {
                    if (entry.GetArrayLength() != 2)
                        throw new InputException(
                            $"'{origin}': the entry {TokenizerBytes.Short(entry.GetRawText())} of the vocabulary is no piece with "
                                + $"its score."
                        );
                    var text = entry[0].GetString() ?? "";
                    // Markers stand among the pieces, but are found as added tokens only.
                    pieces.Add(
                        new UnigramPiece(
                            text,
                            entry[1].GetDouble(),
                            pieces.Count == unknown ? PieceKind.Unknown
                                : added.ContainsKey(text) ? PieceKind.Control
                                : PieceKind.Normal
                        )
                    );
                }

                return new UnigramModel(pieces, CharacterMap.Parse(Characters(root), origin), origin) { Added = added };
            }
        );

    /// <summary>Ids of the pieces of a text. Neighbouring unknown characters are one.</summary>
    /// <exception cref="InputException">The table of characters is broken.</exception>
    public List<int> Split(string text)
    {
        var normal = Normalise(text);
        var (score, start, piece) = (new float[normal.Length + 1], new int[normal.Length + 1], new int[normal.Length + 1]);
        Array.Fill(start, -1);
        for (var at = 0; at < normal.Length; )
        {
            Rune.DecodeFromUtf16(normal.AsSpan(at), out _, out var character);
            var single = false;
            var (low, high) = (0, _sorted.Length);
            for (var length = 1; at + length <= normal.Length; length++)
            {
                (low, high) = Narrow(low, high, length - 1, normal[at + length - 1]);
                if (low == high)
                    break;
                if (_sorted[low].Length != length)
                    continue;
                Offer(at, length, _order[low], ScoreOf(_order[low]));
                single |= length == character;
            }

            if (!single)
                Offer(at, character, UnknownId, _unknownScore);
            at += character;
        }

        var ids = new List<int>();
        for (var end = normal.Length; end > 0; end = start[end])
        {
            if (piece[end] != UnknownId || ids.Count == 0 || ids[^1] != UnknownId)
                ids.Add(piece[end]);
        }

        ids.Reverse();
        return ids;

        void Offer(int at, int length, int id, double gain)
        {
            var end = at + length;
            // Sentencepiece compares double sums with rounded ones, which decides between equally probable splits (the same pieces in
            // another order).
            if (start[end] < 0 || score[at] + gain > score[end])
                (score[end], start[end], piece[end]) = ((float)(score[at] + gain), at, id);
        }
    }

    /// <summary>
    /// A text as it is split: characters replaced by the model's table, runs of spaces one ▁, one before the first word and none at the
    /// end.
    /// </summary>
    internal string Normalise(string text)
    {
        var source = Encoding.UTF8.GetBytes(text).AsSpan();
        var result = new StringBuilder();
        var gap = true;
        while (!source.IsEmpty)
        {
            var replaced = Encoding.UTF8.GetString(_characters.Replace(source, out var length));
            foreach (var letter in replaced)
            {
                if (letter == ' ')
                {
                    gap = true;
                    continue;
                }

                if (gap)
                    result.Append(Space);
                gap = false;
                result.Append(letter);
            }

            source = source[length..];
        }

        return result.ToString().TrimEnd(Space);
    }

    private double ScoreOf(int id) =>
        Pieces[id].Kind == PieceKind.UserDefined ? (Encoding.UTF8.GetByteCount(Pieces[id].Text) * _largest) - 0.1 : Pieces[id].Score;

    /// <summary>Of the pieces from low to high, which agree up to a place, those that have a letter there.</summary>
    private (int Low, int High) Narrow(int low, int high, int place, char letter)
    {
        return (First(letter), First(letter + 1));

        int First(int least)
        {
            var (from, to) = (low, high);
            while (from < to)
            {
                var middle = (from + to) / 2;
                if ((_sorted[middle].Length > place ? _sorted[middle][place] : -1) < least)
                    from = middle + 1;
                else
                    to = middle;
            }

            return from;
        }
    }

    /// <summary>The table of characters, wherever the normaliser has it.</summary>
    private static byte[] Characters(JsonElement root)
    {
        if (!root.TryGetProperty("normalizer", out var normalizer) || normalizer.ValueKind != JsonValueKind.Object)
            return [];
        var parts = normalizer.TryGetProperty("normalizers", out var list) ? list.EnumerateArray().AsEnumerable() : [normalizer];
        foreach (var part in parts)
        {
            if (part.TryGetProperty("precompiled_charsmap", out var map) && map.ValueKind == JsonValueKind.String)
                return map.GetBytesFromBase64();
        }

        return [];
    }
}
