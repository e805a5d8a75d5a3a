using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization.Metadata;
using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Core.Json;

namespace Retouch.Training.Options;

/// <summary>
/// Reads options from JSON (comments and trailing commas allowed; unknown members are errors), overrides single values, and writes resolved
/// options.
/// </summary>
public static class OptionsFile
{
    /// <summary>Parses an options file.</summary>
    /// <exception cref="InputException">The file does not exist or is unreadable.</exception>
    /// <exception cref="UsageException">The file is not a JSON object.</exception>
    public static JsonObject Read(string path)
    {
        string text;
        try
        {
            text = File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"Cannot read the options file '{path}': {Reasons.Of(e)}.", e);
        }

        return Parse(text, path);
    }

    /// <summary>Parses the text of an options file.</summary>
    /// <param name="text">JSON; comments and trailing commas are allowed.</param>
    /// <param name="path">Name of the file in messages.</param>
    /// <exception cref="UsageException">The text is not a JSON object.</exception>
    public static JsonObject Parse(string text, string path)
    {
        try
        {
            var options =
                JsonNode.Parse(
                    text,
                    null,
                    new JsonDocumentOptions
                    {
                        CommentHandling = JsonCommentHandling.Skip,
                        AllowTrailingCommas = true,
                        AllowDuplicateProperties = false,
                    }
                ) as JsonObject
                ?? throw new UsageException($"The options file '{path}' is not a JSON object.");
            OptionSpellings.Replace(options, path);
            return options;
        }
        catch (JsonException e)
        {
            throw new UsageException($"Invalid options file '{path}': {Reasons.Of(e)}.", e);
        }
    }

    /// <summary>Sets one value, creating intermediate objects: <c>objective.perceptual.weight</c> and <c>2.5</c>.</summary>
    /// <param name="options">Modified in place.</param>
    /// <param name="path">Member names separated by dots, as in the file.</param>
    /// <param name="value">JSON; anything else is a string.</param>
    public static void Set(JsonObject options, string path, string value)
    {
        JsonNode? node;
        try
        {
            node = JsonNode.Parse(value);
        }
        catch (JsonException)
        {
            node = JsonValue.Create(value);
        }

        Set(options, path, node);
    }

    /// <inheritdoc cref="Set(JsonObject, string, string)"/>
    /// <exception cref="UsageException">An intermediate member is not an object.</exception>
    public static void Set(JsonObject options, string path, JsonNode? value)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(path);
        // Before a value is set, members of a file have the same spelling.
        path = OptionSpellings.Of(path);
        var parts = path.Split('.');
        var at = options;
        foreach (var part in parts[..^1])
        {
            if (at[part] is null)
                at[part] = new JsonObject();
            if (at[part] is not JsonObject inner)
                throw new UsageException(
                    $"'{path}' cannot be set: '{part}' is {JsonTexts.Shown(at[part])}, which is not an object. Set lists as a "
                        + $"whole, as in averages='[{{\"decay\":0.99}}]'."
                );
            at = inner;
        }

        at[parts[^1]] = value;
    }

    /// <summary>Binds parsed options.</summary>
    /// <param name="options">Parsed options, including overrides.</param>
    /// <param name="origin">Name of the source in messages.</param>
    /// <param name="help">Last sentence of the message.</param>
    /// <param name="note">Receives deprecation notes on old names, or null.</param>
    /// <param name="names">Names in messages of members that were not set in the file, by path; null for their paths.</param>
    /// <exception cref="UsageException">A member is unknown, or a value has the wrong type; the message lists all.</exception>
    public static T Bind<T>(
        JsonObject options,
        string origin,
        string help = "'retouch train --schema' lists all options.",
        Action<string>? note = null,
        IReadOnlyDictionary<string, string>? names = null
    )
    {
        ArgumentNullException.ThrowIfNull(options);
        options = (JsonObject)options.DeepClone();
        // The schema's place, for editors.
        options.Remove("$schema");
        OptionSpellings.Replace(options, origin);
        foreach (var old in OptionForms.Renew(options, origin))
            note?.Invoke($"{origin}: {old}.");
        var shape = new JsonShape(JsonStyles.Options, "option") { Names = names ?? new Dictionary<string, string>() };
        return shape.Bind<T>(options, origin, help);
    }

    /// <summary>Resolved options as JSON text, including defaults.</summary>
    public static string Write<T>(T options) => JsonSerializer.Serialize(options, JsonStyles.Options) + "\n";

    /// <summary>Writes resolved options atomically.</summary>
    public static void Save<T>(T options, string path) => AtomicFile.WriteText(path, Write(options));

    /// <summary>JSON schema of the options, for editors.</summary>
    public static JsonNode Schema<T>() =>
        JsonStyles.Options.GetJsonSchemaAsNode(
            typeof(T),
            new JsonSchemaExporterOptions
            {
                TreatNullObliviousAsNonNullable = true,
                TransformSchemaNode = static (context, schema) =>
                {
                    if (context.TypeInfo.Type == typeof(T) && context.PropertyInfo is null && schema is JsonObject root)
                        root["properties"]!["$schema"] = JsonNode.Parse(
                            """{ "description": "Path of this schema, for editors.", "type": "string" }"""
                        );
                    var description = OptionTexts.Of(context.PropertyInfo);
                    if (description is null)
                        return schema;
                    // The schema of a member with its own converter is the literal true.
                    var target = schema as JsonObject ?? [];
                    target.Insert(0, "description", description);
                    if (DefaultOf(context.PropertyInfo!) is { } value)
                        target["default"] = value;
                    return target;
                },
            }
        );

    /// <summary>Contract of a type, with its members in JSON.</summary>
    internal static JsonTypeInfo TypeOf<T>() => JsonStyles.Options.GetTypeInfo(typeof(T));

    /// <summary>
    /// Default of a member: a value or a list. Null for members without one, and for objects, whose members have defaults.
    /// </summary>
    private static JsonNode? DefaultOf(JsonPropertyInfo property)
    {
        if (property.Get is null || property.DeclaringType.GetConstructor(Type.EmptyTypes) is null)
            return null;
        var value = property.Get(Activator.CreateInstance(property.DeclaringType)!);
        return
            JsonSerializer.SerializeToNode(value, property.PropertyType, JsonStyles.Options) is { } node
            && (node is not JsonObject || property.PropertyType == typeof(Objectives.TermWeight))
            ? node
            : null;
    }
}
