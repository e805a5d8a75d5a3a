using System.Text.Json;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>What all kinds of <c>tokenizer.json</c> have in common.</summary>
internal static class TokenizerJson
{
    /// <summary>The tokens under <c>added_tokens</c>.</summary>
    /// <exception cref="Core.Errors.InputException">An id is no whole number.</exception>
    public static Dictionary<string, int> Added(JsonElement root, string origin)
    {
        var added = new Dictionary<string, int>(StringComparer.Ordinal);
        if (!root.TryGetProperty("added_tokens", out var list) || list.ValueKind == JsonValueKind.Null)
            return added;
        foreach (var token in list.EnumerateArray())
        {
            var text = token.GetProperty("content").GetString() ?? "";
            added[text] = TokenizerBytes.Id(token.GetProperty("id"), origin, text);
        }

        return added;
    }

    /// <summary>The kind of a <c>tokenizer.json</c>: <c>BPE</c>, <c>Unigram</c>; BPE where an older file names none.</summary>
    /// <exception cref="Core.Errors.InputException">It is malformed.</exception>
    public static string Kind(ReadOnlyMemory<byte> bytes, string origin) =>
        TokenizerBytes.Json(
            bytes,
            origin,
            static root => root.GetProperty("model").TryGetProperty("type", out var type) ? type.GetString() ?? "" : "BPE"
        );
}
