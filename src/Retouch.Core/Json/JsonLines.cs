using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Core.Json;

/// <summary>Reads files with one JSON object per line, such as metadata.jsonl. Errors name the line.</summary>
public static class JsonLines
{
    /// <summary>Calls back for every non-blank line; the object is disposed after the call.</summary>
    /// <param name="path">File path.</param>
    /// <param name="example">Example object for error messages.</param>
    /// <param name="each">Receives the object and its location.</param>
    /// <exception cref="InputException">The file cannot be read or is not text, or a line is not an object.</exception>
    public static void Read(string path, string example, Action<JsonElement, string> each)
    {
        var number = 0;
        foreach (var line in PlainText.ReadLines(path))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line))
                continue;
            var where = $"line {number} of '{path}'";
            using var entry = Parse(line, example, where);
            each(entry.RootElement, where);
        }
    }

    /// <summary>A string member; null if it is missing or null.</summary>
    /// <exception cref="InputException">The member has another type.</exception>
    public static string? Text(JsonElement entry, string member, string where)
    {
        if (!entry.TryGetProperty(member, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        return value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : throw new InputException($"The member '{member}' is not text in {where}; put it in quotes.");
    }

    /// <summary>Path with '/' and without a leading './'.</summary>
    public static string Tidy(string name)
    {
        name = name.Replace('\\', '/');
        return name.StartsWith("./", StringComparison.Ordinal) ? name[2..] : name;
    }

    /// <summary>Parses an object, accepting Python's <c>NaN</c> and <c>Infinity</c>; the caller disposes it.</summary>
    /// <exception cref="InputException">The line is not a JSON object.</exception>
    public static JsonDocument Parse(string line, string example, string where)
    {
        try
        {
            var proper = JsonTexts.Proper(line);
            JsonTexts.Check(proper);
            var entry = JsonDocument.Parse(proper);
            if (entry.RootElement.ValueKind == JsonValueKind.Object)
                return entry;
            entry.Dispose();
            throw new InputException($"There is no JSON object in {where}; write {example}.");
        }
        catch (JsonException e)
        {
            throw new InputException($"Invalid JSON in {where}: {Reasons.Of(e)}. Every line must be one object, as {example}.", e);
        }
    }
}
