using System.Text;
using System.Text.Json;

namespace Retouch.Core.Json;

/// <summary>The texts in JSON that somebody else wrote.</summary>
public static class JsonTexts
{
    /// <summary>
    /// Decodes every text once: half of a character (an escaped surrogate that stands alone) would otherwise show up wherever it is first
    /// looked at.
    /// </summary>
    /// <exception cref="JsonException">It is no JSON, or a text in it is none.</exception>
    public static void Check(string json)
    {
        ArgumentNullException.ThrowIfNull(json);
        var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(json.TrimStart('\uFEFF')), new JsonReaderOptions { MaxDepth = 64 });
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
            throw new JsonException(e.Message, e);
        }
    }
}
