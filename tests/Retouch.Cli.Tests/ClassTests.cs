using System.Text.Json.Nodes;
using Retouch.Arena;
using Retouch.Arena.Study;
using Retouch.Arena.Tests;
using Retouch.Cli.Tests.Demo;
using Retouch.Data.Scenes;
using Retouch.Tests;

namespace Retouch.Cli.Tests;

/// <summary>Classes by name, from sampling to training on votes.</summary>
public sealed class ClassTests : IDisposable
{
    private static readonly string[] Fruit = ["apple", "goldfish, Carassius auratus", "Great Dane", "pear"];

    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-classes-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Classes_are_sampled_by_name_and_number()
    {
        TinyPipeline.Save(PathOf("model"), Fruit);
        Done(
            "sample",
            "--model",
            PathOf("model"),
            "--output",
            PathOf("drawn"),
            "--class",
            "pear",
            "great-dane",
            "--class",
            "Carassius auratus",
            "0",
            "7",
            "--count",
            "6",
            "--steps",
            "1"
        );
        var lines = File.ReadLines(PathOf("drawn/metadata.jsonl")).Select(static l => JsonNode.Parse(l)!).ToArray();
        Assert.Equal([3, 2, 1, 0, 7, 3], lines.Select(static l => (int)l["label"]!));
        Assert.Equal(["pear", "Great Dane", Fruit[1], "apple", null, "pear"], lines.Select(static l => (string?)l["text"]));
    }

    [Theory]
    [InlineData("--class: the model has no class 'aple'; did you mean 'apple'?", "aple")]
    [InlineData(
        "--class: the model has no class 'teapot'. Its classes are apple; goldfish, Carassius auratus; Great Dane; pear.",
        "teapot"
    )]
    [InlineData("--class: class 10 does not exist; the model has classes 0 to 9.", "10")]
    public void Unknown_classes_are_rejected_with_similar_names_or_all(string message, string name)
    {
        TinyPipeline.Save(PathOf("model"), Fruit);
        Refused(message, "sample", "--model", PathOf("model"), "--output", PathOf("drawn"), "--class", name);
        Assert.False(Directory.Exists(PathOf("drawn")));
        Scenes(2, static k => $"{k}.png");
        Refused(message, "compare", PathOf("model"), PathOf("model"), "--reference", PathOf("data"), "--size", "32", "--class", name);
    }

    [Fact]
    public void Names_need_a_model_with_names()
    {
        TinyPipeline.Save(PathOf("model"));
        Refused(
            "--class 'pear': the model's classes have no names; give a number from 0 to 9.",
            "sample",
            "--model",
            PathOf("model"),
            "--output",
            PathOf("drawn"),
            "--class",
            "pear"
        );
    }

    [Fact]
    public void Names_are_kept_by_training_and_conversion()
    {
        TinyPipeline.Save(PathOf("model"), Fruit);
        Scenes(4, static k => $"{(k < 2 ? "pear" : "Great Dane")}/{k}.png");
        var notes = Done(
            "train",
            "--model",
            PathOf("model"),
            "--data",
            PathOf("data"),
            "--objective",
            "latent",
            "--steps",
            "1",
            "--batch-size",
            "2",
            "--size",
            "32",
            "--output",
            PathOf("run")
        ).Error;
        Assert.Contains("Great Dane → 2 (2), pear → 3 (2)", notes, StringComparison.Ordinal);
        Done("convert", PathOf("run/model"), "--output", PathOf("half"), "--dtype", "float16");
        foreach (var folder in new[] { "run/model", "half" })
        {
            var names = JsonNode.Parse(File.ReadAllText(PathOf($"{folder}/model_index.json")))!["id2label"]!.AsObject();
            Assert.Equal(Fruit, names.Select(static p => (string)p.Value!));
        }

        Directory.Move(PathOf("data/pear"), PathOf("data/teapot"));
        var (code, _, error) = RetouchInProcess.Run(
            "train",
            "--model",
            PathOf("model"),
            "--data",
            PathOf("data"),
            "--objective",
            "latent",
            "--steps",
            "1",
            "--size",
            "32",
            "--output",
            PathOf("other")
        );
        Assert.Equal(3, code);
        Assert.Contains("1 of the data's 2 classes are unknown to the model: teapot.", error, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("speed", "slow")]
    public async Task Votes_on_classes_become_training_pairs()
    {
        // New networks predict zero: the number of steps tells the pictures apart.
        foreach (var (name, steps) in new[] { ("first", "2"), ("second", "5") })
        {
            TinyPipeline.Save(PathOf(name), Fruit);
            Done(
                "sample",
                "--model",
                PathOf(name),
                "--output",
                PathOf($"study/{name}"),
                "--class",
                "pear",
                "apple",
                "--count",
                "4",
                "--steps",
                steps
            );
        }

        await using (
            var arena = await ArenaServer.StartAsync(
                new ArenaOptions
                {
                    Folder = PathOf("study"),
                    Port = 0,
                    Votes = PathOf("votes.sqlite"),
                    Questions = [Question.Appeal],
                    Ratings = 1,
                    CheckEvery = 0,
                },
                TimeProvider.System,
                static _ => { }
            )
        )
        {
            using var rater = new RaterClient(arena.Address);
            await rater.Join("Ann");
            while (await rater.Vote(static task => RaterClient.Ballot(task, "left"))) { }
        }

        Done("arena", "export", PathOf("study"), "--votes", PathOf("votes.sqlite"), "--output", PathOf("pairs"));
        var lines = File.ReadLines(PathOf("pairs/metadata.jsonl")).Select(static l => JsonNode.Parse(l)!).ToArray();
        Assert.Equal(
            ["apple 0", "apple 0", "pear 3", "pear 3"],
            lines.Select(static l => $"{l["caption"]} {l["label"]}").Order(StringComparer.Ordinal)
        );
        var notes = Done(
            "train",
            "--model",
            PathOf("first"),
            "--pairs",
            PathOf("pairs"),
            "--objective",
            "dpo",
            "--steps",
            "1",
            "--batch-size",
            "2",
            "--size",
            "32",
            "--output",
            PathOf("run")
        ).Error;
        Assert.Contains("0 → 0 (2), 3 → 3 (2)", notes, StringComparison.Ordinal);
        Assert.Contains("\"loss/preference_latent/raw\"", File.ReadAllText(PathOf("run/metrics.jsonl")), StringComparison.Ordinal);
    }

    private string PathOf(string name) => Path.Combine(_folder, name);

    private void Scenes(int count, Func<int, string> name) => SceneFolder.Write(PathOf("data"), new ProceduralScenes(1, 32, count), name);

    private static void Refused(string message, params string[] arguments)
    {
        var (code, _, error) = RetouchInProcess.Run(arguments);
        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.Equal(2, code);
    }

    private static RetouchProcess.Outcome Done(params string[] arguments)
    {
        var outcome = RetouchInProcess.Run(arguments);
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        return outcome;
    }
}
