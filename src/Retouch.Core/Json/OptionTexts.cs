using System.Collections.Concurrent;
using System.Reflection;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using System.Text.RegularExpressions;
using System.Xml;
using System.Xml.Linq;
using Retouch.Core.Errors;

namespace Retouch.Core.Json;

/// <summary>
/// Descriptions of options for schemas, templates and help: the summaries of their doc comments, from the XML documentation that lies
/// beside each assembly.
/// </summary>
public static partial class OptionTexts
{
    private static readonly ConcurrentDictionary<Assembly, IReadOnlyDictionary<string, string>> Read = new();

    /// <summary>Summary of a member as plain text on one line, or null without a doc comment.</summary>
    /// <exception cref="EnvironmentException">The assembly's XML documentation is missing or invalid.</exception>
    public static string? Of(MemberInfo member)
    {
        ArgumentNullException.ThrowIfNull(member);
        var type = member.DeclaringType!;
        var name = (type.IsGenericType ? type.GetGenericTypeDefinition() : type).FullName!.Replace('+', '.');
        return Read.GetOrAdd(type.Assembly, static a => Load(Path.ChangeExtension(a.Location, ".xml")))
            .GetValueOrDefault($"P:{name}.{member.Name}");
    }

    /// <summary>Summary of an option by its contract in JSON, or null without a doc comment.</summary>
    /// <exception cref="EnvironmentException">The assembly's XML documentation is missing or invalid.</exception>
    public static string? Of(JsonPropertyInfo? option) => option?.AttributeProvider is MemberInfo member ? Of(member) : null;

    /// <summary>Summaries of all properties of an XML documentation file, by the compiler's names.</summary>
    internal static IReadOnlyDictionary<string, string> Load(string path)
    {
        try
        {
            return XDocument
                .Load(path)
                .Descendants("member")
                .Where(static m =>
                    m.Attribute("name")!.Value.StartsWith("P:", StringComparison.Ordinal) && m.Element("summary") is not null
                )
                .ToDictionary(static m => m.Attribute("name")!.Value, static m => Plain(m.Element("summary")!), StringComparer.Ordinal);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or XmlException)
        {
            throw new EnvironmentException($"The documentation file '{path}' is missing or damaged; build or install Retouch again.", e);
        }
    }

    /// <summary>Text of a doc comment: references by their name in JSON, white space on one line.</summary>
    internal static string Plain(XElement summary)
    {
        ArgumentNullException.ThrowIfNull(summary);
        var text = new StringBuilder();
        foreach (var node in summary.DescendantNodes())
        {
            if (node is XText words)
                text.Append(words.Value);
            else if (node is XElement { Name.LocalName: "see" or "paramref" } reference)
                text.Append(NameOf(reference));
        }

        return Space().Replace(text.ToString(), " ").Trim();
    }

    private static string NameOf(XElement reference)
    {
        if (reference.Attribute("cref")?.Value is not { } cref)
            return reference.Attribute("langword")?.Value ?? reference.Attribute("name")?.Value ?? "";
        var name = cref.Split('(')[0].Split('.')[^1];
        return cref[0] switch
        {
            // Members of enumerations are values, and properties are options.
            'F' => JsonNamingPolicy.KebabCaseLower.ConvertName(name),
            'P' => JsonNamingPolicy.CamelCase.ConvertName(name),
            _ => name,
        };
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Space();
}
