using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Retouch.Core.Json;

/// <summary>
/// The conventions of all JSON that Retouch reads and writes. Members are in camel case, in snake case only where datasets and diffusers
/// read them. Text for people and for other programs keeps its characters; files that only Retouch reads, and replies to a browser, are
/// ASCII.
/// </summary>
public static class JsonStyles
{
    private static readonly JavaScriptEncoder Readable = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;

    /// <summary>Results of <c>--json</c>: indented; null members are left out, enumerations in camel case.</summary>
    public static JsonSerializerOptions Output { get; } =
        Fixed(
            new()
            {
                WriteIndented = true,
                PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
                // Losses can be NaN and step times infinite; such results must still be written.
                NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
                DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
                Encoder = Readable,
                Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
            }
        );

    /// <summary>
    /// Options files: indented; enumerations in kebab case, as on the command line. Reading allows comments and trailing commas, and
    /// rejects unknown members. Computed members are neither read nor written.
    /// </summary>
    public static JsonSerializerOptions Options { get; } =
        Fixed(
            new()
            {
                WriteIndented = true,
                PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
                UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
                RespectNullableAnnotations = true,
                ReadCommentHandling = JsonCommentHandling.Skip,
                AllowTrailingCommas = true,
                DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
                NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
                TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { WithoutComputed } },
                Converters = { new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower, allowIntegerValues: false) },
            }
        );

    /// <summary>Lines of a metadata.jsonl: snake case; null members are left out, enumerations in kebab case.</summary>
    public static JsonSerializerOptions Dataset { get; } = Snake(JsonIgnoreCondition.WhenWritingNull, indented: false);

    /// <summary>As <see cref="Dataset"/>, indented; also for documents in the layout of another library.</summary>
    public static JsonSerializerOptions DatasetDocument { get; } = Snake(JsonIgnoreCondition.WhenWritingNull, indented: true);

    /// <summary>As <see cref="Dataset"/>, with null members: every line has all columns.</summary>
    public static JsonSerializerOptions DatasetTable { get; } = Snake(JsonIgnoreCondition.Never, indented: false);

    /// <summary>Indented files that only Retouch reads: in any case and with numbers in quotes, as earlier versions accepted.</summary>
    public static JsonSerializerOptions State { get; } = OwnFile(indented: true);

    /// <summary>As <see cref="State"/>, on one line.</summary>
    public static JsonSerializerOptions StateLine { get; } = OwnFile(indented: false);

    /// <summary>
    /// Members as in C#, enumerations as numbers: records of the first versions, whose text is compared with stored text.
    /// </summary>
    public static JsonSerializerOptions Verbatim => JsonSerializerOptions.Default;

    /// <summary>Replies to a browser: null members are left out, enumerations in camel case; safe within HTML.</summary>
    public static JsonSerializerOptions Reply { get; } =
        Fixed(
            new()
            {
                PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
                NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
                DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
                Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
            }
        );

    /// <summary>Requests from a browser: exact names, no unknown, duplicate or missing members, few levels.</summary>
    public static JsonSerializerOptions Request { get; } =
        Fixed(
            new(JsonSerializerDefaults.Strict)
            {
                PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
                MaxDepth = 8,
                Converters = { new ExactEnumConverter() },
            }
        );

    /// <summary>A writer of lines.</summary>
    public static JsonWriterOptions LineWriter { get; } = new() { Encoder = Readable };

    /// <summary>A writer of indented documents.</summary>
    public static JsonWriterOptions DocumentWriter { get; } =
        new()
        {
            Indented = true,
            NewLine = "\n",
            Encoder = Readable,
        };

    private static JsonSerializerOptions Snake(JsonIgnoreCondition ignored, bool indented) =>
        Fixed(
            new()
            {
                WriteIndented = indented,
                PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
                DefaultIgnoreCondition = ignored,
                Encoder = Readable,
                Converters = { new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower) },
            }
        );

    private static JsonSerializerOptions OwnFile(bool indented) =>
        Fixed(
            new(JsonSerializerDefaults.Web)
            {
                WriteIndented = indented,
                NumberHandling = JsonNumberHandling.AllowReadingFromString | JsonNumberHandling.AllowNamedFloatingPointLiterals,
                Converters = { new JsonStringEnumConverter() },
            }
        );

    private static JsonSerializerOptions Fixed(JsonSerializerOptions options)
    {
        options.MakeReadOnly(populateMissingResolver: true);
        return options;
    }

    private static void WithoutComputed(JsonTypeInfo type)
    {
        if (type.Kind != JsonTypeInfoKind.Object)
            return;
        foreach (var computed in type.Properties.Where(static p => p.Set is null).ToArray())
            type.Properties.Remove(computed);
    }
}
