using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Json;

namespace Retouch.Core.Tests.Json;

public sealed class ConfigMembersTests
{
    [Fact]
    public void Missing_members_take_the_defaults_and_all_are_written_in_alphabetical_order()
    {
        var (shape, plain) = (ConfigMembers.Read<Shape>([], "a", Map), new Shape());
        Assert.Equal(plain, shape with { Widths = plain.Widths, Others = plain.Others });
        Assert.Equal([4, 8], shape.Widths);
        Assert.Equal(
            """{"_class_name":"Net","act":"relu","dropout":0,"eps":1E-05,"kind":"plain","layers":2,"limit":7,"note":null"""
                + ""","types":["Block","Block"],"widths":[4,8]}""",
            ConfigMembers.Write(shape, Map).ToJsonString()
        );
    }

    [Fact]
    public void Written_configurations_are_read_back()
    {
        var shape = new Shape
        {
            Layers = 5,
            Limit = null,
            Eps = 2,
            Kind = "wide",
            Note = "ä",
            Fast = true,
            Widths = [3],
            Others = new JsonObject { ["zeta"] = new JsonArray(1, "b") },
        };
        var json = ConfigMembers.Write(shape, Map);
        Assert.True(json["fast"]!.GetValue<bool>());
        Assert.Equal(3, json["widths"]!.GetValue<int>());
        Assert.Equal(["Block"], json["types"]!.AsArray().Select(static n => n!.ToString()));
        foreach (var given in new[] { json, JsonNode.Parse(json.ToJsonString())!.AsObject() })
        {
            var read = ConfigMembers.Read<Shape>(given, "a", Map);
            Assert.Equal(shape, read with { Widths = shape.Widths, Others = shape.Others });
            Assert.Equal([3], read.Widths);
            Assert.Equal("""{"zeta":[1,"b"]}""", read.Others.ToJsonString());
        }
    }

    [Theory]
    [InlineData("""{ "layers": 0 }""", "layers is 0, expected a whole number of at least 1")]
    [InlineData("""{ "layers": 65 }""", "layers is 65, expected a whole number of at most 64")]
    [InlineData("""{ "layers": "two" }""", "layers is \"two\", expected a whole number")]
    [InlineData("""{ "limit": 0 }""", "limit is 0, expected a whole number of at least 1")]
    [InlineData("""{ "eps": "small" }""", "eps is \"small\", expected a number")]
    [InlineData("""{ "kind": "round" }""", "kind is \"round\", expected one of plain, wide")]
    [InlineData("""{ "kind": 1 }""", "kind is 1, expected a text")]
    [InlineData("""{ "note": 1 }""", "note is 1, expected a text")]
    [InlineData("""{ "fast": 1 }""", "fast is 1, expected true or false")]
    [InlineData("""{ "widths": [4, 0] }""", "widths is [4,0], expected a list of widths")]
    [InlineData("""{ "widths": { } }""", "widths is {}, expected a list of widths")]
    [InlineData("""{ "dropout": 0.1 }""", "dropout is 0.1, expected 0: dropout is not supported")]
    [InlineData("""{ "act": "gelu" }""", "act is \"gelu\", expected relu")]
    [InlineData("""{ "foreign": 3 }""", "foreign is 3, expected null")]
    [InlineData("""{ "types": ["Block"] }""", "types is [\"Block\"], expected Block 2 times, once per width")]
    [InlineData("""{ "types": ["Block", "Other"] }""", "expected Block 2 times")]
    public void An_unsupported_value_is_rejected_with_file_member_and_expectation(string json, string message)
    {
        var error = Assert.Throws<InputException>(() =>
            ConfigMembers.Read<Shape>(JsonNode.Parse(json)!.AsObject(), "net/config.json", Map)
        );
        Assert.Contains("'net/config.json': ", error.Message, StringComparison.Ordinal);
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "dropout": 0.0, "act": "ReLU", "foreign": null, "types": null, "limit": null, "widths": 9 }""")]
    [InlineData(
        """{ "dropout": 0, "act": "relu", "types": ["Block"], "widths": [9], "limit": null, "ignored": 1, "_class_name": "Old" }"""
    )]
    public void Other_forms_of_supported_values_are_accepted(string json)
    {
        var shape = ConfigMembers.Read<Shape>(JsonNode.Parse(json)!.AsObject(), "a", Map);
        Assert.Equal([9], shape.Widths);
        Assert.Null(shape.Limit);
        Assert.Equal(json.Contains("ignored", StringComparison.Ordinal) ? """{"ignored":1}""" : "{}", shape.Others.ToJsonString());
    }

    [Fact]
    public void Required_members_and_properties_are_checked()
    {
        static Shape Required(ConfigMembers members, Shape shape) =>
            shape with
            {
                Layers = members.Integer("layers", shape.Layers, required: true),
            };
        Assert.Contains(
            "layers is missing",
            Assert.Throws<InputException>(() => ConfigMembers.Read<Shape>([], "a", Required)).Message,
            StringComparison.Ordinal
        );
        ConfigMembers.Check(new Shape(), Map, "a");
        foreach (var (shape, member) in new (Shape, string)[] { (new() { Layers = 0 }, "layers"), (new() { Kind = "odd" }, "kind") })
            Assert.Contains(
                $"'a': {member} is",
                Assert.Throws<InputException>(() => ConfigMembers.Check(shape, Map, "a")).Message,
                StringComparison.Ordinal
            );
    }

    private static Shape Map(ConfigMembers members, Shape shape)
    {
        members.Written("_class_name", "Net");
        members.Only("act", "relu", also: "ReLU");
        members.Only("dropout", 0.0, "dropout is not supported");
        members.Only("foreign", null, written: false);
        shape = shape with
        {
            Eps = members.Number("eps", shape.Eps),
            Fast = members.Boolean("fast", shape.Fast),
            Kind = members.Text("kind", shape.Kind, "plain", "wide"),
            Layers = members.Integer("layers", shape.Layers, atMost: 64),
            Limit = members.Integer("limit", shape.Limit),
            Note = members.OptionalText("note", shape.Note),
            Widths = members.List("widths", shape.Widths, "a list of widths", static w => w > 0, orOne: true),
        };
        members.Repeated("types", "Block", shape.Widths.Count, "once per width");
        members.OmitIf(!shape.Fast, "fast");
        return shape with { Others = members.Others(shape.Others) };
    }

    private sealed record Shape
    {
        public int Layers { get; init; } = 2;

        public int? Limit { get; init; } = 7;

        public double Eps { get; init; } = 1e-5;

        public bool Fast { get; init; }

        public string Kind { get; init; } = "plain";

        public string? Note { get; init; }

        public IReadOnlyList<int> Widths { get; init; } = [4, 8];

        public JsonObject Others { get; init; } = [];
    }
}
