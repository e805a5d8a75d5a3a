using System.Net;
using System.Text.Json.Nodes;
using Retouch.Arena.Votes;
using Retouch.Core.Json;
using Retouch.Core.Tests.Json;

namespace Retouch.Arena.Tests.Site;

public sealed class WrongRequestTests : IDisposable
{
    private readonly TestStudy _study = new();

    private static readonly string[] Bodies = ["Ballot", "JoinBody", "UndoBody", "ExcludeBody"];

    public void Dispose() => _study.Dispose();

    [Theory]
    [InlineData("""{ "assignment": "1", "key": "12345678", "answer": "left" }""", "assignment is \"1\"; a whole number is expected.")]
    [InlineData("""{ "assignment": 1, "key": null, "answer": "left" }""", "key is null; a text in quotes is expected.")]
    [InlineData("""{ "assignment": 1, "key": "12345678", "answer": 0 }""", "answer is 0; one of \"left\", \"right\", ")]
    [InlineData("""{ "assignment": 1, "key": "12345678", "answer": "Left" }""", "answer is \"Left\"; one of \"left\", \"right\", ")]
    [InlineData("""{ "assignment": 1, "key": "12345678", "answer": "left, right" }""", "answer is \"left, right\"; one of \"left\", ")]
    [InlineData("""{ "assignment": 1, "key": "12345678" }""", "answer is missing; one of \"left\", \"right\", ")]
    [InlineData(
        """{ "assignment": 1, "key": "12345678", "answer": "left", "milliseconds": 1.5 }""",
        "milliseconds is 1.5; a whole number, or null, is expected."
    )]
    [InlineData("""{ "assignment": 1, "key": "12345678", "answer": "left", "rater": 2 }""", "unknown member 'rater'. Known here: ")]
    [InlineData("[1]", "the top level is [1]; an object { … } is expected.")]
    public void Wrong_value_is_named_with_what_is_allowed(string json, string expected) =>
        Assert.StartsWith(expected, Assert.Single(new JsonShape(JsonStyles.Request).Problems(JsonNode.Parse(json), typeof(Ballot))));

    [Fact]
    public void Wrong_value_of_any_member_is_named_without_types_of_the_program()
    {
        var requests = typeof(Ballot).Assembly.GetTypes().Where(static t => Bodies.Contains(t.Name)).ToList();
        Assert.Equal(Bodies.Length, requests.Count);
        foreach (var request in requests)
        {
            foreach (var (path, value, file) in WrongValues.Of(request))
            {
                var problem = Assert.Single(
                    new JsonShape(JsonStyles.Request).Problems(file, request),
                    p => p.StartsWith($"{path} is ", StringComparison.Ordinal) && !p.Contains(" is missing;")
                );
                Assert.EndsWith(" is expected.", problem);
                Assert.All(WrongValues.Inner, word => Assert.False(problem.Contains(word), $"{path} = {value}: {problem}"));
            }
        }
    }

    [Theory]
    [InlineData("""{"name":5}""", "name is 5; a text in quotes is expected.")]
    [InlineData("""{"name":"A","name":"B"}""", "not valid JSON")]
    [InlineData("""{"name":"\ud800"}""", "")]
    [InlineData("{", "not valid JSON")]
    public async Task Wrong_request_is_refused_with_its_reason(string body, string reason)
    {
        await using var server = await ArenaServer.StartAsync(_study.Options, TimeProvider.System, _ => { });
        using var rater = new RaterClient(server.Address);
        await rater.Open();
        using var reply = await rater.PostText("/api/join", body);
        Assert.Equal(HttpStatusCode.BadRequest, reply.StatusCode);
        var error = (string)JsonNode.Parse(await reply.Content.ReadAsStringAsync())!["error"]!;
        Assert.Contains(reason, error);
        Assert.All(WrongValues.Inner, word => Assert.DoesNotContain(word, error));
    }
}
