using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Core.Io;

namespace Retouch.Core.Json;

/// <summary>
/// Untrusted JSON, possibly written by Python, whose <c>json</c> module writes <c>NaN</c> and <c>Infinity</c>, which JSON does not
/// allow.
/// </summary>
public static partial class JsonTexts
{
    private const int MaxDepth = 64;
    private const string Large = "1e999999";

    /// <summary>
    /// Decodes every string once: an unpaired escaped surrogate would otherwise only be detected on first access.
    /// </summary>
    /// <exception cref="JsonException">The text is not JSON, or contains an invalid string.</exception>
    public static void Check(string json)
    {
        ArgumentNullException.ThrowIfNull(json);
        var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(json.TrimStart('\uFEFF')), new JsonReaderOptions { MaxDepth = MaxDepth });
        try
        {
            while (reader.Read())
            {
                if (reader.TokenType is JsonTokenType.PropertyName or JsonTokenType.String)
                    _ = reader.GetString();
            }
        }
        catch (InvalidOperationException e)
        {
            throw new JsonException("it contains an invalid string", e);
        }
    }

    /// <summary>
    /// Converts to standard JSON: <c>NaN</c> becomes <c>null</c>, as in pandas, and infinities become numbers beyond the range of
    /// float64, which are read as infinite.
    /// </summary>
    /// <param name="json">JSON, possibly with Python's numbers.</param>
    public static string Proper(string json) =>
        Replace(json, static token => token == "NaN" ? "null" : token.Replace("Infinity", Large, StringComparison.Ordinal));

    /// <summary>
    /// As <see cref="Proper"/>, with every character at its original position, for cutting members out of the text. The replaced
    /// numbers are not meaningful.
    /// </summary>
    /// <param name="json">JSON, possibly with Python's numbers.</param>
    public static string InPlace(string json) =>
        Replace(json, static token => token == "NaN" ? "0.0" : token.Replace("Infinity", Large, StringComparison.Ordinal));

    /// <summary>
    /// Parses JSON, with infinities as in <see cref="Proper"/>. <c>NaN</c> becomes a string, which numeric reads refuse: a NaN member
    /// must not be treated as a missing one.
    /// </summary>
    /// <param name="json">JSON, possibly with Python's numbers and a byte-order mark.</param>
    /// <exception cref="JsonException">The text is not JSON, contains an invalid string, or has a duplicate member.</exception>
    public static JsonNode? Parse(string json)
    {
        ArgumentNullException.ThrowIfNull(json);
        var proper = Replace(
            json.TrimStart('\uFEFF'),
            static token => token == "NaN" ? "\"NaN\"" : token.Replace("Infinity", Large, StringComparison.Ordinal)
        );
        Check(proper);
        return JsonNode.Parse(proper, documentOptions: new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false });
    }

    /// <summary>Parses JSON with <see cref="Parse"/>, which must be an object.</summary>
    /// <param name="json">JSON, possibly with Python's numbers and a byte-order mark.</param>
    /// <param name="where">Origin for error messages, a file with quotes.</param>
    /// <param name="advice">What to do about it: a space and a sentence, or nothing.</param>
    /// <exception cref="InputException">The text is not a JSON object, or has a duplicate member.</exception>
    public static JsonObject Object(string json, string where, string advice = "")
    {
        try
        {
            return Parse(json) as JsonObject ?? throw new InputException($"{where} is not a JSON object.{advice}");
        }
        catch (JsonException e)
        {
            throw new InputException($"{where} cannot be read: {Reasons.Of(e)}.{advice}", e);
        }
    }

    /// <summary>A value as written, truncated for messages.</summary>
    public static string Shown(JsonNode? value) => Excerpt.Of(Written(value?.ToJsonString(JsonStyles.Dataset) ?? "null"));

    /// <inheritdoc cref="Shown(JsonNode)"/>
    public static string Shown(JsonElement value) => Excerpt.Of(Written(value.GetRawText()));

    /// <summary>Restores infinities that <see cref="Proper"/> replaced.</summary>
    public static string Written(string json)
    {
        ArgumentNullException.ThrowIfNull(json);
        return json.Replace(Large, "Infinity", StringComparison.Ordinal);
    }

    private static string Replace(string json, Func<string, string> replacement)
    {
        ArgumentNullException.ThrowIfNull(json);
        return json.Contains("NaN", StringComparison.Ordinal) || json.Contains("Infinity", StringComparison.Ordinal)
            ? TextOrNumber().Replace(json, m => m.Value[0] == '"' ? m.Value : replacement(m.Value))
            : json;
    }

    // Strings are matched so that their contents are not replaced.
    [GeneratedRegex(
        "\"(?:[^\"\\\\]|\\\\.)*\"|\\bNaN\\b|-?\\bInfinity\\b",
        RegexOptions.CultureInvariant | RegexOptions.Singleline,
        matchTimeoutMilliseconds: 10_000
    )]
    private static partial Regex TextOrNumber();
}
