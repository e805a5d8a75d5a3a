using System.Text;
using Retouch.Core.Errors;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>
/// CLIP tokenizer (Radford et al. 2021, section 2.4): byte-pair encoding of lower-case text between begin and end tokens. As in
/// transformers, text in a prompt that spells a special token becomes that token: if the padding token is <c>!</c>, an exclamation mark
/// in a prompt gets its id.
/// </summary>
public sealed class ClipTokenizer : ITextTokenizer
{
    private const string DefaultBegin = "<|startoftext|>";
    private const string DefaultEnd = "<|endoftext|>";
    private const int DefaultLength = 77;

    private readonly Dictionary<string, int> _ids;
    private readonly Dictionary<int, string> _tokens;
    private readonly BytePairs _pairs;
    private readonly AddedTokens _added;
    private readonly int _begin;
    private readonly int _end;
    private readonly int _pad;
    private readonly int _unknown;

    /// <param name="vocabulary">Tokens and merges.</param>
    /// <param name="special">Special tokens; OpenAI's defaults for missing values, with the end token as padding.</param>
    /// <exception cref="InputException">A special token has no id, or the length has no room for begin and end tokens.</exception>
    public ClipTokenizer(ClipVocabulary vocabulary, SpecialTokens? special = null)
    {
        ArgumentNullException.ThrowIfNull(vocabulary);
        special ??= new SpecialTokens();
        _ids = new Dictionary<string, int>(vocabulary.Tokens, StringComparer.Ordinal);
        foreach (var (text, id) in vocabulary.Added.Concat(special.Added))
            _ids[text] = id;
        _tokens = [];
        foreach (var (text, id) in _ids)
            _tokens[id] = text;
        _pairs = new BytePairs(vocabulary.Merges);
        var (begin, end) = (special.Begin ?? DefaultBegin, special.End ?? DefaultEnd);
        string[] markers = [begin, end, special.Unknown ?? end, special.Pad ?? end, .. special.Additional];
        var found = markers
            .Concat(vocabulary.Added.Keys)
            .Concat(special.Added.Keys)
            .Distinct(StringComparer.Ordinal)
            .Select(text => KeyValuePair.Create(text, IdOf(text, vocabulary.Origin)))
            .ToList();
        _added = new AddedTokens(found, vocabulary.Origin);
        (_begin, _end, _unknown, _pad) = (_ids[markers[0]], _ids[markers[1]], _ids[markers[2]], _ids[markers[3]]);
        MaxLength = special.MaxLength ?? DefaultLength;
        if (MaxLength < 2)
            throw new InputException($"'{vocabulary.Origin}': model_max_length is {MaxLength}, too small for begin and end tokens.");
        VocabularySize = _tokens.Keys.Max() + 1;
    }

    /// <inheritdoc/>
    public int MaxLength { get; }

    /// <inheritdoc/>
    public int VocabularySize { get; }

    /// <inheritdoc/>
    public TokenSequence Encode(string text, int length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 2);
        var content = Tokenize(text);
        var kept = Math.Min(content.Count, length - 2);
        var ids = new int[length];
        Array.Fill(ids, _pad);
        ids[0] = _begin;
        content.CopyTo(0, ids, 1, kept);
        ids[kept + 1] = _end;
        return new TokenSequence(ids, kept + 2, kept < content.Count ? Decode(content[kept..]) : null);
    }

    /// <summary>Token ids of a text without begin and end tokens, untruncated.</summary>
    public List<int> Tokenize(string text) => _added.Encode(text, piece => ClipText.Words(ClipText.Clean(piece)).SelectMany(Encode));

    /// <summary>Decodes ids to lower-case text with a space after every word; unknown ids are skipped.</summary>
    public string Decode(IEnumerable<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        var bytes = new List<byte>();
        foreach (var token in ids.Select(id => _tokens.GetValueOrDefault(id, "")))
        {
            var end = token.EndsWith(ClipVocabulary.WordEnd, StringComparison.Ordinal);
            foreach (var letter in end ? token[..^ClipVocabulary.WordEnd.Length] : token)
            {
                if (ByteLetters.TryByte(letter, out var value))
                    bytes.Add(value);
            }

            if (end)
                bytes.Add((byte)' ');
        }

        return Encoding.UTF8.GetString([.. bytes]).Trim();
    }

    private IEnumerable<int> Encode(string word) =>
        word is DefaultBegin or DefaultEnd && _ids.TryGetValue(word, out var marker)
            ? [marker]
            : _pairs.Split(word).Select(token => _ids.GetValueOrDefault(token, _unknown));

    private int IdOf(string token, string origin) =>
        _ids.TryGetValue(token, out var id)
            ? id
            : throw new InputException($"'{origin}': the vocabulary has no '{TokenizerBytes.Short(token)}', a special or added token.");
}
