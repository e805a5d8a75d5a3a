using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Tests.Goldens;
using Retouch.Training.Options;

namespace Retouch.Tests.Training.Options;

/// <summary>docs/options.md equals the declarations; <c>RETOUCH_WRITE_PAGES=1</c> writes it.</summary>
public sealed class OptionsPageTests
{
    private static string PagePath => Path.Combine(GoldenCase.Root(), "..", "..", "docs", "options.md");

    [Fact]
    public void The_page_is_up_to_date()
    {
        var text = OptionsPage.Text();
        if (Environment.GetEnvironmentVariable("RETOUCH_WRITE_PAGES") == "1")
            File.WriteAllText(PagePath, text);
        Assert.Equal(text, File.ReadAllText(PagePath));
    }

    [Fact]
    public void The_page_has_every_option_with_its_default()
    {
        var text = OptionsPage.Text();
        foreach (var (path, value) in Leaves(OptionsFile.Schema<TrainingOptions>()["properties"]!.AsObject(), ""))
            Assert.Contains($"| `{path}` | `{value}` |", text, StringComparison.Ordinal);
    }

    // Options with a default in the schema, which is made in another way.
    private static IEnumerable<(string Path, string Value)> Leaves(JsonObject properties, string prefix)
    {
        foreach (var (name, schema) in properties)
        {
            if (schema!["properties"] is JsonObject inner)
            {
                foreach (var leaf in Leaves(inner, $"{prefix}{name}."))
                    yield return leaf;
            }
            else if (schema["default"] is { } value && value.GetValueKind() is JsonValueKind.Number)
            {
                yield return (prefix + name, value.ToJsonString());
            }
        }
    }
}
