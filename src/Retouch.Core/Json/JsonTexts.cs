using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Retouch.Core.Json;

/// <summary>
/// JSON that somebody else wrote, perhaps with Python, whose <c>json</c> writes <c>NaN</c> and <c>Infinity</c>, which JSON does not know.
/// </summary>
public static partial class JsonTexts
{
    private const int MaxDepth = 64;
    private const string Large = "1e999999";

    /// <summary>
    /// Decodes every text once: half of a character (an escaped surrogate that stands alone) would otherwise show up wherever it is first
    /// looked at.
    /// </summary>
    /// <exception cref="JsonException">It is no JSON, or a text in it is none.</exception>
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
            throw new JsonException("a text in it is no text", e);
        }
    }

    /// <summary>
    /// The same in JSON proper: <c>NaN</c> becomes <c>null</c>, which pandas and others write it for, and infinities numbers beyond
    /// float64,
    /// which are read as infinite.
    /// </summary>
    /// <param name="json">JSON, perhaps with numbers of Python's.</param>
    public static string Proper(string json) =>
        Replace(json, static token => token == "NaN" ? "null" : token.Replace("Infinity", Large, StringComparison.Ordinal));

    /// <summary>
    /// As <see cref="Proper"/>, every character in its place: for whoever cuts members out of the text. The numbers are no values.
    /// </summary>
    /// <param name="json">JSON, perhaps with numbers of Python's.</param>
    public static string InPlace(string json) =>
        Replace(json, static token => token == "NaN" ? "0.0" : token.Replace("Infinity", Large, StringComparison.Ordinal));

    /// <summary>
    /// Parses JSON, infinities as <see cref="Proper"/> has them. <c>NaN</c> becomes a text, which whoever wants a number refuses: a member
    /// that is read must not turn into one that is missing.
    /// </summary>
    /// <param name="json">JSON, perhaps with numbers of Python's and a byte-order mark.</param>
    /// <exception cref="JsonException">It is no JSON, a text in it is none, or an object has a member twice.</exception>
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

    /// <summary>What <see cref="Proper"/> made of a number in infinity's place, as it was written.</summary>
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

    // Texts are matched so that what stands in them is passed over.
    [GeneratedRegex(
        "\"(?:[^\"\\\\]|\\\\.)*\"|\\bNaN\\b|-?\\bInfinity\\b",
        RegexOptions.CultureInvariant | RegexOptions.Singleline,
        matchTimeoutMilliseconds: 10_000
    )]
    private static partial Regex TextOrNumber();
}
