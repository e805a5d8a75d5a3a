using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;

namespace Retouch.Core.Json;

/// <summary>
/// Members of a configuration file in both directions. A configuration declares each member once, in a function that passes every property
/// through a method of this class: on reading, the method returns the file's value, or the property's if the member is missing; on writing,
/// it stores the property's value. Both directions check the value.
/// </summary>
/// <example>
/// <code>
/// static Shape Map(ConfigMembers members, Shape shape) =>
///     shape with { Layers = members.Integer("num_layers", shape.Layers) };
/// </code>
/// </example>
public sealed class ConfigMembers
{
    /// <summary>Expected value of a list of counts, for messages.</summary>
    public const string Counts = "a list of whole numbers of at least 1";

    private readonly JsonObject _json;
    private readonly JsonMembers _members;
    private readonly bool _writes;
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

    private ConfigMembers(JsonObject json, string origin, bool writes) =>
        (_json, _members, _writes) = (json, new JsonMembers(json, origin), writes);

    /// <summary>Whether properties are written or checked, not read.</summary>
    public bool IsWriting => _writes;

    /// <summary>Reads a configuration; missing members take the values of a new <typeparamref name="T"/>.</summary>
    /// <param name="json">Contents of the file.</param>
    /// <param name="origin">File name for error messages.</param>
    /// <param name="map">Declares the members.</param>
    /// <exception cref="InputException">A member has the wrong type or an unsupported value.</exception>
    public static T Read<T>(JsonObject json, string origin, Func<ConfigMembers, T, T> map)
        where T : new()
    {
        ArgumentNullException.ThrowIfNull(json);
        ArgumentNullException.ThrowIfNull(map);
        return map(new ConfigMembers(json, origin, writes: false), new T());
    }

    /// <summary>Writes a configuration, with its members in alphabetical order as in diffusers and transformers.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="map">Declares the members.</param>
    /// <exception cref="InputException">A property has an unsupported value.</exception>
    public static JsonObject Write<T>(T config, Func<ConfigMembers, T, T> map)
    {
        ArgumentNullException.ThrowIfNull(map);
        var json = new JsonObject();
        map(new ConfigMembers(json, "config.json", writes: true), config);
        return Copy(json.OrderBy(static pair => pair.Key, StringComparer.Ordinal));
    }

    /// <summary>Checks the properties of a configuration that was not read from a file.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="map">Declares the members.</param>
    /// <param name="origin">File name for error messages.</param>
    /// <exception cref="InputException">A property has an unsupported value.</exception>
    public static void Check<T>(T config, Func<ConfigMembers, T, T> map, string origin)
    {
        ArgumentNullException.ThrowIfNull(map);
        map(new ConfigMembers([], origin, writes: true), config);
    }

    /// <summary>An integer.</summary>
    /// <param name="name">Member name.</param>
    /// <param name="value">Property.</param>
    /// <param name="atLeast">Minimum.</param>
    /// <param name="atMost">Maximum.</param>
    /// <param name="required">Whether a missing member is an error.</param>
    public int Integer(string name, int value, int atLeast = 1, int atMost = JsonMembers.Largest, bool required = false) =>
        Member(name, value, static v => v, _ => _members.Integer(name, required ? null : value, atLeast, atMost));

    /// <summary>An integer of at least 1, or null.</summary>
    public int? Integer(string name, int? value) =>
        Member(name, value, static v => v, _ => IsGiven(name) ? _members.OptionalInteger(name) : value);

    /// <summary>A finite number.</summary>
    public double Number(string name, double value) => Member(name, value, static v => v, _ => _members.Number(name, value));

    /// <summary>A finite number, or null.</summary>
    public double? Number(string name, double? value) =>
        Member(
            name,
            value,
            static v => v,
            node =>
                node is not null ? _members.Number(name)
                : IsGiven(name) ? null
                : value
        );

    /// <summary>A Boolean.</summary>
    public bool Boolean(string name, bool value) => Member(name, value, static v => v, _ => _members.Boolean(name, value));

    /// <summary>A Boolean, or null.</summary>
    public bool? Boolean(string name, bool? value) =>
        Member(
            name,
            value,
            static v => v,
            node =>
                node is not null ? _members.Boolean(name)
                : IsGiven(name) ? null
                : value
        );

    /// <summary>A string.</summary>
    /// <param name="name">Member name.</param>
    /// <param name="value">Property.</param>
    /// <param name="allowed">Supported values.</param>
    public string Text(string name, string value, params string[] allowed) =>
        Member(name, value, static v => v, _ => _members.OneOf(name, value, allowed));

    /// <summary>A string, or null.</summary>
    /// <param name="name">Member name.</param>
    /// <param name="value">Property.</param>
    /// <param name="allowed">Supported values besides null.</param>
    public string? OptionalText(string name, string? value, params string[] allowed) =>
        Member(
            name,
            value,
            static v => v,
            node => node is null && (IsGiven(name) || value is null) ? null : _members.OneOf(name, value, allowed)
        );

    /// <summary>A list; a missing or null member is the property's value.</summary>
    /// <param name="name">Member name.</param>
    /// <param name="value">Property.</param>
    /// <param name="expected">Expected value for messages, as a noun phrase.</param>
    /// <param name="allowed">Whether an item is supported; any by default.</param>
    /// <param name="orOne">Whether a list of one item is written as that item, and read from one.</param>
    [return: NotNullIfNotNull(nameof(value))]
    public IReadOnlyList<T>? List<T>(
        string name,
        IReadOnlyList<T>? value,
        string expected,
        Func<T, bool>? allowed = null,
        bool orOne = false
    ) =>
        Member(
            name,
            value,
            items =>
                items is null ? null
                : orOne && items.Count == 1 ? JsonValue.Create(items[0])
                : new JsonArray([.. items.Select(static v => (JsonNode?)JsonValue.Create(v))]),
            _ => _members.List(name, expected, allowed, orOne) ?? value
        );

    /// <summary>A member that is not a property: only one value is supported.</summary>
    /// <param name="name">Member name.</param>
    /// <param name="value">Supported value, which a missing or null member has too.</param>
    /// <param name="why">Explanation for messages, or null.</param>
    /// <param name="also">Another name of the supported value, or null.</param>
    /// <param name="written">Whether the member is written.</param>
    public void Only(string name, JsonNode? value, string? why = null, string? also = null, bool written = true)
    {
        _names.Add(name);
        if (!_writes)
            _members.Only(name, value, why, also);
        else if (written)
            _json[name] = value;
    }

    /// <summary>A member that is not a property: a list of equal items; a missing or null member is supported too.</summary>
    /// <param name="name">Member name.</param>
    /// <param name="item">The item.</param>
    /// <param name="count">Number of items.</param>
    /// <param name="why">Reason for the number, for messages.</param>
    public void Repeated(string name, string item, int count, string why) =>
        Member(
            name,
            item,
            v => new JsonArray([.. Enumerable.Repeat(v, count).Select(static v => (JsonNode)v)]),
            node =>
                node is null || (node is JsonArray list && list.Count == count && list.All(n => n?.ToString() == item))
                    ? item
                    : throw Wrong(name, $"{item} {count} times, {why}")
        );

    /// <summary>A member that is written and not read.</summary>
    public void Written(string name, JsonNode? value)
    {
        _names.Add(name);
        if (_writes)
            _json[name] = value;
    }

    /// <summary>Leaves a member that was written out again, for readers that do not know it.</summary>
    public void OmitIf(bool omitted, string name)
    {
        if (_writes && omitted)
            _json.Remove(name);
    }

    /// <summary>All members that no other method was called for. Called last.</summary>
    public JsonObject Others(JsonObject value)
    {
        ArgumentNullException.ThrowIfNull(value);
        if (!_writes)
            return Copy(_json.Where(pair => !_names.Contains(pair.Key)));
        foreach (var (name, node) in value)
            _json[name] = node?.DeepClone();
        return value;
    }

    /// <summary>A member of another form.</summary>
    /// <param name="name">Member name.</param>
    /// <param name="value">Property.</param>
    /// <param name="write">Converts the property to the member.</param>
    /// <param name="read">Converts the member, null if missing or null, to the property.</param>
    public T Member<T>(string name, T value, Func<T, JsonNode?> write, Func<JsonNode?, T> read)
    {
        ArgumentNullException.ThrowIfNull(write);
        ArgumentNullException.ThrowIfNull(read);
        _names.Add(name);
        if (_writes)
            _json[name] = write(value);
        return read(_json[name]);
    }

    /// <summary>Whether a file that is read has a member with the value null.</summary>
    public bool IsNull(string name) => !_writes && IsGiven(name) && _json[name] is null;

    /// <summary>Creates an error about a member.</summary>
    /// <param name="name">Member name.</param>
    /// <param name="expected">Expected value, as a noun phrase.</param>
    public InputException Wrong(string name, string expected) => _members.Wrong(name, expected);

    private bool IsGiven(string name) => _json.ContainsKey(name);

    private static JsonObject Copy(IEnumerable<KeyValuePair<string, JsonNode?>> members) =>
        new(members.Select(static pair => KeyValuePair.Create(pair.Key, pair.Value?.DeepClone())));
}
