using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Retouch.Core.Json;

namespace Retouch.Training.Options;

/// <summary>The page of all training options (docs/options.md), from their declarations.</summary>
internal static class OptionsPage
{
    /// <summary>The page in Markdown: one table per section, with path, default and description of every option.</summary>
    public static string Text()
    {
        var text = new StringBuilder(
            """
            # Training options

            Members of the options file of `retouch train` (`--options FILE`, JSON with comments), in its order. `--set PATH=VALUE` sets one
            on the command line, `--print-options` prints those of a run, `--schema` their JSON schema, and `--init NAME` writes a file with
            all of them. A default of `null` is described in the text or disables the option. The members of an object with default `null`
            have their own defaults once the object is given, as in `"objective": { "perceptual": {} }`. This page is generated from the
            declarations; a test compares them.

            """
        );
        var root = OptionsFile.TypeOf<TrainingOptions>();
        Section(text, "Run", root, Defaults(typeof(TrainingOptions), root.Options), "");
        return text.ToString().TrimEnd('\n') + "\n";
    }

    private static void Section(StringBuilder text, string title, JsonTypeInfo type, JsonObject? defaults, string prefix)
    {
        var inner = type.Properties.Where(p => ObjectOf(type.Options, p.PropertyType) is not null).ToArray();
        var own = type.Properties.Except(inner).ToArray();
        if (own.Length > 0)
        {
            text.Append(text[^1] == '\n' ? "\n" : "\n\n").Append("## ").Append(title).Append("\n\n| option | default | |\n|---|---|---|\n");
            foreach (var property in own)
                text.Append("| `")
                    .Append(prefix)
                    .Append(property.Name)
                    .Append("` | `")
                    .Append(defaults?[property.Name]?.ToJsonString() ?? "null")
                    .Append("` | ")
                    .Append(Cell(OptionTexts.Of(property)))
                    .Append(" |\n");
        }

        foreach (var property in inner)
        {
            var kind = ObjectOf(type.Options, property.PropertyType)!;
            var isNull = defaults?[property.Name] is null;
            var values = isNull ? Defaults(kind.Type, type.Options) : defaults![property.Name]!.AsObject();
            Section(text, $"`{prefix}{property.Name}`", kind, values, $"{prefix}{property.Name}.");
        }
    }

    /// <summary>Type of the members of an option that is a record of options; null for values, lists and JSON.</summary>
    private static JsonTypeInfo? ObjectOf(JsonSerializerOptions options, Type type) =>
        type.Namespace?.StartsWith(nameof(Retouch), StringComparison.Ordinal) == true
        && options.GetTypeInfo(type) is { Kind: JsonTypeInfoKind.Object } info
            ? info
            : null;

    private static JsonObject? Defaults(Type type, JsonSerializerOptions options) =>
        type.GetConstructor(Type.EmptyTypes) is null
            ? null
            : JsonSerializer.SerializeToNode(Activator.CreateInstance(type), options.GetTypeInfo(type)) as JsonObject;

    private static string Cell(string? description) => (description ?? "").Replace("|", "\\|", StringComparison.Ordinal);
}
