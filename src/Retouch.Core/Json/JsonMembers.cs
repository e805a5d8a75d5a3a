using System.Text.Json.Nodes;
using Retouch.Core.Errors;

namespace Retouch.Core.Json;

/// <summary>Typed access to an untrusted JSON object: errors name the member and the file.</summary>
/// <param name="json">JSON object.</param>
/// <param name="origin">File name for error messages.</param>
public sealed class JsonMembers(JsonObject json, string origin)
{
    /// <summary>
    /// Largest integer by default. Model files determine layer counts and sizes by such numbers, and a wrong one must not exhaust the
    /// memory.
    /// </summary>
    public const int Largest = 1_000_000;

    /// <summary>File name for error messages.</summary>
    public string Origin => origin;

    /// <summary>Whether the member exists and is not null.</summary>
    public bool Has(string name) => json[name] is not null;

    /// <summary>Number of entries of a list; 0 if the member is missing or null.</summary>
    /// <exception cref="InputException">The member is not a list.</exception>
    public int Items(string name) =>
        json[name] switch
        {
            null => 0,
            JsonArray items => items.Count,
            _ => throw Wrong(name, "a list"),
        };

    /// <summary>An integer within a range.</summary>
    /// <param name="name">Member name.</param>
    /// <param name="fallback">Value of a missing or null member; null if the member is required.</param>
    /// <param name="atLeast">Minimum.</param>
    /// <param name="atMost">Maximum.</param>
    /// <exception cref="InputException">The member is missing, not an integer, or out of range.</exception>
    public int Integer(string name, int? fallback = null, int atLeast = 1, int atMost = Largest)
    {
        var value = Read(name, fallback, "a whole number");
        return value < atLeast ? throw Wrong(name, $"a whole number of at least {atLeast}")
            : value <= atMost ? value
            : throw Wrong(name, $"a whole number of at most {atMost}");
    }

    /// <summary>An integer of at least 1, or null if the member is missing or null.</summary>
    /// <exception cref="InputException">The member is not an integer or out of range.</exception>
    public int? OptionalInteger(string name) => json[name] is null ? null : Integer(name);

    /// <summary>A finite number.</summary>
    /// <exception cref="InputException">The member is missing, not a number, or beyond the range of float64.</exception>
    public double Number(string name, double? fallback = null) =>
        Read(name, fallback, "a number") is var value && double.IsFinite(value) ? value : throw Wrong(name, "a finite number");

    /// <summary>A number, or infinity as written by Python.</summary>
    /// <exception cref="InputException">The member is missing or not a number.</exception>
    public double NumberOrInfinity(string name, double? fallback = null) => Read(name, fallback, "a number");

    /// <summary>A Boolean.</summary>
    /// <exception cref="InputException">The member is missing or not a Boolean.</exception>
    public bool Boolean(string name, bool? fallback = null) => Read(name, fallback, "true or false");

    /// <summary>A string.</summary>
    /// <exception cref="InputException">The member is missing or not a string.</exception>
    public string Text(string name, string? fallback = null)
    {
        if (json[name] is null)
            return fallback ?? throw Wrong(name, "a text");
        return json[name] is JsonValue value && value.TryGetValue<string>(out var text) ? text : throw Wrong(name, "a text");
    }

    /// <summary>One of some strings.</summary>
    /// <param name="name">Member name.</param>
    /// <param name="fallback">Value of a missing or null member; null if the member is required.</param>
    /// <param name="allowed">Supported values; none for any.</param>
    /// <exception cref="InputException">The member is missing, not a string, or not supported.</exception>
    public string OneOf(string name, string? fallback, params IReadOnlyList<string> allowed)
    {
        ArgumentNullException.ThrowIfNull(allowed);
        var text = Text(name, fallback);
        return allowed.Count == 0 || allowed.Contains(text) ? text : throw Wrong(name, $"one of {string.Join(", ", allowed)}");
    }

    /// <summary>Rejects a value other than the supported one; a missing or null member is supported too.</summary>
    /// <param name="name">Member name.</param>
    /// <param name="value">Supported value.</param>
    /// <param name="why">Explanation for messages, or null.</param>
    /// <param name="also">Another name of the supported value, or null.</param>
    /// <exception cref="InputException">The member has another value.</exception>
    public void Only(string name, JsonNode? value, string? why = null, string? also = null)
    {
        var given = json[name];
        if (given is not null && !JsonNode.DeepEquals(given, value) && (also is null || given.ToString() != also))
            throw Wrong(name, $"{value?.ToString() ?? "null"}{(why is null ? "" : $": {why}")}");
    }

    /// <summary>A list, or null if the member is missing or null.</summary>
    /// <param name="name">Member name.</param>
    /// <param name="expected">Expected value, as a noun phrase.</param>
    /// <param name="allowed">Whether an item is supported; any by default.</param>
    /// <param name="orOne">Whether a single item is a list of one.</param>
    /// <exception cref="InputException">The member is not such a list.</exception>
    public IReadOnlyList<T>? List<T>(string name, string expected, Func<T, bool>? allowed = null, bool orOne = false)
    {
        return json[name] switch
        {
            null => null,
            JsonArray array => [.. array.Select(Item)],
            var one when orOne => [Item(one)],
            _ => throw Wrong(name, expected),
        };

        T Item(JsonNode? node) =>
            node is JsonValue value && value.TryGetValue<T>(out var read) && allowed?.Invoke(read) != false
                ? read
                : throw Wrong(name, expected);
    }

    /// <summary>Creates an error about a member.</summary>
    /// <param name="name">Member name.</param>
    /// <param name="expected">Expected value, as a noun phrase.</param>
    public InputException Wrong(string name, string expected) =>
        new($"'{origin}': {name} is {(json[name] is { } found ? JsonTexts.Shown(found) : "missing")}, expected {expected}.");

    private T Read<T>(string name, T? fallback, string expected)
        where T : struct
    {
        if (json[name] is null)
            return fallback ?? throw Wrong(name, expected);
        return json[name] is JsonValue value && value.TryGetValue<T>(out var read) ? read : throw Wrong(name, expected);
    }
}
