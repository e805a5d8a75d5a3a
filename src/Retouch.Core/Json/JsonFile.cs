using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Core.Json;

/// <summary>Reads JSON files; errors name the file and end with what to do.</summary>
public static class JsonFile
{
    /// <summary>The object that a file contains.</summary>
    /// <param name="path">File path.</param>
    /// <param name="advice">What to do about a broken file, as a sentence.</param>
    /// <exception cref="InputException">The file cannot be read, or is not a JSON object.</exception>
    public static JsonObject Object(string path, string advice) =>
        JsonTexts.Object(PlainText.Read(path, advice), $"'{path}'", " " + advice);

    /// <summary>The record that a file contains.</summary>
    /// <param name="path">File path.</param>
    /// <param name="style">Style that the file was written in, one of <see cref="JsonStyles"/>.</param>
    /// <param name="advice">What to do about a broken file, as a sentence.</param>
    /// <exception cref="InputException">The file cannot be read, or is not such a record.</exception>
    public static T Read<T>(string path, JsonSerializerOptions style, string advice)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize<T>(PlainText.Read(path, advice), style)
                ?? throw new InputException($"'{path}' cannot be read: it is null. {advice}");
        }
        catch (JsonException e)
        {
            throw new InputException($"'{path}' cannot be read: {Reasons.Of(e)}. {advice}", e);
        }
    }
}
