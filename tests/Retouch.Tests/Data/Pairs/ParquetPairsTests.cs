using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Data.Pairs;
using Retouch.Images;
using Retouch.Tests.Data.Tables;
using Retouch.Tests.Goldens;

namespace Retouch.Tests.Data.Pairs;

public sealed class ParquetPairsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static string Golden => Path.Combine(GoldenCase.Root(), "parquet", "pairs.parquet");

    [Fact]
    public void Winners_and_losers_of_pick_a_pics_columns_are_read()
    {
        var pairs = ParquetPairs.Open(Golden);
        Assert.Equal(new PairReport(6, 3, 1, 2), pairs.Report);
        Assert.Equal(["two trees", "two trees", "a pear"], Enumerable.Range(0, 3).Select(k => pairs[k].Caption));
        Assert.Equal([1, 4, 10], Enumerable.Range(0, 3).Select(k => Number(pairs.Load(k))));
        Assert.Equal([2, 3, 9], Enumerable.Range(0, 3).Select(k => Number(pairs.LoadLoser(k))));
        Assert.Equal(("pairs.parquet/1/jpg_1", "pairs.parquet/1/jpg_0"), (pairs[1].Id, pairs.Loser(1).Id));
        Assert.Equal((16, 16), pairs.SizeOf(2));
        Assert.Equal("3 pairs in 6 rows; 1 ties, 2 contradictions (skipped).", Assert.Single(pairs.Notes));
    }

    [Fact]
    public void Contradictions_are_kept_or_refused()
    {
        Assert.Equal(new PairReport(6, 5, 1, 2), ParquetPairs.Open(Golden, PairConflicts.Keep).Report);
        var error = Assert.Throws<InputException>(() => ParquetPairs.Open(Golden, PairConflicts.Refuse));
        Assert.Contains("There is a tie in row 2 (from 0) of", error.Message);
    }

    [Fact]
    public void The_loader_gives_the_same_batches_as_for_files()
    {
        var table = ParquetPairs.Open(Golden);
        List<string> lines = [];
        for (var k = 0; k < 3; k++)
        {
            PictureFile.Save(table.Load(k).Picture, _folder[$"w{k}.png"]);
            PictureFile.Save(table.LoadLoser(k).Picture, _folder[$"l{k}.png"]);
            lines.Add($$"""{ "winner": "w{{k}}.png", "loser": "l{{k}}.png", "caption": "{{table[k].Caption}}" }""");
        }

        _folder.Add("metadata.jsonl", string.Join('\n', lines));
        var files = PairSources.Open(_folder.Path);
        Assert.IsType<PairFolder>(files);
        for (var epoch = 0; epoch < 3; epoch++)
        {
            for (var k = 0; k < 3; k++)
            {
                var (expected, actual) = (Load(files, k, epoch), Load(table, k, epoch));
                Assert.Equal(expected.Sample.Caption, actual.Sample.Caption);
                Assert.Equal(expected.Framed.Record, actual.Framed.Record);
                Assert.Equal(expected.Framed.Picture.Pixels.ToArray(), actual.Framed.Picture.Pixels.ToArray());
                Assert.Equal(expected.Loser!.Framed.Picture.Pixels.ToArray(), actual.Loser!.Framed.Picture.Pixels.ToArray());
            }
        }

        static LoadedSample Load(IPairSource source, int index, int epoch)
        {
            var plan = new BatchPlan(source.Count, new BatchPlanOptions { BatchSize = 1, Seed = 4 });
            var framing = new Framing
            {
                Width = 8,
                Height = 12,
                Crop = CropMode.Random,
                FlipProbability = 0.5,
            };
            return new SampleLoader(source, plan, framing, new Quarantine(source.Count)).Load(new(index, epoch));
        }
    }

    [Fact]
    public void Files_of_a_folder_choose_the_form()
    {
        File.Copy(Golden, _folder["train-00000-of-00001.parquet"]);
        File.Copy(Golden, _folder["validation-00000-of-00001.parquet"]);
        var folder = Assert.IsType<ParquetPairs>(PairSources.Open(_folder.Path));
        Assert.Equal(6, folder.Report.Lines);
        Assert.Equal(6, Assert.IsType<ParquetPairs>(PairSources.Open(_folder["val*.parquet"])).Report.Lines);
        Assert.Throws<InputException>(() => PairSources.Open(_folder["missing.jsonl"]));
    }

    [Fact]
    public void Files_without_pairs_are_errors()
    {
        var file = TableFile.Write(
            _folder["a.parquet"],
            [
                [new(10)],
            ]
        );
        var error = Assert.Throws<InputException>(() => ParquetPairs.Open(file));
        Assert.Contains("does not contain pairs: two columns of pictures, jpg_0 and jpg_1", error.Message);
        Assert.Contains("its columns are image, label, text", error.Message);
    }

    private static int Number(SourcePicture picture) => picture.Picture.Pixels[0] / 20;
}
