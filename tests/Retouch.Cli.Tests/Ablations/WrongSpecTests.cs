using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Tests.Json;
using Retouch.Experiments.Ablations;

namespace Retouch.Cli.Tests.Ablations;

public sealed class WrongSpecTests : IDisposable
{
    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [Theory]
    [InlineData("""{ "seeds": [1, "two"] }""", "seeds[1] is \"two\"; a whole number of at least 0 is expected.")]
    [InlineData("""{ "seeds": 3 }""", "seeds is 3; a list [ … ] is expected.")]
    [InlineData("""{ "arms": [{ "name": 5 }] }""", "arms[0].name is 5; a text in quotes is expected.")]
    [InlineData("""{ "arms": [{ "set": [] }] }""", "arms[0].set is []; an object { … } is expected.")]
    [InlineData("""{ "pretraining": { "first": 5 } }""", "pretraining.first is 5; an object { … } is expected.")]
    [InlineData(
        """{ "pretraining": { "first": { "from": 5 } } }""",
        "pretraining.first.from is 5; a text in quotes, or null, is expected."
    )]
    [InlineData("""{ "heldOut": { "every": "tenth" } }""", "heldOut.every is \"tenth\"; a whole number in [2, 1000] is expected.")]
    [InlineData("""{ "evaluation": [] }""", "evaluation is []; an object { … } is expected.")]
    [InlineData("""{ "evaluation": { "clip": 5 } }""", "evaluation.clip is 5; a text in quotes, or null, is expected.")]
    [InlineData(
        """{ "evaluation": { "samplerSteps": ["few"] } }""",
        "evaluation.samplerSteps[0] is \"few\"; a whole number in [1, 1000] is expected."
    )]
    [InlineData("""{ "evaluation": { "confidence": true } }""", "evaluation.confidence is true; a number in [0.5, 1) is expected.")]
    public void Wrong_value_is_named_with_what_is_allowed(string json, string expected) =>
        Assert.StartsWith($"{_path}: {expected}", Message(json));

    [Fact]
    public void Wrong_value_of_any_member_is_named_without_types_of_the_program()
    {
        var planted = WrongValues.Of(typeof(AblationSpec)).ToList();
        foreach (var (path, value, file) in planted)
        {
            var message = Message(file.ToJsonString());
            Assert.StartsWith($"{_path}: {path} is ", message);
            Assert.Contains(" is expected.", message);
            Assert.All(WrongValues.Inner, word => Assert.False(message.Contains(word), $"{path} = {value}: {message}"));
        }

        var members = planted.Select(static p => p.Path).Distinct().ToList();
        Assert.All(new[] { "arms[0].set", "pretraining.any.from", "evaluation.decays[0]" }, path => Assert.Contains(path, members));
        Assert.True(members.Count > 35, $"{members.Count} members");
    }

    private string Message(string json)
    {
        File.WriteAllText(_path, JsonNode.Parse(json)!.ToJsonString());
        return Assert.Throws<UsageException>(() => AblationSpec.Read(_path, [])).Message;
    }
}
