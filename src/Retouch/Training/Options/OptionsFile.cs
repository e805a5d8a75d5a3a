using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization;
using Retouch.Torch.Errors;
using Retouch.Torch.Io;

namespace Retouch.Training.Options;

/// <summary>
/// Reads options from JSON (comments and trailing commas allowed; unknown members are errors), lays single values over them, and writes the resolved form.
/// </summary>
public static class OptionsFile
{
    private static readonly JsonSerializerOptions Strict = new(JsonSerializerDefaults.General)
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        PropertyNameCaseInsensitive = false,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true,
        ReadCommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower, allowIntegerValues: false) },
    };

    /// <summary>Reads a file into its JSON form.</summary>
    /// <exception cref="InputException">There is no such file.</exception>
    /// <exception cref="UsageException">It is no JSON object.</exception>
    public static JsonObject Read(string path)
    {
        string text;
        try
        {
            text = File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"Cannot read the options file '{path}': {e.Message}", e);
        }

        try
        {
            return JsonNode.Parse(text, null, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true }) as JsonObject
                ?? throw new UsageException($"The options file '{path}' holds no JSON object.");
        }
        catch (JsonException e)
        {
            throw new UsageException($"The options file '{path}' is no valid JSON: {e.Message}", e);
        }
    }

    /// <summary>Sets one value, making the objects on its way: <c>objective.lpl.weight</c> and <c>2.5</c>.</summary>
    /// <param name="options">Changed in place.</param>
    /// <param name="path">Member names joined by dots, as in the file.</param>
    /// <param name="value">JSON, or a text where it is no valid JSON.</param>
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
    public static void Set(JsonObject options, string path, JsonNode? value)
    {
        var parts = path.Split('.');
        var at = options;
        foreach (var part in parts[..^1])
        {
            if (at[part] is not JsonObject inner)
                at[part] = inner = [];
            at = inner;
        }

        at[parts[^1]] = value;
    }

    /// <summary>Turns the JSON form into options.</summary>
    /// <param name="options">As read, with everything laid over.</param>
    /// <param name="origin">Names the source in messages.</param>
    /// <exception cref="UsageException">A member is unknown, or a value has the wrong kind.</exception>
    public static T Bind<T>(JsonObject options, string origin)
    {
        try
        {
            return options.Deserialize<T>(Strict) ?? throw new UsageException($"{origin}: no options.");
        }
        catch (JsonException e)
        {
            throw new UsageException($"{origin}: {Explain(e, typeof(T))}", e);
        }
    }

    /// <summary>The resolved form as JSON text, every member that has a value written out.</summary>
    public static string Write<T>(T options) => JsonSerializer.Serialize(options, Strict) + "\n";

    /// <summary>Writes the resolved form atomically.</summary>
    public static void Save<T>(T options, string path) => AtomicFile.WriteText(path, Write(options));

    /// <summary>The JSON schema of the options, for editors.</summary>
    public static JsonNode Schema<T>() => Strict.GetJsonSchemaAsNode(typeof(T), new JsonSchemaExporterOptions
    {
        TreatNullObliviousAsNonNullable = true,
        TransformSchemaNode = static (context, schema) =>
        {
            var description = context.PropertyInfo?.AttributeProvider?.GetCustomAttributes(typeof(System.ComponentModel.DescriptionAttribute), inherit: false)
                .OfType<System.ComponentModel.DescriptionAttribute>().FirstOrDefault()?.Description;
            if (description is not null && schema is JsonObject target)
                target.Insert(0, "description", description);
            return schema;
        },
    });

    private static string Explain(JsonException e, Type type)
    {
        const string Unmapped = "could not be mapped to any .NET member contained in type";
        if (!e.Message.Contains(Unmapped, StringComparison.Ordinal))
            return $"the value at {e.Path ?? "$"} cannot be used: {e.InnerException?.Message ?? e.Message}";
        var name = e.Message.Split('\'')[1];
        var known = KnownNames(type, []);
        var near = known.OrderBy(k => Distance(k, name)).FirstOrDefault();
        return $"unknown option '{(e.Path is { } p && p.EndsWith(name, StringComparison.Ordinal) ? p.TrimStart('$', '.') : name)}'."
            + (near is not null && Distance(near, name) <= 3 ? $" Did you mean '{near}'?" : "") + " 'retouch train --schema' lists all options.";
    }

    private static HashSet<string> KnownNames(Type type, HashSet<string> names)
    {
        foreach (var property in type.GetProperties().Where(static p => p.CanWrite))
        {
            var inner = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
            if (names.Add(JsonNamingPolicy.CamelCase.ConvertName(property.Name)) && inner.Namespace?.StartsWith("Retouch", StringComparison.Ordinal) == true)
                KnownNames(inner, names);
        }

        return names;
    }

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
