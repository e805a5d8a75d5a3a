using Retouch.Core.Errors;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>
/// Tokens matched verbatim in a prompt before tokenization, mostly special tokens. The leftmost match wins, then the longest.
/// </summary>
internal sealed class AddedTokens
{
    private const int MaxTokens = 1 << 16;
    private const int MaxLength = 1024;

    private readonly Dictionary<(int Node, char Next), int> _edges = [];
    private readonly Dictionary<int, int> _ids = [];
    private int _nodes = 1;

    /// <param name="tokens">Texts and ids.</param>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">A token is empty or has more than 1024 characters, or there are more than 65536
    /// tokens.</exception>
    public AddedTokens(IReadOnlyCollection<KeyValuePair<string, int>> tokens, string origin)
    {
        if (tokens.Count > MaxTokens)
            throw new InputException($"'{origin}' adds {tokens.Count} tokens to the vocabulary; at most {MaxTokens} are supported.");
        foreach (var (text, id) in tokens)
        {
            if (text.Length is 0 or > MaxLength)
                throw new InputException(
                    $"'{origin}' adds a token of {text.Length} characters ('{TokenizerBytes.Short(text)}'); 1 to {MaxLength} are supported."
                );
            var node = 0;
            foreach (var next in text)
            {
                if (!_edges.TryGetValue((node, next), out var child))
                    _edges[(node, next)] = child = _nodes++;
                node = child;
            }

            _ids[node] = id;
        }
    }

    /// <summary>Token ids of a text, in order: added tokens, and the ids of the text between them from
    /// <paramref name="between"/>.</summary>
    public List<int> Encode(string text, Func<string, IEnumerable<int>> between)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>();
        foreach (var (piece, added) in Split(text))
            ids.AddRange(added is { } id ? [id] : between(piece));
        return ids;
    }

    /// <summary>Splits a text into added tokens (with an id) and the non-empty text between them (without one), in order.</summary>
    private IEnumerable<(string Text, int? Id)> Split(string text)
    {
        var start = 0;
        for (var at = 0; at < text.Length; )
        {
            var (length, id) = Longest(text, at);
            if (length == 0)
            {
                at++;
                continue;
            }

            if (at > start)
                yield return (text[start..at], null);
            yield return (text.Substring(at, length), id);
            start = at += length;
        }

        if (start < text.Length)
            yield return (text[start..], null);
    }

    private (int Length, int Id) Longest(string text, int at)
    {
        var (node, best) = (0, default((int Length, int Id)));
        for (var k = at; k < text.Length && _edges.TryGetValue((node, text[k]), out node); k++)
        {
            if (_ids.TryGetValue(node, out var id))
                best = (k + 1 - at, id);
        }

        return best;
    }
}
