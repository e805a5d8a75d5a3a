using System.Text.Json;
using System.Text.Json.Nodes;
using Retouch.Core.Json;

namespace Retouch.Core.Tests.Json;

public sealed class JsonStylesTests
{
    private enum Kind
    {
        FirstOne,
        Other,
    }

    private sealed record Planted(string FileName, Kind KindOf, double Loss, string? Caption, int Count);

    private static readonly Planted Value = new("schöne <a>.png", Kind.FirstOne, 0.5, null, 3);

    public static TheoryData<string, JsonSerializerOptions, string> Lines() =>
        new()
        {
            { "dataset", JsonStyles.Dataset, """{"file_name":"schöne <a>.png","kind_of":"first-one","loss":0.5,"count":3}""" },
            {
                "table",
                JsonStyles.DatasetTable,
                """{"file_name":"schöne <a>.png","kind_of":"first-one","loss":0.5,"caption":null,"count":3}"""
            },
            {
                "state",
                JsonStyles.StateLine,
                """{"fileName":"sch\u00F6ne \u003Ca\u003E.png","kindOf":"FirstOne","loss":0.5,"caption":null,"count":3}"""
            },
            {
                "verbatim",
                JsonStyles.Verbatim,
                """{"FileName":"sch\u00F6ne \u003Ca\u003E.png","KindOf":0,"Loss":0.5,"Caption":null,"Count":3}"""
            },
            { "reply", JsonStyles.Reply, """{"fileName":"sch\u00F6ne \u003Ca\u003E.png","kindOf":"firstOne","loss":0.5,"count":3}""" },
        };

    [Theory]
    [MemberData(nameof(Lines))]
    public void Every_line_style_has_its_bytes(string name, JsonSerializerOptions style, string expected)
    {
        Assert.Equal(expected, JsonSerializer.Serialize(Value, style));
        Assert.Equal(Value, JsonSerializer.Deserialize<Planted>(expected, style));
        Assert.NotEmpty(name);
    }

    [Fact]
    public void Every_document_style_has_its_bytes()
    {
        Assert.Equal(
            """
            {
              "fileName": "schöne <a>.png",
              "kindOf": "firstOne",
              "loss": "NaN",
              "count": 3
            }
            """,
            JsonSerializer.Serialize(Value with { Loss = double.NaN }, JsonStyles.Output)
        );
        Assert.Equal(
            """
            {
              "fileName": "sch\u00F6ne \u003Ca\u003E.png",
              "kindOf": "first-one",
              "loss": 0.5,
              "count": 3
            }
            """,
            JsonSerializer.Serialize(Value, JsonStyles.Options)
        );
        Assert.Equal(
            """
            {
              "file_name": "schöne <a>.png",
              "kind_of": "first-one",
              "loss": 0.5,
              "count": 3
            }
            """,
            JsonSerializer.Serialize(Value, JsonStyles.DatasetDocument)
        );
        Assert.Equal(
            """
            {
              "Any_name": null,
              "text": "\u00FC"
            }
            """,
            new JsonObject { ["Any_name"] = null, ["text"] = "ü" }.ToJsonString(JsonStyles.State)
        );
    }

    [Theory]
    [InlineData("""{"KINDOF":"firstone","count":"3"}""")]
    [InlineData("""{"kindOf":"FirstOne","count":3}""")]
    public void State_is_read_as_earlier_versions_wrote_it(string json) =>
        Assert.Equal(Value with { FileName = null!, Loss = 0 }, JsonSerializer.Deserialize<Planted>(json, JsonStyles.State));

    [Theory]
    [InlineData("""{"fileName":"a","kindOf":"FirstOne","loss":1,"caption":null,"count":1}""")]
    [InlineData("""{"fileName":"a","kindOf":"firstOne, other","loss":1,"caption":null,"count":1}""")]
    [InlineData("""{"fileName":"a","kindOf":0,"loss":1,"caption":null,"count":1}""")]
    [InlineData("""{"fileName":"a","kindOf":"other","loss":1,"caption":null,"count":1,"more":1}""")]
    [InlineData("""{"fileName":"a","kindOf":"other","loss":1,"caption":null}""")]
    [InlineData("""{"fileName":"a","kindOf":"other","loss":1,"caption":null,"count":1,"count":2}""")]
    public void Requests_are_read_strictly(string json) =>
        Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<Planted>(json, JsonStyles.Request));
}
