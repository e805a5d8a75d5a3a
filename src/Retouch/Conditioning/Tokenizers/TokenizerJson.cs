using System.Text.Json;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>Members common to all types of <c>tokenizer.json</c>.</summary>
internal static class TokenizerJson
{
    /// <summary>Ids of the tokens in <c>added_tokens</c>.</summary>
    /// <exception cref="Core.Errors.InputException">An id is not a whole number of at least 0.</exception>
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

    /// <summary>Type of a <c>tokenizer.json</c>: <c>BPE</c> or <c>Unigram</c>; BPE for older files without a type.</summary>
    /// <exception cref="Core.Errors.InputException">The file is malformed.</exception>
    public static string Kind(ReadOnlyMemory<byte> bytes, string origin) =>
        TokenizerBytes.Json(
            bytes,
            origin,
            static root => root.GetProperty("model").TryGetProperty("type", out var type) ? type.GetString() ?? "" : "BPE"
        );
}
