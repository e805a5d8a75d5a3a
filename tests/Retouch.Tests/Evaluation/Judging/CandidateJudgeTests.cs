using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Data.Pairs;
using Retouch.Data.Scenes;
using Retouch.Evaluation.Judging;
using Retouch.Images;
using Retouch.Pipelines.Diffusers;
using Retouch.Tests.Goldens;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;

namespace Retouch.Tests.Evaluation.Judging;

/// <summary>Candidates of known order, by deliberate degradation.</summary>
public sealed class CandidateJudgeTests : IDisposable
{
    private static readonly string[] Prompts = ["a tree", "two boats", "a house"];

    /// <summary>The pipeline of the demo, with a trained autoencoder.</summary>
    private static readonly string Model = Path.Combine(GoldenCase.Root(), "..", "..", "demo", "model");

    private readonly TemporaryFolder _folder = new();

    private readonly ProceduralScenes _scenes = new(5, 32, 3);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Blurred_copies_lose_by_sharpness_in_order()
    {
        Blurred();
        var result = Judge(new() { Pairs = JudgedPairing.All }, "study/one", "study/two");
        Assert.Equal((9, 3, 0, 9, 0), (result.Candidates, result.Prompts, result.Alone, result.Pairs, result.Ties));
        var pairs = PairFolder.Open(_folder["out"]);
        Assert.Equal(new PairReport(9, 9, 0, 0), pairs.Report);
        for (var k = 0; k < 3; k++)
        {
            // Names do not follow the order: the best is between the others, in another folder than the worst.
            Assert.Equal(
                [
                    ($"images/one/b{k}.png", $"images/one/a{k}.png", Prompts[k]),
                    ($"images/one/b{k}.png", $"images/two/c{k}.png", Prompts[k]),
                    ($"images/one/a{k}.png", $"images/two/c{k}.png", Prompts[k]),
                ],
                Enumerable.Range(3 * k, 3).Select(i => (pairs[i].Id, pairs.Loser(i).Id, pairs[i].Caption))
            );
            Assert.True(pairs.Load(3 * k).Picture.SameAs(_scenes.Load(k).Picture));
            Assert.True(pairs.LoadLoser((3 * k) + 2).Picture.SameAs(Blur(Blur(_scenes.Load(k).Picture, k), k)));
        }
    }

    [Fact]
    public void Best_and_worst_form_a_pair_per_prompt_marked_as_automatic()
    {
        Blurred();
        var result = Judge(new(), "study");
        Assert.Equal((3, 0), (result.Pairs, result.Ties));
        var lines = File.ReadAllLines(_folder["out/metadata.jsonl"]).Select(static l => JsonNode.Parse(l)!).ToArray();
        Assert.Equal(
            ["images/study/one/b0.png", "images/study/one/b1.png", "images/study/one/b2.png"],
            lines.Select(static l => (string?)l["winner"])
        );
        Assert.Equal(
            ["images/study/two/c0.png", "images/study/two/c1.png", "images/study/two/c2.png"],
            lines.Select(static l => (string?)l["loser"])
        );
        Assert.All(lines, static l => Assert.Equal((true, "sharpness"), ((bool)l["automatic"]!, (string?)l["judge"])));
        var scores = File.ReadAllLines(_folder["out/scores.jsonl"])
            .Select(static l => JsonNode.Parse(l)!)
            .ToDictionary(static l => "images/" + (string)l["picture"]!, static l => (double)l["score"]!);
        Assert.Equal(9, scores.Count);
        Assert.All(
            lines,
            l =>
                Assert.Equal(
                    (scores[(string)l["winner"]!], scores[(string)l["loser"]!]),
                    ((double)l["winner_score"]!, (double)l["loser_score"]!)
                )
        );
        // Pixels reach the measure as float32: the 24 binary digits of k / 255.
        Assert.Equal(1, scores["images/study/one/b1.png"] / Laplacian(_scenes.Load(1).Picture), 1e-6);
        Assert.Equal(
            (scores.Values.Min(), scores.Values.Max(), scores.Values.Order().ElementAt(4)),
            (result.Scores.Lowest, result.Scores.Highest, result.Scores.Median)
        );
        Assert.Contains("no person", File.ReadAllText(_folder["out/README.md"]), StringComparison.Ordinal);
        Assert.Equal("sharpness", (string?)JsonNode.Parse(File.ReadAllText(_folder["out/judge.json"]))!["protocol"]!["judge"]);
        Assert.Equal(6, Directory.EnumerateFiles(_folder["out/images"], "*", SearchOption.AllDirectories).Count());
        JudgeTo("again", new() { Link = true }, "study");
        foreach (var file in new[] { "metadata.jsonl", "scores.jsonl" })
            Assert.Equal(File.ReadAllBytes(_folder[$"out/{file}"]), File.ReadAllBytes(_folder[$"again/{file}"]));
    }

    [Fact]
    public void Noise_loses_by_reconstruction_error()
    {
        for (var k = 0; k < 3; k++)
        {
            Put($"a{k}", Noisy(_scenes.Load(k).Picture, 90, k), Prompts[k]);
            Put($"b{k}", _scenes.Load(k).Picture, Prompts[k]);
            Put($"c{k}", Noisy(_scenes.Load(k).Picture, 30, k), Prompts[k]);
        }

        using var measure = ReconstructionMeasure.Open(Model, Device.Cpu);
        var result = CandidateJudge.Judge([_folder["study"]], measure, new() { Pairs = JudgedPairing.All, BatchSize = 4 }, _folder["out"]);
        Assert.Equal(9, result.Pairs);
        var pairs = PairFolder.Open(_folder["out"]);
        Assert.Equal(
            ["b0 c0", "b0 a0", "c0 a0", "b1 c1", "b1 a1", "c1 a1", "b2 c2", "b2 a2", "c2 a2"],
            Enumerable
                .Range(0, 9)
                .Select(k => $"{Path.GetFileNameWithoutExtension(pairs[k].Id)} {Path.GetFileNameWithoutExtension(pairs.Loser(k).Id)}")
        );
        var line = JsonNode.Parse(File.ReadAllLines(_folder["out/metadata.jsonl"])[0])!;
        Assert.Equal(64, ((string)line["judge_sha256"]!).Length);
        Assert.Equal("model", result.Judge.Model);

        using var scope = TensorScope.Enter();
        using var vae = (IAutoencoder)ComponentFolder.Load(Path.Combine(Model, "vae"), Device.Cpu).Network;
        var picture = _scenes.Load(0).Picture;
        var back = vae.Decode(vae.Encode(PictureTensors.ToTensor([picture]), null)).Detach().Clamp(-1, 1).ToArray<float>();
        var error = 0.0;
        for (var i = 0; i < back.Length; i++)
        {
            var (channel, y, x) = (i / (32 * 32), i / 32 % 32, i % 32);
            var pixel = picture[x, y];
            var difference =
                Math.Round((back[i] + 1) * 127.5, MidpointRounding.ToEven)
                - (
                    channel == 0 ? pixel.R
                    : channel == 1 ? pixel.G
                    : pixel.B
                );
            error += difference * difference / back.Length;
        }

        Assert.Equal(10 * Math.Log10(255 * 255 / error), (double)line["winner_score"]!, 0.02);
    }

    [Fact]
    public void Differences_below_the_margin_are_ties()
    {
        ScoredCandidate[] group =
        [
            .. new[] { 3.0, 5, 4.5, 3 }.Select(static (s, k) => new ScoredCandidate(new($"{k}", "", "x", null), "", s)),
        ];
        (string, int) Of(JudgedPairing pairs, double margin)
        {
            var (decided, ties) = CandidateJudge.Decide(group, new() { Pairs = pairs, Margin = margin });
            return (string.Join(' ', decided.Select(static p => p.Winner.Candidate.Name + p.Loser.Candidate.Name)), ties);
        }

        Assert.Equal(("12 10 13 20 23", 1), Of(JudgedPairing.All, 0));
        Assert.Equal(("10 13 20 23", 2), Of(JudgedPairing.All, 1.5));
        Assert.Equal(("10 13", 4), Of(JudgedPairing.All, 1.75));
        Assert.Equal(("13", 0), Of(JudgedPairing.BestWorst, 2));
        Assert.Equal(("", 1), Of(JudgedPairing.BestWorst, 2.1));
        group = [group[0], group[3]];
        Assert.Equal(("", 1), Of(JudgedPairing.BestWorst, 0));
        group = [group[0]];
        Assert.Equal(("", 0), Of(JudgedPairing.All, 0));
    }

    [Fact]
    public void Ties_and_single_candidates_are_counted()
    {
        var picture = _scenes.Load(0).Picture;
        foreach (var name in new[] { "a", "b", "c", "d", "e", "f" })
            PictureFile.Save(name == "b" ? Blur(picture, 0) : picture, _folder[$"study/{name}.png"]);
        File.WriteAllLines(
            _folder["study/metadata.jsonl"],
            [
                """{"file_name": "a.png", "label": 7}""",
                """{"file_name": "b.png", "label": 7}""",
                """{"file_name": "c.png", "label": 2, "text": "a boat"}""",
                """{"file_name": "d.png", "label": 2, "text": "a boat"}""",
                """{"file_name": "e.png", "label": 2, "text": "another boat"}""",
                """{"file_name": "f.png", "label": 3, "text": "a boat"}""",
            ]
        );
        var result = Judge(new(), "study");
        // c and d are the same picture; e has another prompt, f another class.
        Assert.Equal((6, 4, 2, 1, 1), (result.Candidates, result.Prompts, result.Alone, result.Pairs, result.Ties));
        var pair = PairFolder.Open(_folder["out"]);
        Assert.Equal(("images/study/a.png", 7, null), (pair[0].Id, pair[0].Label, pair[0].Caption));
    }

    [Fact]
    public void Unsuitable_candidates_are_rejected()
    {
        Blurred();
        void Refused<T>(string words, JudgeOptions options, params string[] folders)
            where T : Exception
        {
            Assert.Contains(words, Assert.Throws<T>(() => Judge(options, folders)).Message, StringComparison.Ordinal);
            Assert.False(Directory.Exists(_folder["out"]));
        }

        Refused<UsageException>("--margin is -1", new() { Margin = -1 }, "study");
        Refused<UsageException>("--batch-size is 0", new() { BatchSize = 0 }, "study");
        Refused<UsageException>("given twice", new(), "study/one", "study/../study/one");
        Refused<InputException>("All 3 comparisons are ties", new() { Margin = 1e9 }, "study");
        Refused<InputException>("only one candidate", new(), "study/two");
        Refused<InputException>("no folder", new(), "nowhere");
        PictureFile.Save(Picture.Filled(20, 32, Rgb.White), _folder["study/two/c1.png"]);
        Refused<InputException>("20 x 32 pixels, another candidate of \"two boats\" 32 x 32", new(), "study");
        File.WriteAllText(_folder["study/two/c1.png"], "no picture");
        Refused<InputException>("c1.png", new(), "study");
        File.Delete(_folder["study/two/metadata.jsonl"]);
        Refused<InputException>("neither a prompt nor a class", new(), "study");
        Directory.CreateDirectory(_folder["full/of"]);
        using var measure = new SharpnessMeasure();
        Assert.Contains(
            "is not empty",
            Assert.Throws<UsageException>(() => CandidateJudge.Judge([_folder["study"]], measure, new(), _folder["full"])).Message,
            StringComparison.Ordinal
        );
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        Assert.Throws<OperationCanceledException>(() =>
            CandidateJudge.Judge([_folder["study/one"]], measure, new(), _folder["out"], null, stop.Token)
        );
    }

    private static Picture Blur(Picture picture, int seed) => DegradedPictures.Apply(picture, Degradation.Blur, (ulong)seed).Picture;

    private static Picture Noisy(Picture picture, int strength, int seed)
    {
        var random = new SplitMix64((ulong)seed);
        return new(
            picture.Width,
            picture.Height,
            [.. picture.Pixels.ToArray().Select(v => (byte)Math.Clamp(v + random.NextDouble(-strength, strength), 0, 255))]
        );
    }

    /// <summary>Explicit variance of the luminance's Laplacian.</summary>
    private static double Laplacian(Picture picture)
    {
        double Y(int x, int y) => picture[x, y] is var p ? (0.299 * p.R) + (0.587 * p.G) + (0.114 * p.B) : 0;
        double[] values =
        [
            .. from y in Enumerable.Range(1, picture.Height - 2)
            from x in Enumerable.Range(1, picture.Width - 2)
            select Y(x - 1, y) + Y(x + 1, y) + Y(x, y - 1) + Y(x, y + 1) - (4 * Y(x, y)),
        ];
        return values.Average(v => (v - values.Average()) * (v - values.Average()));
    }

    /// <summary>
    /// For each prompt: a blurred picture (a) and the original (b) in one folder, and a twice blurred one (c) in another.
    /// </summary>
    private void Blurred()
    {
        for (var k = 0; k < 3; k++)
        {
            var picture = _scenes.Load(k).Picture;
            Put($"one/a{k}", Blur(picture, k), Prompts[k]);
            Put($"one/b{k}", picture, Prompts[k]);
            Put($"two/c{k}", Blur(Blur(picture, k), k), Prompts[k]);
        }
    }

    private void Put(string name, Picture picture, string prompt)
    {
        var path = _folder[$"study/{name}.png"];
        PictureFile.Save(picture, path);
        File.AppendAllText(
            Path.Combine(Path.GetDirectoryName(path)!, "metadata.jsonl"),
            $$"""{"file_name": "{{Path.GetFileName(path)}}", "text": "{{prompt}}"}""" + "\n"
        );
    }

    private Judgement Judge(JudgeOptions options, params string[] folders) => JudgeTo("out", options, folders);

    private Judgement JudgeTo(string output, JudgeOptions options, params string[] folders)
    {
        using var measure = new SharpnessMeasure();
        return CandidateJudge.Judge([.. folders.Select(f => _folder[f])], measure, options, _folder[output]);
    }
}
