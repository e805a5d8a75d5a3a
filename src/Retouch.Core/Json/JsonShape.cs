using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;

namespace Retouch.Core.Json;

/// <summary>
/// Compares JSON with the record that it is read as: unknown members, missing members, and values of a wrong kind, each with its path in
/// the file, what was found and what is allowed.
/// </summary>
/// <param name="style">Style of the file, one of <see cref="JsonStyles"/>.</param>
/// <param name="noun">What a member is called: option, member.</param>
public sealed class JsonShape(JsonSerializerOptions style, string noun = "member")
{
    private readonly List<string> _problems = [];
    private readonly Dictionary<string, string> _names = new(StringComparer.Ordinal);

    /// <summary>Other names of members by their path, such as the command line option that set the member.</summary>
    public IReadOnlyDictionary<string, string> Names
    {
        get => _names;
        init
        {
            ArgumentNullException.ThrowIfNull(value);
            foreach (var (path, name) in value)
                _names[path] = name;
        }
    }

    /// <summary>All problems as sentences, in the order of the file; empty if the JSON can be read.</summary>
    /// <param name="json">The parsed file.</param>
    /// <param name="type">Type of the record.</param>
    public IReadOnlyList<string> Problems(JsonNode? json, Type type)
    {
        _problems.Clear();
        Walk(json, style.GetTypeInfo(type), "", null, isNullable: false);
        return [.. _problems];
    }

    /// <summary>Reads a record.</summary>
    /// <param name="json">The parsed file.</param>
    /// <param name="origin">Name of the file in messages.</param>
    /// <param name="help">Last sentence of the message.</param>
    /// <exception cref="UsageException">The JSON is not such a record; the message lists all problems.</exception>
    public T Bind<T>(JsonNode? json, string origin, string help)
    {
        var problems = Problems(json, typeof(T));
        if (problems.Count > 0)
            throw new UsageException($"{origin}: {string.Join("\n  ", problems)}{(problems.Count > 1 ? "\n" : " ")}{help}");
        return json.Deserialize<T>(style)!;
    }

    /// <summary>Allowed values of a type, as a noun phrase.</summary>
    /// <param name="type">Type of a member or of an entry of a list.</param>
    /// <param name="bounds">Bounds of the member, or null.</param>
    public string Expected(Type type, BoundsAttribute? bounds = null)
    {
        ArgumentNullException.ThrowIfNull(type);
        var bare = Nullable.GetUnderlyingType(type) ?? type;
        if (Attribute.GetCustomAttribute(bare, typeof(JsonFormAttribute)) is JsonFormAttribute form)
            return form.Expected;
        if (bare.IsEnum)
            return $"one of {string.Join(", ", NamesOf(bare))}";
        return Type.GetTypeCode(bare) switch
        {
            TypeCode.Boolean => "true or false",
            TypeCode.String => "a text in quotes",
            TypeCode.SByte or TypeCode.Int16 or TypeCode.Int32 or TypeCode.Int64 => "a whole number" + bounds?.AfterNoun,
            TypeCode.Byte or TypeCode.UInt16 or TypeCode.UInt32 or TypeCode.UInt64 => "a whole number"
                + (bounds ?? new BoundsAttribute { AtLeast = 0 }).AfterNoun,
            TypeCode.Single or TypeCode.Double or TypeCode.Decimal => "a number" + bounds?.AfterNoun,
            _ => IsList(bare) ? "a list [ … ]" : "an object { … }",
        };
    }

    private bool IsList(Type type) => type == typeof(JsonArray) || style.GetTypeInfo(type).Kind == JsonTypeInfoKind.Enumerable;

    private IEnumerable<string> NamesOf(Type type) =>
        Enum.GetValues(type).Cast<object>().Select(value => JsonSerializer.Serialize(value, type, style)).Distinct();

    private void Walk(JsonNode? node, JsonTypeInfo type, string path, BoundsAttribute? bounds, bool isNullable)
    {
        switch (node)
        {
            case null when isNullable:
                break;
            case JsonObject members when type.Kind == JsonTypeInfoKind.Object:
                Members(members, type, path);
                break;
            case JsonObject entries when type is { Kind: JsonTypeInfoKind.Dictionary, ElementType: { } element }:
                foreach (var (name, value) in entries)
                    Walk(value, style.GetTypeInfo(element), Join(path, name), bounds, IsNullable(element));
                break;
            case JsonArray items when type is { Kind: JsonTypeInfoKind.Enumerable, ElementType: { } element }:
                for (var k = 0; k < items.Count; k++)
                    Walk(items[k], style.GetTypeInfo(element), $"{path}[{k}]", bounds, IsNullable(element));
                break;
            case not null when type.Kind == JsonTypeInfoKind.None && Fits(node, type.Type):
                break;
            default:
                var expected = Expected(type.Type, bounds) + (isNullable ? ", or null," : "");
                _problems.Add($"{Named(path)} is {JsonTexts.Shown(node)}; {expected} is expected.");
                break;
        }
    }

    private void Members(JsonObject members, JsonTypeInfo type, string path)
    {
        foreach (var (name, value) in members)
        {
            var here = Join(path, name);
            if (type.Properties.FirstOrDefault(p => p.Name == name) is { } member)
                Walk(value, style.GetTypeInfo(member.PropertyType), here, BoundsOf(member), IsNullable(member));
            else
                _problems.Add($"unknown {noun} '{here}'.{Suggestion(name, type)}");
        }

        foreach (var member in type.Properties.Where(p => IsRequired(p) && !members.ContainsKey(p.Name)))
            _problems.Add($"{Join(path, member.Name)} is missing; {Expected(member.PropertyType, BoundsOf(member))} is expected.");
    }

    private bool Fits(JsonNode node, Type type)
    {
        try
        {
            _ = node.Deserialize(type, style);
            // The library's converter also accepts combinations, such as "left, right".
            return (Nullable.GetUnderlyingType(type) ?? type) is not { IsEnum: true } || !node.GetValue<string>().Contains(',');
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return false;
        }
    }

    private bool IsRequired(JsonPropertyInfo member) =>
        member.IsRequired || (style.RespectRequiredConstructorParameters && member.AssociatedParameter is { HasDefaultValue: false });

    // Entries of lists and dictionaries have no annotation: null is an entry only of a nullable value type.
    private static bool IsNullable(Type element) => Nullable.GetUnderlyingType(element) is not null;

    private static bool IsNullable(JsonPropertyInfo member) =>
        IsNullable(member.PropertyType) || (!member.PropertyType.IsValueType && member.IsSetNullable);

    private static BoundsAttribute? BoundsOf(JsonPropertyInfo member) =>
        member.AttributeProvider?.GetCustomAttributes(typeof(BoundsAttribute), inherit: false).OfType<BoundsAttribute>().FirstOrDefault();

    private static string Suggestion(string name, JsonTypeInfo type)
    {
        string[] known = [.. type.Properties.Select(static p => p.Name)];
        return NearestName.Of(name, known, slips: 2) is { } near ? $" Did you mean '{near}'?" : $" Known here: {string.Join(", ", known)}.";
    }

    private static string Join(string path, string name) => path.Length == 0 ? name : $"{path}.{name}";

    private string Named(string path) => path.Length == 0 ? "the top level" : _names.GetValueOrDefault(path, path);
}
