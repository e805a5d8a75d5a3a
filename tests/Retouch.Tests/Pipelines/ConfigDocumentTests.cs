using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Pipelines.Diffusers;

namespace Retouch.Tests.Pipelines;

/// <summary>Unchanged members keep their bytes.</summary>
public sealed class ConfigDocumentTests
{
    private const string Text = """
        {
          "_class_name": "X",
            "eps":1e-05,
          "unknown \u00e9": {"a": [1.0,2.50, -0],
             "b": "\u00fc\/"},
          "scale": 0.18215, "last": null
        }
        """;

    [Fact]
    public void Equal_values_preserve_the_bytes()
    {
        var document = ConfigDocument.Parse(Text, "x");
        var same = document.Change(document.Json, document.Json);
        Assert.Equal(Text, same.Text);
        // Numbers are compared by value, regardless of their notation.
        Assert.Equal(Text, document.Change(new JsonObject { ["eps"] = JsonNode.Parse("1e-05") }, new JsonObject { ["eps"] = 1e-5 }).Text);
    }

    [Fact]
    public void Changed_members_stay_in_place_and_others_keep_their_bytes()
    {
        var document = ConfigDocument.Parse(Text, "x");
        var after = document.Json;
        after["scale"] = 0.5;
        after["new"] = new JsonArray(1, 2);
        after.Remove("last");
        var changed = document.Change(document.Json, after);
        Assert.Equal(["_class_name", "eps", "unknown é", "scale", "new"], changed.Json.Select(static p => p.Key));
        Assert.Contains("\"eps\": 1e-05,", changed.Text, StringComparison.Ordinal);
        Assert.Contains(
            "\"unknown \\u00e9\": {\"a\": [1.0,2.50, -0],\n     \"b\": \"\\u00fc\\/\"},",
            changed.Text,
            StringComparison.Ordinal
        );
        Assert.Equal(0.5, (double)changed.Json["scale"]!);
        Assert.Equal(2, (int)changed.Json["new"]![1]!);
    }

    [Theory]
    [InlineData("[1]")]
    [InlineData("{\"a\": 1, \"a\": 2}")]
    [InlineData("{\"a\": ")]
    [InlineData("")]
    public void Values_other_than_objects_are_rejected(string text) =>
        Assert.Contains(
            "m/config.json",
            Assert.Throws<InputException>(() => ConfigDocument.Parse(text, "m/config.json")).Message,
            StringComparison.Ordinal
        );
}
