using System.Text.Json.Nodes;
using Retouch.Arena;
using Retouch.Arena.Study;
using Retouch.Cli.Tests.Demo;

namespace Retouch.Cli.Tests;

/// <summary>From prompts to training on automatic pairs: sampling, judging, training; and the same candidates as an arena study.</summary>
public sealed class JudgeTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-judge-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    [Trait("speed", "slow")]
    public async Task Candidates_of_two_models_become_a_study_and_training_pairs()
    {
        File.WriteAllLines(PathOf("prompts.txt"), ["a red ball", "two trees"]);
        foreach (var (name, seed) in new[] { ("first", 3UL), ("second", 4UL) })
        {
            TinyTextPipeline.Save(PathOf(name), _folder, seed);
            await Done(
                "sample",
                "--model",
                PathOf(name),
                "--output",
                PathOf($"study/{name}"),
                "--prompts",
                PathOf("prompts.txt"),
                "--images-per-prompt",
                "3",
                "--steps",
                "2",
                "--seed",
                "5"
            );
        }

        // Each prompt and seed is one comparison for each of the two questions about pairs.
        await using (
            var arena = await ArenaServer.StartAsync(
                new ArenaOptions
                {
                    Folder = PathOf("study"),
                    Port = 0,
                    Votes = PathOf("votes.sqlite"),
                    Questions = [Question.Appeal, Question.Flaws],
                },
                TimeProvider.System,
                static _ => { }
            )
        )
        {
            Assert.Equal(["first", "second"], arena.Models);
            Assert.Equal((true, 12), (arena.MatchedBySeed, arena.Tasks));
        }

        var summary = JsonNode.Parse(
            await Done("judge", PathOf("study/first"), "--by", "sharpness", "--pairs", "all", "--output", PathOf("pairs"), "--json")
        )!;
        Assert.Equal((6, 2, 6, 0), ((int)summary["candidates"]!, (int)summary["prompts"]!, (int)summary["pairs"]!, (int)summary["ties"]!));
        Assert.StartsWith(
            "2 pairs by sharpness, 0 ties excluded",
            await Done("judge", PathOf("study/first"), PathOf("study/second"), "--by", "sharpness", "--output", PathOf("both")),
            StringComparison.Ordinal
        );
        await Done(
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
        );
        Assert.True(File.Exists(PathOf("run/model/model_index.json")));
        Assert.Contains("\"loss/preference_latent/raw\"", File.ReadAllText(PathOf("run/metrics.jsonl")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Candidates_of_classes_are_judged_by_an_autoencoder()
    {
        TinyPipeline.Save(PathOf("model"));
        await Done("sample", "--model", PathOf("model"), "--output", PathOf("drawn"), "--class", "3", "7", "--count", "6", "--steps", "2");
        var summary = JsonNode.Parse(
            await Done(
                "judge",
                PathOf("drawn"),
                "--by",
                "reconstruction",
                "--model",
                PathOf("model"),
                "--output",
                PathOf("pairs"),
                "--json"
            )
        )!;
        Assert.Equal((6, 2, 2), ((int)summary["candidates"]!, (int)summary["prompts"]!, (int)summary["pairs"]!));
        var lines = File.ReadAllLines(PathOf("pairs/metadata.jsonl")).Select(static l => JsonNode.Parse(l)!).ToArray();
        Assert.Equal([3, 7], lines.Select(static l => (int)l["label"]!));
        Assert.Equal((string?)summary["judge"]!["sha256"], (string?)lines[0]["judge_sha256"]);
        await Done(
            "train",
            "--model",
            PathOf("model"),
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
        );
        Assert.Contains(
            "judged automatically",
            await Done("judge", PathOf("drawn"), "--by", "reconstruction", "--model", PathOf("model/vae"), "--output", PathOf("again")),
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData(2, "--by 'taste'", "--by", "taste")]
    [InlineData(2, "needs a CLIP model", "--by", "clipscore")]
    [InlineData(2, "needs an autoencoder", "--by", "reconstruction")]
    [InlineData(2, "--clip has an effect only", "--by", "sharpness", "--clip", "x")]
    [InlineData(2, "--model has an effect only", "--by", "sharpness", "--model", "x")]
    [InlineData(2, "--device has no effect", "--by", "sharpness", "--device", "cpu")]
    [InlineData(2, "--pairs 'some'", "--by", "sharpness", "--pairs", "some")]
    [InlineData(2, "--margin is -1", "--by", "sharpness", "--margin", "-1")]
    [InlineData(2, "'--by' is required")]
    [InlineData(3, "no folder", "--by", "sharpness")]
    public async Task Invalid_options_are_rejected(int expected, string message, params string[] args)
    {
        var (code, _, error) = await Run(["judge", PathOf("nowhere"), "--output", PathOf("refused"), .. args]);
        Assert.Equal(expected, code);
        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(PathOf("refused")));
    }

    private static async Task<string> Done(params string[] args)
    {
        var (code, output, error) = await Run(args);
        Assert.True(code == 0, error);
        return output;
    }

    private static async Task<(int Code, string Output, string Error)> Run(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await CommandLine.RunAsync(CommandLine.Create(), args, output, error);
        return (code, output.ToString(), error.ToString());
    }

    private string PathOf(string name) => Path.Combine(_folder, name);
}
