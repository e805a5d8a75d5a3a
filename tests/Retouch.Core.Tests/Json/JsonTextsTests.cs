using System.Text.Json;
using Retouch.Core.Json;

namespace Retouch.Core.Tests.Json;

/// <summary>JSON as written by Python.</summary>
public sealed class JsonTextsTests
{
    [Fact]
    public void Python_numbers_are_accepted()
    {
        var json = JsonTexts.Parse("""{"a": NaN, "b": [-Infinity, Infinity, 1], "c": "NaN, \"Infinity\" and -Infinity", "NaN": 2}""")!;
        Assert.Equal("NaN", json["a"]!.GetValue<string>());
        Assert.Equal("{\"a\": null}", JsonTexts.Proper("{\"a\": NaN}"));
        Assert.Equal([double.NegativeInfinity, double.PositiveInfinity, 1], json["b"]!.AsArray().Select(static v => v!.GetValue<double>()));
        Assert.Equal("NaN, \"Infinity\" and -Infinity", json["c"]!.GetValue<string>());
        Assert.Equal(2, json["NaN"]!.GetValue<int>());
        Assert.Equal("-Infinity", JsonTexts.Written(JsonTexts.Proper("-Infinity")));
    }

    [Fact]
    public void Replacement_in_place_preserves_positions()
    {
        const string Json = """{"a": NaN, "b": -Infinity, "c": "NaN"}""";
        var same = JsonTexts.InPlace(Json);
        Assert.Equal(Json.Length, same.Length);
        using var document = JsonDocument.Parse(same);
        Assert.Equal(Json.IndexOf("\"c\"", StringComparison.Ordinal), same.IndexOf("\"c\"", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("{\"a\": NaNa}")]
    [InlineData("{\"a\": 1, \"a\": 2}")]
    [InlineData("{\"a\": \"\\ud800\"}")]
    public void Invalid_JSON_is_rejected(string json) => Assert.ThrowsAny<JsonException>(() => JsonTexts.Parse(json));
}
