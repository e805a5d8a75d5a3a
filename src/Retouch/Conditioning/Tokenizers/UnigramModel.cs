using System.Text;
using System.Text.Json;
using Retouch.Core.Errors;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>Type of a piece of a unigram vocabulary, by sentencepiece's numbers.</summary>
public enum PieceKind
{
    /// <summary>A subword with a probability.</summary>
    Normal = 1,

    /// <summary>The replacement of characters outside the vocabulary.</summary>
    Unknown = 2,

    /// <summary>A control token, never matched in text.</summary>
    Control = 3,

    /// <summary>Matched in text before any other piece.</summary>
    UserDefined = 4,

    /// <summary>Unused.</summary>
    Unused = 5,

    /// <summary>A byte of a byte-fallback model; not supported.</summary>
    Byte = 6,
}

/// <summary>A piece of a unigram vocabulary.</summary>
/// <param name="Text">Characters; ▁ (U+2581) represents a space.</param>
/// <param name="Score">Log-probability.</param>
/// <param name="Kind">Piece type.</param>
public sealed record UnigramPiece(string Text, double Score, PieceKind Kind);

/// <summary>
/// Unigram language model over subwords (Kudo 2018, section 3.2), as used by sentencepiece and T5: a text is segmented into the most
/// probable sequence of pieces.
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
            throw new InputException($"'{origin}' has no unknown piece.");
        if (
            pieces.FirstOrDefault(static p =>
                !double.IsFinite(p.Score) || p.Text.Length is 0 or > LongestPiece || p.Kind == PieceKind.Byte
            ) is
            { } odd
        )
            throw new InputException(
                $"'{origin}': the piece '{TokenizerBytes.Short(odd.Text)}' is empty, longer than {LongestPiece} characters, without a "
                    + $"score, or a byte ({odd.Kind}, {odd.Score}); such models are not supported."
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

    /// <summary>Vocabulary; a piece's id is its index.</summary>
    public IReadOnlyList<UnigramPiece> Pieces { get; }

    /// <summary>Id of the unknown piece.</summary>
    public int UnknownId { get; }

    /// <summary>File name for error messages.</summary>
    public string Origin { get; }

    /// <summary>Ids of the added tokens of a <c>tokenizer.json</c>.</summary>
    public IReadOnlyDictionary<string, int> Added { get; private init; } = new Dictionary<string, int>();

    /// <summary>Parses a sentencepiece model, <c>spiece.model</c>.</summary>
    /// <exception cref="InputException">The file is malformed or not a unigram model.</exception>
    public static UnigramModel ParseSentencePiece(ReadOnlyMemory<byte> bytes, string origin) => SentencePieceFile.Parse(bytes, origin);

    /// <summary>Parses a <c>tokenizer.json</c> of type <c>Unigram</c>.</summary>
    /// <exception cref="InputException">The file is malformed or has another tokenizer type.</exception>
    public static UnigramModel ParseTokenizerJson(ReadOnlyMemory<byte> bytes, string origin) =>
        TokenizerBytes.Json(
            bytes,
            origin,
            root =>
            {
                var model = root.GetProperty("model");
                if (model.GetProperty("type").GetString() != "Unigram")
                    throw new InputException($"'{origin}' is not a unigram tokenizer, as T5 needs.");
                var added = TokenizerJson.Added(root, origin);
                var unknown = TokenizerBytes.Id(model.GetProperty("unk_id"), origin, "unk_id");
                var pieces = new List<UnigramPiece>();
                foreach (var entry in model.GetProperty("vocab").EnumerateArray())
                {
                    if (entry.GetArrayLength() != 2)
                        throw new InputException(
                            $"'{origin}': the vocabulary entry {TokenizerBytes.Short(entry.GetRawText())} is not a piece with a score."
                        );
                    var text = entry[0].GetString() ?? "";
                    // Special tokens are in the vocabulary but are matched as added tokens only.
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

    /// <summary>Segments a text into piece ids. Consecutive unknown characters become one id.</summary>
    /// <exception cref="InputException">The character map is corrupt.</exception>
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
            // Like sentencepiece, compares a double sum with a rounded one; this decides between equally probable segmentations (the
            // same pieces in another order).
            if (start[end] < 0 || score[at] + gain > score[end])
                (score[end], start[end], piece[end]) = ((float)(score[at] + gain), at, id);
        }
    }

    /// <summary>
    /// Normalises a text for segmentation: characters are replaced by the model's map, runs of spaces become one ▁, with one before the
    /// first word and none at the end.
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

    /// <summary>Narrows a range of pieces with a common prefix to those with a given letter at the next position.</summary>
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

    /// <summary>Precompiled character map of the normalizer, or empty.</summary>
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
