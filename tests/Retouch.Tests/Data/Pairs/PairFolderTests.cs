using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Data.Pairs;
using Retouch.Images;

namespace Retouch.Tests.Data.Pairs;

public sealed class PairFolderTests : IDisposable
{
    private static readonly Framing Random = new()
    {
        Width = 8,
        Height = 8,
        Crop = CropMode.Random,
        FlipProbability = 0.5,
        ShrinkOnLoad = false,
    };

    private readonly TemporaryFolder _folder = new();

    public PairFolderTests()
    {
        for (var k = 0; k < 6; k++)
            Picture($"p{k}.png", 20, 14, k);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Both_formats_are_read()
    {
        var pairs = Open(
            """{"winner": "p0.png", "loser": ["p1.png", "./p2.png"], "caption": "a  red\nthing", "label": 3}""",
            "",
            """{"winner": "p2.png", "loser": "p3.png", "prompt": "blue", "votes": 7}""",
            """{"jpg_0": "p4.png", "jpg_1": "p5.png", "label_0": 0, "label_1": 1.0, "caption": "green"}""",
            """{"image_0": "p4.png", "image_1": "p0.png", "label_0": 1, "label_1": 0}""",
            """{"jpg_0": "p1.png", "jpg_1": "p2.png", "label_0": 0.5, "label_1": 0.5}"""
        );
        Assert.Equal(
            [
                ("p0.png", "p1.png", "a red thing"),
                ("p0.png", "p2.png", "a red thing"),
                ("p2.png", "p3.png", "blue"),
                ("p5.png", "p4.png", "green"),
                ("p4.png", "p0.png", null),
            ],
            Enumerable.Range(0, pairs.Count).Select(k => (pairs[k].Id, pairs.Loser(k).Id, pairs[k].Caption))
        );
        Assert.Equal(new PairReport(5, 5, 1, 0), pairs.Report);
        Assert.Equal([3, 3, null, null, null], Enumerable.Range(0, pairs.Count).Select(k => pairs[k].Label));
        Assert.Equal(pairs[0].Label, pairs.Loser(0).Label);
    }

    [Fact]
    public void Ties_and_contradictions_are_counted_and_skipped_kept_or_rejected()
    {
        string[] lines =
        [
            """{"winner": "p0.png", "loser": "p1.png", "caption": "x"}""",
            """{"winner": "p1.png", "loser": ["p0.png", "p2.png"], "caption": "x"}""",
            """{"winner": "p1.png", "loser": "p0.png", "caption": "y"}""",
        ];
        string[] withTie = [.. lines, """{"jpg_0": "p1.png", "jpg_1": "p2.png", "label_0": 0.5, "label_1": 0.5}"""];
        // The same pictures with another prompt do not contradict.
        Assert.Equal(new PairReport(4, 2, 1, 2), Open(withTie).Report);
        Assert.Equal(new PairReport(4, 4, 1, 2), Open(PairConflicts.Keep, withTie).Report);
        Assert.Contains("line 4", Assert.Throws<InputException>(() => Open(PairConflicts.Refuse, withTie)).Message);
        Assert.Contains(
            "'p0.png' is preferred to 'p1.png' in line 1",
            Assert.Throws<InputException>(() => Open(PairConflicts.Refuse, lines)).Message
        );
        Assert.Contains("1 lines, 1 ties, 0 contradictions", Assert.Throws<InputException>(() => Open(withTie[3])).Message);
    }

    [Theory]
    [InlineData("[1]", "no JSON object in line 2")]
    [InlineData("""{"winner": "p0.png", "loser": """, "Invalid JSON in line 2")]
    [InlineData("""{"winner": "p0.png"}""", "'loser' does not name a file in line 2")]
    [InlineData("""{"loser": "p0.png"}""", "'winner' does not name a file in line 2")]
    [InlineData("""{"winner": 7, "loser": "p0.png"}""", "'winner' is not text in line 2")]
    [InlineData("""{"winner": "p0.png", "loser": []}""", "'loser' is empty in line 2")]
    [InlineData("""{"winner": "p0.png", "loser": ["p1.png", 4]}""", "not text in line 2")]
    [InlineData("""{"winner": "p0.png", "loser": ["p1.png", " "]}""", "does not name a file in line 2")]
    [InlineData("""{"winner": "p0.png", "loser": "p0.png"}""", "both winner and loser in line 2")]
    [InlineData("""{"winner": "p0.png", "loser": "../p1.png"}""", "is outside the list's folder")]
    [InlineData("""{"winner": "/etc/passwd", "loser": "p1.png"}""", "is outside the list's folder")]
    [InlineData("""{"winner": "a\\..\\..\\b.png", "loser": "p1.png"}""", "is outside the list's folder")]
    [InlineData("""{"winner": "a\u0000.png", "loser": "p1.png"}""", "line 2")]
    [InlineData("""{"file_name": "p0.png", "text": "no pair"}""", "Neither 'winner' and 'loser'")]
    [InlineData("""{"jpg_0": "p0.png", "jpg_1": "p1.png", "label_0": 1, "label_1": 1}""", "add up to 1")]
    [InlineData(
        """{"jpg_0": "p0.png", "jpg_1": "p1.png", "label_0": 2, "label_1": -1}""",
        "'label_0' is not a number from 0 to 1 in line 2"
    )]
    [InlineData("""{"jpg_0": "p0.png", "jpg_1": "p1.png", "label_0": 1}""", "'label_1' is not a number")]
    [InlineData("""{"jpg_0": "p0.png", "label_0": 1, "label_1": 0}""", "'jpg_1' does not name a file in line 2")]
    [InlineData("""{"winner": "p0.png", "loser": "p1.png", "caption": {}}""", "'caption' is not text")]
    [InlineData("""{"winner": "p0.png", "loser": "p1.png", "label": 1.5}""", "'label' is 1.5")]
    public void A_malformed_line_is_named(string line, string message) =>
        Assert.Contains(message, Assert.Throws<InputException>(() => Open("""{"winner": "p0.png", "loser": "p1.png"}""", line)).Message);

    [Fact]
    public void Missing_pictures_are_named_with_their_lines()
    {
        var message = Assert
            .Throws<InputException>(() =>
                Open("""{"winner": "p0.png", "loser": "no.png"}""", """{"winner": "never.png", "loser": ["no.png", "p1.png"]}""")
            )
            .Message;
        Assert.StartsWith("2 pictures of the pairs do not exist", message, StringComparison.Ordinal);
        Assert.Contains("'no.png' (line 1", message);
        Assert.Contains("'never.png' (line 2", message);
        Assert.Contains("no list of pairs", Assert.Throws<InputException>(() => PairFolder.Open(_folder.Path + "/none.jsonl")).Message);
        Assert.Contains(
            "no metadata.jsonl",
            Assert.Throws<InputException>(() => PairFolder.Open(Directory.CreateDirectory(_folder.Path + "/empty").FullName)).Message
        );
    }

    [Fact]
    public void Winner_and_loser_have_the_same_crop_and_flip()
    {
        // Winner and loser of each pair have equal pixels under two names.
        List<string> lines = [];
        for (var k = 0; k < 5; k++)
        {
            Picture($"copy{k}.png", 20, 14, k);
            lines.Add($$"""{"winner": "p{{k}}.png", "loser": "copy{{k}}.png"}""");
        }

        var pairs = Open([.. lines]);
        List<(int, int, bool)> cuts = [];
        foreach (var batch in Batches(pairs, default, 6, out _))
        {
            Assert.Equal((2, 4), (batch.Pairs, batch.Count));
            Assert.StartsWith("p", batch.Samples[0].Id, StringComparison.Ordinal);
            for (var k = 0; k < 2; k++)
            {
                Assert.Equal(
                    batch.Samples[k].Id.Replace("p", "copy", StringComparison.Ordinal).Replace(".copyng", ".png", StringComparison.Ordinal),
                    batch.Samples[2 + k].Id
                );
                Assert.Equal(batch.Frames[k], batch.Frames[2 + k]);
                Assert.True(batch.PictureAt(k).SameAs(batch.PictureAt(2 + k)));
                cuts.Add((batch.Frames[k].Left, batch.Frames[k].Top, batch.Frames[k].Flipped));
            }
        }

        Assert.True(cuts.Distinct().Count() > 3);
    }

    [Fact]
    public void Reading_resumes_at_the_cursor()
    {
        var pairs = Open([.. Enumerable.Range(0, 5).Select(static k => $$"""{"winner": "p{{k}}.png", "loser": "p{{k + 1}}.png"}""")]);
        var whole = Batches(pairs, default, 8, out var cursors);
        var rest = Batches(pairs, cursors[2], 5, out _);
        for (var k = 0; k < rest.Count; k++)
        {
            Assert.Equal(whole[3 + k].Pixels, rest[k].Pixels);
            Assert.Equal(whole[3 + k].Samples, rest[k].Samples);
        }
    }

    [Fact]
    public void A_pair_of_two_shapes_is_quarantined()
    {
        Picture("wide.png", 40, 14, 1);
        Picture("twice.png", 40, 28, 1);
        var pairs = Open(
            """{"winner": "p0.png", "loser": "wide.png"}""",
            """{"winner": "p1.png", "loser": "twice.png"}""",
            """{"winner": "p2.png", "loser": "p3.png"}"""
        );
        var plan = new BatchPlan(pairs.Count, new BatchPlanOptions { BatchSize = 1 });
        var quarantine = new Quarantine(pairs.Count, 1);
        var loader = new SampleLoader(pairs, plan, Random, quarantine);
        for (var k = 0; k < 3; k++)
            Assert.NotEqual("p0.png", loader.Load(new PlannedSample(k, 0)).Sample.Id);
        Assert.Contains("aspect ratios differ", Assert.Single(quarantine.Pictures).Reason);
    }

    [Fact]
    public void Cursors_count_the_previous_batches()
    {
        foreach (var end in new[] { EpochEnd.DropRest, EpochEnd.Wrap })
        {
            var plan = new BatchPlan(11, new BatchPlanOptions { BatchSize = 4, End = end });
            var cursor = default(DataCursor);
            for (var k = 0; k < 14; k++)
            {
                Assert.Equal(k, plan.BatchesBefore(cursor));
                if (end == EpochEnd.Wrap)
                    Assert.Equal(plan.At(cursor).Samples, plan.At(plan.After(k)).Samples);
                cursor = plan.At(cursor).Next;
            }
        }
    }

    private static List<PictureBatch> Batches(PairFolder pairs, DataCursor start, int count, out List<DataCursor> cursors)
    {
        var plan = new BatchPlan(pairs.Count, new BatchPlanOptions { BatchSize = 2, Seed = 3 });
        using var prefetcher = new Prefetcher(
            plan,
            new SampleLoader(pairs, plan, Random, new Quarantine(pairs.Count)),
            new PrefetchOptions { Start = start, Workers = 3 },
            TimeProvider.System
        );
        List<PictureBatch> batches = [.. Enumerable.Range(0, count).Select(_ => prefetcher.Next()!)];
        cursors = [.. batches.Select(static b => b.Next)];
        return batches;
    }

    private PairFolder Open(params string[] lines) => Open(PairConflicts.Skip, lines);

    private PairFolder Open(PairConflicts conflicts, params string[] lines)
    {
        _folder.Add("metadata.jsonl", string.Join('\n', lines));
        return PairFolder.Open(_folder.Path, conflicts);
    }

    private void Picture(string name, int width, int height, int seed)
    {
        var random = new SplitMix64((ulong)seed);
        var picture = new Picture(width, height);
        for (var k = 0; k < picture.Pixels.Length; k++)
            picture.Pixels[k] = (byte)random.Next();
        PictureFile.Save(picture, Path.Combine(_folder.Path, name));
    }
}
