using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Core.Json;

namespace Retouch.Pipelines.Diffusers;

/// <summary>
/// A JSON file with in-place changes of top-level members: all other members keep their bytes and position, whether Retouch knows them or
/// not.
/// </summary>
public sealed class ConfigDocument
{
    private readonly JsonObject _json;

    private ConfigDocument(string text, JsonObject json) => (Text, _json) = (text, json);

    /// <summary>Content of the file.</summary>
    public string Text { get; }

    /// <summary>Copy of the members.</summary>
    public JsonObject Json => _json.DeepClone().AsObject();

    /// <summary>Reads a file.</summary>
    /// <exception cref="InputException">The file is missing, is not a JSON object, or has a duplicate member.</exception>
    public static ConfigDocument Read(string path) => Parse(PlainText.Read(path), path);

    /// <summary>Parses the content of a file.</summary>
    /// <exception cref="InputException">The text is not a JSON object, or has a duplicate member.</exception>
    public static ConfigDocument Parse(string text, string origin) => new(text, JsonTexts.Object(text, $"'{origin}'"));

    /// <summary>Creates a document in diffusers' layout.</summary>
    public static ConfigDocument Create(JsonObject json)
    {
        ArgumentNullException.ThrowIfNull(json);
        return new ConfigDocument(json.ToJsonString(JsonStyles.DatasetDocument) + "\n", json.DeepClone().AsObject());
    }

    /// <summary>
    /// Applies the difference between two states of the members: changed values, new members (at the end), removed members.
    /// </summary>
    /// <param name="before">Members at the time of reading.</param>
    /// <param name="after">New members.</param>
    public ConfigDocument Change(JsonObject before, JsonObject after)
    {
        ArgumentNullException.ThrowIfNull(before);
        ArgumentNullException.ThrowIfNull(after);
        var members = RawMembers();
        var changed = false;
        foreach (var (name, value) in after)
        {
            if (before.TryGetPropertyValue(name, out var old) && JsonNode.DeepEquals(old, value))
                continue;
            changed = true;
            var raw = (JsonSerializer.Serialize(name), Indent(value));
            var place = members.FindIndex(m => m.Name == name);
            if (place >= 0)
                members[place] = (name, raw.Item1, raw.Item2);
            else
                members.Add((name, raw.Item1, raw.Item2));
        }

        changed |= members.RemoveAll(m => before.ContainsKey(m.Name) && !after.ContainsKey(m.Name)) > 0;
        if (!changed)
            return this;
        return Parse($"{{\n{string.Join(",\n", members.Select(static m => $"  {m.Key}: {m.Value}"))}\n}}\n", "changed document");
    }

    private static string Indent(JsonNode? value) => (value?.ToJsonString(JsonStyles.DatasetDocument) ?? "null").ReplaceLineEndings("\n  ");

    /// <summary>Top-level members with the source text of their keys and values.</summary>
    private List<(string Name, string Key, string Value)> RawMembers()
    {
        var bytes = Encoding.UTF8.GetBytes(Text.TrimStart('\uFEFF'));
        var reader = new Utf8JsonReader(
            Encoding.UTF8.GetBytes(JsonTexts.InPlace(Text.TrimStart('\uFEFF'))),
            new JsonReaderOptions { MaxDepth = 64 }
        );
        var members = new List<(string, string, string)>();
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            var key = Slice(reader.TokenStartIndex, reader.TokenStartIndex + reader.ValueSpan.Length + 2);
            reader.Read();
            var start = reader.TokenStartIndex;
            reader.Skip();
            members.Add((name, key, Slice(start, reader.BytesConsumed)));
        }

        return members;

        string Slice(long from, long to) => Encoding.UTF8.GetString(bytes[(int)from..(int)to]);
    }
}
