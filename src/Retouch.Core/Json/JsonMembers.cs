using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;

namespace Retouch.Core.Json;

/// <summary>Typed reads from a JSON object that somebody else wrote: what is missing or of another kind is named with its file.</summary>
/// <param name="json">The object.</param>
/// <param name="origin">The file's name, for messages.</param>
public sealed class JsonMembers(JsonObject json, string origin)
{
    private static readonly JsonSerializerOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>
    /// The largest whole number that a model's files give a meaning to; layers and sizes are made by such numbers, and a wrong one must not
    /// fill the memory.
    /// </summary>
    public const int Largest = 1_000_000;

    /// <summary>The file's name.</summary>
    public string Origin => origin;

    /// <summary>Whether the member is there and not null.</summary>
    public bool Has(string name) => json[name] is not null;

    /// <summary>Entries of a list; 0 where the member is missing or null.</summary>
    /// <exception cref="InputException">No list.</exception>
    public int Items(string name) =>
        json[name] switch
        {
            null => 0,
            JsonArray items => items.Count,
            _ => throw Wrong(name, "a list"),
        };

    /// <summary>A whole number of at least <paramref name="atLeast"/>.</summary>
    /// <param name="name">The member.</param>
    /// <param name="fallback">Stands in where the member is missing or null; without it that is an error.</param>
    /// <param name="atLeast">The smallest that makes sense.</param>
    /// <exception cref="InputException">Missing, no whole number, too small, or beyond <see cref="Largest"/>.</exception>
    public int Integer(string name, int? fallback = null, int atLeast = 1)
    {
        var value = Read(name, fallback, "a whole number");
        return value < atLeast ? throw Wrong(name, $"a whole number of at least {atLeast}")
            : value <= Largest ? value
            : throw Wrong(name, $"a whole number of at most {Largest}");
    }

    /// <summary>A whole number of at least one, or null where the member is missing or null.</summary>
    /// <exception cref="InputException">No whole number, or too small.</exception>
    public int? OptionalInteger(string name) => json[name] is null ? null : Integer(name);

    /// <summary>A number.</summary>
    /// <exception cref="InputException">No number, or one beyond the range of float64.</exception>
    public double Number(string name, double? fallback = null) =>
        Read(name, fallback, "a number") is var value && double.IsFinite(value) ? value : throw Wrong(name, "a finite number");

    /// <summary>A number that may be infinite, as Python writes it.</summary>
    /// <exception cref="InputException">No number.</exception>
    public double NumberOrInfinity(string name, double? fallback = null) => Read(name, fallback, "a number");

    /// <summary>A truth value.</summary>
    /// <exception cref="InputException">No truth value.</exception>
    public bool Boolean(string name, bool? fallback = null) => Read(name, fallback, "true or false");

    /// <summary>A text.</summary>
    /// <exception cref="InputException">No text.</exception>
    public string Text(string name, string? fallback = null)
    {
        if (json[name] is null)
            return fallback ?? throw Wrong(name, "a text");
        return json[name] is JsonValue value && value.TryGetValue<string>(out var text) ? text : throw Wrong(name, "a text");
    }

    /// <summary>An error about a member.</summary>
    /// <param name="name">The member.</param>
    /// <param name="expected">What it should be, as a noun.</param>
    public InputException Wrong(string name, string expected) =>
        new($"'{origin}': {name} is {json[name]?.ToJsonString(Readable) ?? "missing"}, expected {expected}.");

    private T Read<T>(string name, T? fallback, string expected)
        where T : struct
    {
        if (json[name] is null)
            return fallback ?? throw Wrong(name, expected);
        return json[name] is JsonValue value && value.TryGetValue<T>(out var read) ? read : throw Wrong(name, expected);
    }
}
