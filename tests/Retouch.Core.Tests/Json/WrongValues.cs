using System.Collections;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Retouch.Core.Tests.Json;

/// <summary>Plants values of a wrong JSON kind in every member of a record, found by reflection.</summary>
internal static class WrongValues
{
    /// <summary>Every member with every value of a wrong kind: its path in the file, and the file.</summary>
    /// <param name="type">Type of the record.</param>
    public static IEnumerable<(string Path, string Value, JsonNode File)> Of(Type type) => Of(type, "", static node => node);

    /// <summary>Words of .NET that no message contains.</summary>
    public static string[] Inner { get; } = ["System.", "`1", "Nullable", "Retouch.", "converted", "LineNumber"];

    private static IEnumerable<(string Path, string Value, JsonNode File)> Of(Type type, string path, Func<JsonNode?, JsonNode?> wrap)
    {
        foreach (var member in type.GetProperties().Where(static p => p.CanWrite))
        {
            var name = JsonNamingPolicy.CamelCase.ConvertName(member.Name);
            JsonNode? File(JsonNode? value) => wrap(new JsonObject { [name] = value });
            var here = path.Length == 0 ? name : $"{path}.{name}";
            foreach (var found in OfValue(member.PropertyType, here, File, !CanBeNull(member)))
                yield return found;
        }
    }

    private static IEnumerable<(string Path, string Value, JsonNode File)> OfValue(
        Type type,
        string path,
        Func<JsonNode?, JsonNode?> file,
        bool nullIsWrong
    )
    {
        var bare = Nullable.GetUnderlyingType(type) ?? type;
        foreach (var value in Wrong(bare).Concat(nullIsWrong ? ["null"] : []))
            yield return (path, value, file(JsonNode.Parse(value))!);
        if (bare == typeof(string) || typeof(JsonNode).IsAssignableFrom(bare))
            yield break;
        if (EntryOf(bare) is var (entry, isMap) && entry is not null)
        {
            Func<JsonNode?, JsonNode?> inner = isMap
                ? value => file(new JsonObject { ["any"] = value })
                : value => file(new JsonArray(value));
            foreach (var found in OfValue(entry, isMap ? path + ".any" : path + "[0]", inner, nullIsWrong: true))
                yield return found;
        }
        else if (IsRecord(bare))
            foreach (var found in Of(bare, path, file))
                yield return found;
    }

    private static string[] Wrong(Type type) =>
        type == typeof(bool) ? ["5", "\"true\"", "[]", "{}"]
        : type == typeof(string) ? ["5", "true", "[]", "{}"]
        : type.IsEnum ? ["5", "true", "\"no such name\"", "[]", "{}"]
        : type == typeof(double) ? ["\"eight\"", "true", "[]", "{}"]
        : type.IsPrimitive ? ["\"eight\"", "true", "1.5", "1e400", "[]", "{}"]
        : typeof(JsonNode).IsAssignableFrom(type) ? ["5", "\"x\"", "true", "[]"]
        : EntryOf(type) is { Entry: not null, IsMap: false } ? ["5", "\"x\"", "true", "{}"]
        : type.GetCustomAttribute<JsonConverterAttribute>() is not null ? ["true", "\"x\"", "[]", "{}"]
        : ["5", "\"x\"", "true", "[]"];

    private static (Type? Entry, bool IsMap) EntryOf(Type type)
    {
        var faces = type.GetInterfaces().Append(type).Where(static i => i.IsGenericType).ToList();
        var map = faces.Find(static i => i.GetGenericTypeDefinition() == typeof(IReadOnlyDictionary<,>));
        if (map is not null)
            return (map.GetGenericArguments()[1], true);
        return type != typeof(string) && typeof(IEnumerable).IsAssignableFrom(type)
            ? (faces.Find(static i => i.GetGenericTypeDefinition() == typeof(IEnumerable<>))?.GetGenericArguments()[0], false)
            : (null, false);
    }

    private static bool IsRecord(Type type) =>
        !type.IsPrimitive && !type.IsEnum && type.GetCustomAttribute<JsonConverterAttribute>() is null;

    private static bool CanBeNull(PropertyInfo member) =>
        Nullable.GetUnderlyingType(member.PropertyType) is not null
        || (!member.PropertyType.IsValueType && new NullabilityInfoContext().Create(member).WriteState == NullabilityState.Nullable);
}
