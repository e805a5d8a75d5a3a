using System.Globalization;
using System.Text.Json;
using Retouch.Core.Errors;

namespace Retouch.Conditioning.Tokenizers;

/// <summary>
/// Special tokens and prompt length from the configuration files beside a vocabulary.
/// </summary>
public sealed record SpecialTokens
{
    /// <summary>Begin-of-text token; null if the files have none.</summary>
    public string? Begin { get; init; }

    /// <summary>End-of-text token; null if the files have none.</summary>
    public string? End { get; init; }

    /// <summary>Unknown token; null if the files have none.</summary>
    public string? Unknown { get; init; }

    /// <summary>Padding token; null if the files have none.</summary>
    public string? Pad { get; init; }

    /// <summary>Further tokens matched verbatim in a prompt.</summary>
    public IReadOnlyList<string> Additional { get; init; } = [];

    /// <summary>Ids of added tokens, which may be missing from the vocabulary.</summary>
    public IReadOnlyDictionary<string, int> Added { get; init; } = new Dictionary<string, int>();

    /// <summary>Maximum number of tokens; null if unspecified or unlimited.</summary>
    public int? MaxLength { get; init; }

    /// <summary>Number of placeholders at the end of a T5 vocabulary; null if unspecified.</summary>
    public int? ExtraIds { get; init; }

    /// <summary>Class name in transformers, without <c>Fast</c>; null if unspecified.</summary>
    public string? TokenizerClass { get; init; }

    /// <summary>Parses the files of a folder, each of which is optional.</summary>
    /// <param name="config">Contents of <c>tokenizer_config.json</c>.</param>
    /// <param name="map">Contents of <c>special_tokens_map.json</c>. As in transformers, it takes precedence unless the configuration
    /// has an <c>added_tokens_decoder</c>; then it is ignored.</param>
    /// <param name="added">Contents of <c>added_tokens.json</c>.</param>
    /// <param name="origin">Folder name for error messages.</param>
    /// <exception cref="InputException">A file is malformed.</exception>
    public static SpecialTokens Parse(ReadOnlyMemory<byte>? config, ReadOnlyMemory<byte>? map, ReadOnlyMemory<byte>? added, string origin)
    {
        var tokens = new SpecialTokens();
        var decides = true;
        if (config is { } first)
        {
            var name = $"{origin}/tokenizer_config.json";
            (tokens, decides) = TokenizerBytes.Json(
                first,
                name,
                root => (FromConfig(Names(tokens, root, name), root, name), !root.TryGetProperty("added_tokens_decoder", out _))
            );
        }

        if (map is { } second && decides)
            tokens = TokenizerBytes.Json(
                second,
                $"{origin}/special_tokens_map.json",
                root => Names(tokens, root, $"{origin}/special_tokens_map.json")
            );
        if (added is { } third)
            tokens = tokens with
            {
                Added = Merge(
                    tokens.Added,
                    TokenizerBytes.Json(third, $"{origin}/added_tokens.json", root => Ids(root, $"{origin}/added_tokens.json"))
                ),
            };
        return tokens;
    }

    private static SpecialTokens Names(SpecialTokens before, JsonElement root, string origin) =>
        before with
        {
            Begin = Token(root, "bos_token", origin) ?? before.Begin,
            End = Token(root, "eos_token", origin) ?? before.End,
            Unknown = Token(root, "unk_token", origin) ?? before.Unknown,
            Pad = Token(root, "pad_token", origin) ?? before.Pad,
            Additional =
                root.TryGetProperty("additional_special_tokens", out var list) && list.ValueKind == JsonValueKind.Array
                    ? [.. list.EnumerateArray().Select(e => Content(e, "additional_special_tokens", origin))]
                    : before.Additional,
        };

    private static SpecialTokens FromConfig(SpecialTokens before, JsonElement root, string origin)
    {
        var added = new Dictionary<string, int>(StringComparer.Ordinal);
        if (root.TryGetProperty("added_tokens_decoder", out var decoder))
        {
            foreach (var entry in decoder.EnumerateObject())
            {
                if (!int.TryParse(entry.Name, NumberStyles.None, CultureInfo.InvariantCulture, out var id) || id == int.MaxValue)
                    throw new InputException(
                        $"'{origin}': added_tokens_decoder has the id '{TokenizerBytes.Short(entry.Name)}', expected a whole number."
                    );
                added[Content(entry.Value, "added_tokens_decoder", origin)] = id;
            }
        }

        var type = root.TryGetProperty("tokenizer_class", out var name) && name.ValueKind != JsonValueKind.Null ? name.GetString() : null;
        return before with
        {
            Added = added,
            // transformers writes "unlimited" as a number of thirty digits.
            MaxLength = Number(root, "model_max_length") is { } length and <= 1 << 20 ? (int)length : null,
            ExtraIds = Number(root, "extra_ids") is { } extra
                ? extra <= 10000
                    ? (int)extra
                    : throw new InputException($"'{origin}': extra_ids is {extra}, expected at most 10000.")
                : null,
            TokenizerClass = type?.EndsWith("Fast", StringComparison.Ordinal) == true ? type[..^4] : type,
        };

        double? Number(JsonElement json, string member)
        {
            if (!json.TryGetProperty(member, out var value) || value.ValueKind == JsonValueKind.Null)
                return null;
            return value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number >= 0
                ? number
                : throw new InputException(
                    $"'{origin}': {member} is {TokenizerBytes.Short(value.GetRawText())}, expected a number of at least 0."
                );
        }
    }

    private static Dictionary<string, int> Ids(JsonElement root, string origin) =>
        root.EnumerateObject().ToDictionary(static m => m.Name, m => TokenizerBytes.Id(m.Value, origin, m.Name), StringComparer.Ordinal);

    private static Dictionary<string, int> Merge(IReadOnlyDictionary<string, int> first, Dictionary<string, int> second)
    {
        foreach (var (text, id) in first)
            second[text] = id;
        return second;
    }

    private static string? Token(JsonElement root, string member, string origin) =>
        root.TryGetProperty(member, out var value) && value.ValueKind != JsonValueKind.Null ? Content(value, member, origin) : null;

    /// <summary>Text of a token, given as a string or as an object with a <c>content</c> member.</summary>
    private static string Content(JsonElement value, string member, string origin)
    {
        if (value.ValueKind == JsonValueKind.Object && value.TryGetProperty("content", out var content))
            value = content;
        return value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text
            ? text
            : throw new InputException($"'{origin}': {member} is {TokenizerBytes.Short(value.GetRawText())}, expected a token.");
    }
}
