using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Core.Io;
using Retouch.Core.Json;

namespace Retouch.Data;

/// <summary>Files with a JSON object a line, such as metadata.jsonl. Every complaint names the line.</summary>
internal static class JsonLines
{
    /// <summary>Calls back for every line that is not blank; the object is gone afterwards.</summary>
    /// <param name="path">The file.</param>
    /// <param name="example">An object as it should be, for messages.</param>
    /// <param name="each">Takes the object and where it stands.</param>
    /// <exception cref="InputException">The file cannot be read, is no text, or a line is no object.</exception>
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

    /// <summary>A member that is text; null where it is missing or null.</summary>
    /// <exception cref="InputException">It is something else.</exception>
    public static string? Text(JsonElement entry, string member, string where)
    {
        if (!entry.TryGetProperty(member, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        return value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : throw new InputException($"The member '{member}' is no text in {where}; put it in quotes.");
    }

    /// <summary>A path with '/' and without a leading './'.</summary>
    public static string Tidy(string name)
    {
        name = name.Replace('\\', '/');
        return name.StartsWith("./", StringComparison.Ordinal) ? name[2..] : name;
    }

    /// <summary>A value as it was written, cut to what fits into a message.</summary>
    public static string Shown(JsonElement value) => Excerpt.Of(JsonTexts.Written(value.GetRawText()));

    /// <summary>One object, numbers of Python's (<c>NaN</c>, <c>Infinity</c>) included; the caller disposes it.</summary>
    /// <exception cref="InputException">It is none.</exception>
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
            throw new InputException($"No valid JSON in {where}: {Reasons.Of(e)}. Every line is one object, as {example}.", e);
        }
    }
}
