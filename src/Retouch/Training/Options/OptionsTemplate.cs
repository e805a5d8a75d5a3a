using System.Reflection;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Training.Options;

/// <summary>Options files to start from (<c>retouch train --init</c>): every option with its description and value.</summary>
public static class OptionsTemplate
{
    /// <summary>File name of the schema that a template refers to.</summary>
    public const string SchemaName = "retouch-options.schema.json";

    private const string Prefix = "Retouch.Training.Options.Templates.";
    private const string Extension = ".json";
    private const int Columns = 120;

    /// <summary>Names of the templates.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        .. Assembly
            .GetExecutingAssembly()
            .GetManifestResourceNames()
            .Where(static n => n.StartsWith(Prefix, StringComparison.Ordinal))
            .Select(static n => n[Prefix.Length..^Extension.Length])
            .Order(StringComparer.Ordinal),
    ];

    /// <summary>Options that a template sets, as JSON with comments.</summary>
    /// <exception cref="UsageException">There is no such template.</exception>
    public static string Source(string name)
    {
        if (!Names.Contains(name, StringComparer.Ordinal))
            throw new UsageException($"There is no template '{name}'. Templates: {string.Join(", ", Names)}.");
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(Prefix + name + Extension)!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    /// <summary>The options file of a template: its options and the defaults of all others, each with its description.</summary>
    /// <exception cref="UsageException">There is no such template.</exception>
    public static string Text(string name)
    {
        var source = Source(name);
        var given = OptionsFile.Parse(source, name);
        // Defaults that depend on other options are those of this template.
        var values = JsonNode.Parse(OptionsFile.Write(OptionsFile.Bind<TrainingOptions>(given, name)))!.AsObject();
        var text = new StringBuilder("{\n");
        foreach (
            var line in source.Split('\n').Select(static l => l.Trim()).Where(static l => l.StartsWith("//", StringComparison.Ordinal))
        )
            text.Append("  ").Append(line).Append('\n');
        text.Append("  \"$schema\": \"./").Append(SchemaName).Append("\",\n");
        Members(text, OptionsFile.TypeOf<TrainingOptions>(), values, "  ");
        return text.Append("}\n").ToString();
    }

    private static void Members(StringBuilder text, JsonTypeInfo type, JsonObject values, string indent)
    {
        foreach (var property in type.Properties)
        {
            Comment(text, property, indent);
            var value = values[property.Name];
            if (value is null)
            {
                text.Append(indent).Append("// \"").Append(property.Name).Append("\": null,\n");
                continue;
            }

            text.Append(indent).Append('"').Append(property.Name).Append("\": ");
            var inner = type.Options.GetTypeInfo(property.PropertyType);
            if (value is JsonObject members && inner.Kind == JsonTypeInfoKind.Object)
            {
                text.Append("{\n");
                Members(text, inner, members, indent + "  ");
                text.Append(indent).Append("},\n");
                continue;
            }

            // Configurations keep their lines.
            var shown = value is JsonObject ? value.ToJsonString(type.Options) : value.ToJsonString();
            text.Append(shown.Replace("\n", "\n" + indent, StringComparison.Ordinal)).Append(",\n");
        }
    }

    private static void Comment(StringBuilder text, JsonPropertyInfo property, string indent)
    {
        if (OptionTexts.Of(property) is not { } description)
            return;
        var line = new StringBuilder(indent).Append("//");
        foreach (var word in description.Split(' '))
        {
            if (line.Length + 1 + word.Length > Columns)
            {
                text.Append(line).Append('\n');
                line.Clear().Append(indent).Append("//");
            }

            line.Append(' ').Append(word);
        }

        text.Append(line).Append('\n');
    }
}
