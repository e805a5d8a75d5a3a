using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;

namespace Retouch.Training.Options;

/// <summary>Finds unknown members of an options file and suggests the closest option for each.</summary>
internal static class OptionNames
{
    /// <summary>Unknown members by path, in the order of the file; empty if all are known.</summary>
    /// <param name="options">Parsed options.</param>
    /// <param name="type">Type to bind to.</param>
    /// <param name="json">Serializer settings.</param>
    public static IReadOnlyList<string> Unknown(JsonObject options, Type type, JsonSerializerOptions json)
    {
        List<string> problems = [];
        Walk(options, json.GetTypeInfo(type), "", problems);
        return problems;
    }

    /// <summary>Description of an option's valid values.</summary>
    /// <param name="path">Path in the file, such as <c>averages[0].decay</c>.</param>
    /// <param name="root">Type that the file is bound to.</param>
    /// <param name="json">Serializer settings.</param>
    public static string Taken(string path, Type root, JsonSerializerOptions json)
    {
        var type = json.GetTypeInfo(root);
        foreach (var name in path.Split(['.', '[', ']'], StringSplitOptions.RemoveEmptyEntries))
        {
            var next = type.ElementType ?? type.Properties.FirstOrDefault(p => p.Name == name)?.PropertyType;
            if (next is null)
                break;
            type = json.GetTypeInfo(next);
        }

        var bare = Nullable.GetUnderlyingType(type.Type) ?? type.Type;
        return bare switch
        {
            { IsEnum: true } =>
                $"one of {string.Join(", ", Enum.GetValues(bare).Cast<object>().Select(v => JsonSerializer.Serialize(v, json)))}",
            _ when bare == typeof(bool) => "true or false",
            _ when bare == typeof(string) => "a text",
            _ when bare == typeof(int) || bare == typeof(long) => "a whole number",
            _ when bare == typeof(float) || bare == typeof(double) => "a number",
            _ => type.Kind == JsonTypeInfoKind.Enumerable ? "a list: [ … ]" : "an object: { … }",
        };
    }

    private static void Walk(JsonNode? node, JsonTypeInfo type, string path, List<string> problems)
    {
        switch (node)
        {
            case JsonObject members when type.Kind == JsonTypeInfoKind.Object:
                foreach (var (name, value) in members)
                {
                    var here = path.Length == 0 ? name : $"{path}.{name}";
                    if (type.Properties.FirstOrDefault(p => p.Name == name) is { } property)
                        Walk(value, type.Options.GetTypeInfo(property.PropertyType), here, problems);
                    else
                        problems.Add($"unknown option '{here}'.{Suggestion(name, type.Properties)}");
                }

                break;
            case JsonArray items when type is { Kind: JsonTypeInfoKind.Enumerable, ElementType: { } element }:
                for (var k = 0; k < items.Count; k++)
                    Walk(items[k], type.Options.GetTypeInfo(element), $"{path}[{k}]", problems);
                break;
        }
    }

    private static string Suggestion(string name, IEnumerable<JsonPropertyInfo> properties)
    {
        var known = properties.Select(static p => p.Name).ToArray();
        var near = known.MinBy(k => Distance(k.ToLowerInvariant(), name.ToLowerInvariant()));
        return near is not null && Distance(near.ToLowerInvariant(), name.ToLowerInvariant()) <= Math.Max(2, name.Length / 3)
            ? $" Did you mean '{near}'?"
            : $" Known here: {string.Join(", ", known)}.";
    }

    /// <summary>Levenshtein distance: insertions, deletions and substitutions of characters.</summary>
    private static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)));
        }

        return row[^1];
    }
}
