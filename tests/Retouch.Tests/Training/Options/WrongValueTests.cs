using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Tests.Json;
using Retouch.Training.Options;

namespace Retouch.Tests.Training.Options;

public sealed class WrongValueTests
{
    [Theory]
    [InlineData("""{ "batch": { "size": "eight" } }""", "batch.size is \"eight\"; a whole number of at least 1 is expected.")]
    [InlineData("""{ "steps": 2.5 }""", "steps is 2.5; a whole number of at least 1 is expected.")]
    [InlineData("""{ "seed": -1 }""", "seed is -1; a whole number of at least 0 is expected.")]
    [InlineData("""{ "device": 5 }""", "device is 5; a text in quotes is expected.")]
    [InlineData("""{ "model": null }""", "model is null; an object { … } is expected.")]
    [InlineData("""{ "model": "folder" }""", "model is \"folder\"; an object { … } is expected.")]
    [InlineData("""{ "averages": [{}, null] }""", "averages[1] is null; an object { … } is expected.")]
    [InlineData("""{ "averages": { "decay": 0.9 } }""", "averages is {\"decay\":0.9}; a list [ … ] is expected.")]
    [InlineData("""{ "averages": [{ "decay": "0.9" }] }""", "averages[0].decay is \"0.9\"; a number in [0, 1) is expected.")]
    [InlineData("""{ "data": { "crop": "middle" } }""", "data.crop is \"middle\"; one of \"center\", \"random\" is expected.")]
    [InlineData("""{ "data": { "crop": "center, random" } }""", "data.crop is \"center, random\"; one of ")]
    [InlineData("""{ "data": { "crop": 0 } }""", "data.crop is 0; one of ")]
    [InlineData("""{ "data": { "flip": "half" } }""", "data.flip is \"half\"; a number in [0, 1] is expected.")]
    [InlineData("""{ "data": { "cacheLatents": "yes" } }""", "data.cacheLatents is \"yes\"; true or false is expected.")]
    [InlineData("""{ "data": { "shards": "a.tar" } }""", "data.shards is \"a.tar\"; a list [ … ], or null, is expected.")]
    [InlineData("""{ "data": { "shards": ["a.tar", 5] } }""", "data.shards[1] is 5; a text in quotes is expected.")]
    [InlineData("""{ "optimiser": { "clipNorm": [] } }""", "optimiser.clipNorm is []; a number above 0, or null, is expected.")]
    [InlineData(
        """{ "optimiser": { "learningRate": "1e-4" } }""",
        "optimiser.learningRate is \"1e-4\"; a number in (0, 10), or null, is expected."
    )]
    [InlineData(
        """{ "objective": { "perceptual": { "taps": [0, "two"] } } }""",
        "objective.perceptual.taps[1] is \"two\"; a whole number of at least 0 is expected."
    )]
    [InlineData(
        """{ "objective": { "perceptual": true } }""",
        "objective.perceptual is true; an object { … }, or the name of a preset, \"default\", \"paper\" or \"reference\","
    )]
    [InlineData("""{ "objective": { "perceptual": "papre" } }""", "objective.perceptual is \"papre\"; one of default, paper, reference")]
    [InlineData(
        """{ "objective": { "perceptual": { "preset": 5 } } }""",
        "objective.perceptual.preset is 5; one of default, paper, reference is expected."
    )]
    [InlineData(
        """{ "objective": { "pixel": { "weight": { "shar": 0.2 } } } }""",
        "objective.pixel.weight is {\"shar\":0.2}; a number, \"auto\", {\"gradientRatio\": number} or {\"share\": number}, "
            + "the last two with an optional \"warmUp\": steps, is expected."
    )]
    [InlineData(
        """{ "objective": { "pixel": { "weight": "auto", "autoShare": "a fifth" } } }""",
        "objective.pixel.autoShare is \"a fifth\"; a number is expected."
    )]
    [InlineData(
        """{ "objective": { "perceptual": { "detachStatistics": 1 } } }""",
        "objective.perceptual.detachStatistics is 1; true or false is expected."
    )]
    [InlineData("""{ "model": { "config": [] } }""", "model.config is []; an object { … }, or null, is expected.")]
    public void Wrong_value_is_named_with_what_is_allowed(string json, string expected) =>
        Assert.StartsWith("options.json: " + expected, Message(JsonNode.Parse(json)!.AsObject()));

    [Fact]
    public void All_wrong_values_are_named_at_once()
    {
        var message = Message(JsonNode.Parse("""{ "steps": "x", "data": { "size": [], "flop": 1 }, "batch": 5 }""")!.AsObject());
        Assert.All(
            new[] { "steps is \"x\"", "data.size is []", "unknown option 'data.flop'. Did you mean 'flip'?", "batch is 5" },
            part => Assert.Contains(part, message)
        );
    }

    [Fact]
    public void Value_of_a_flag_is_named_by_the_flag() =>
        Assert.StartsWith(
            "command line: --steps is \"eight\"; a whole number",
            Assert
                .Throws<UsageException>(() =>
                    OptionsFile.Bind<TrainingOptions>(
                        new JsonObject { ["steps"] = "eight" },
                        "command line",
                        names: new Dictionary<string, string> { ["steps"] = "--steps" }
                    )
                )
                .Message
        );

    [Fact]
    public void Wrong_value_of_any_member_is_named_without_types_of_the_program()
    {
        var planted = WrongValues.Of(typeof(TrainingOptions)).ToList();
        foreach (var (path, value, file) in planted)
        {
            var error = Record.Exception(() => Message(file.AsObject()));
            Assert.True(error is null, $"{path} = {value}: {error?.Message}");
            var message = Message(file.AsObject());
            Assert.StartsWith($"options.json: {path} is ", message);
            Assert.Contains(" is expected.", message);
            Assert.All(WrongValues.Inner, word => Assert.False(message.Contains(word), $"{path} = {value}: {message}"));
        }

        var members = planted.Select(static p => p.Path).Distinct().ToList();
        Assert.All(
            new[] { "steps", "averages[0].decay", "data.buckets.minSide", "objective.preference.features.taps[0]", "model.config" },
            path => Assert.Contains(path, members)
        );
        Assert.True(members.Count > 120, $"{members.Count} members");
    }

    private static string Message(JsonObject options) =>
        Assert.Throws<UsageException>(() => OptionsFile.Bind<TrainingOptions>(options, "options.json")).Message;
}
