using System.CommandLine;
using System.Text.Json;
using Retouch.Core.Json;

namespace Retouch.Cli;

/// <summary>
/// Results on stdout, as text or, with <c>--json</c>, as a single JSON document. Logs and progress go to stderr.
/// </summary>
internal sealed class Output(TextWriter writer, bool json)
{
    /// <summary>The output of a parsed command.</summary>
    public static Output For(ParseResult parsed) => new(parsed.InvocationConfiguration.Output, parsed.GetValue(SharedOptions.Json));

    /// <summary>Whether the result is written as JSON.</summary>
    public bool IsJson => json;

    /// <summary>Writes the result of a command: <paramref name="value"/> as JSON, or as text by <paramref name="text"/>.</summary>
    public void Write<T>(T value, Action<TextWriter> text)
    {
        if (json)
            writer.WriteLine(JsonSerializer.Serialize(value, JsonStyles.Output));
        else
            text(writer);
        writer.Flush();
    }

    /// <summary>Reads a result written by <see cref="Write"/> with <c>--json</c>.</summary>
    /// <exception cref="JsonException">The text is not such a document.</exception>
    public static T Read<T>(string document) =>
        JsonSerializer.Deserialize<T>(document, JsonStyles.Output) ?? throw new JsonException("The document is null.");
}
