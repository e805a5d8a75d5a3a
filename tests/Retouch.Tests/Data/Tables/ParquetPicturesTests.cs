using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Data.Tables;
using Retouch.Images;
using Retouch.Tests.Goldens;
using Retouch.Tests.Training;
using Retouch.Training;

namespace Retouch.Tests.Data.Tables;

public sealed class ParquetPicturesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Pictures_captions_and_class_names_of_another_writer_are_read()
    {
        var source = ParquetPictures.Open([Golden("pictures.parquet")]);
        Assert.Equal(5, source.Count);
        Assert.Equal(["cat", "dog", "owl"], source.Classes);
        Assert.False(source.HasNumberedClasses);
        Assert.Equal(["pictures.parquet/0", "pictures.parquet/1"], [source[0].Id, source[1].Id]);
        Assert.Equal([2, 0, 1, 1, null], Enumerable.Range(0, 5).Select(k => source[k].Label));
        Assert.Equal(
            ["an owl", "a cat", "a dog without picture", "a dog elsewhere", null],
            Enumerable.Range(0, 5).Select(k => source[k].Caption)
        );
        AssertPicture(1, source.Load(0));
        AssertPicture(2, source.Load(1));
        AssertPicture(5, source.Load(4));
        Assert.Equal((16, 16), source.SizeOf(4));
        Assert.Equal(
            "In the Parquet files, pictures are in column image, captions in text and labels in label.",
            Assert.Single(source.Notes)
        );
        // A struct that is null, and one without bytes.
        foreach (var k in (int[])[2, 3])
            Assert.Contains(
                $"The column 'image' has no picture in row {k} (from 0) of",
                Assert.Throws<InputException>(() => source.Load(k)).Message
            );
    }

    [Theory]
    [InlineData("lists-v1.parquet")]
    [InlineData("lists-v2.parquet")]
    public void Lists_of_captions_and_class_names_as_text_are_read(string file)
    {
        var source = ParquetPictures.Open([Golden(file)]);
        Assert.Equal([1, 0, null, 1], Enumerable.Range(0, 4).Select(k => source[k].Label));
        Assert.Equal(["a", "b"], source.Classes);
        Assert.Equal(["one", "two lines"], source[0].AllCaptions);
        Assert.Equal([0, 0, 1], [source[1].AllCaptions.Count, source[2].AllCaptions.Count, source[3].AllCaptions.Count]);
        AssertPicture(3, source.Load(2));
        Assert.Contains("1 picture has several captions", source.Notes[1]);
    }

    [Fact]
    public void Dictionaries_are_read()
    {
        var source = ParquetPictures.Open([Golden("dictionary.parquet")]);
        Assert.Equal(60, source.Count);
        for (var k = 0; k < 60; k++)
        {
            Assert.Equal((k % 2, k % 2 == 0 ? "odd number" : "even number"), (source[k].Label, source[k].Caption));
            AssertPicture((k % 2) + 1, source.Load(k));
        }
    }

    [Fact]
    public void Row_groups_of_several_files_are_read_on_demand()
    {
        var one = TableFile.Write(
            _folder["data/a.parquet"],
            [
                [new(10), new(20)],
                [],
                [new(30)],
            ]
        );
        TableFile.Write(
            _folder["data/b.parquet"],
            [
                [new(40)],
                [new(50), new(60)],
            ]
        );
        var source = ParquetPictures.Open([_folder["data"]]);
        Assert.Equal(6, source.Count);
        Assert.Equal(
            ["a.parquet/0", "a.parquet/1", "a.parquet/2", "b.parquet/0", "b.parquet/1", "b.parquet/2"],
            Enumerable.Range(0, 6).Select(k => source[k].Id)
        );
        Parallel.For(0, 600, k => Assert.Equal((k % 6) + 1, source.Load(k % 6).Picture.Pixels[0] / 10));
        // The second half of the file is damaged: the first row group is still readable.
        var bytes = File.ReadAllBytes(one);
        var second = bytes.AsSpan().LastIndexOf(TableFile.Encoded(30));
        bytes.AsSpan(second - 60, 60).Fill(0xFF);
        File.WriteAllBytes(one, bytes);
        var damaged = ParquetPictures.Open([one]);
        Assert.Equal(20, damaged.Load(1).Picture.Pixels[0]);
        Assert.Contains($"'{one}' is corrupt", Assert.Throws<InputException>(() => damaged.Load(2)).Message);
    }

    [Fact]
    public void The_cache_is_bounded_and_reads_a_row_group_once()
    {
        var size = TableFile.Encoded(10).Length;
        var table = ParquetTable.Open(
            TableFile.Write(
                _folder["a.parquet"],
                [.. Enumerable.Range(0, 4).Select(static g => new TableFile.Row[] { new((byte)(20 * g)), new(7) })]
            )
        );
        var cache = new RowGroupCache(5 * size);
        foreach (var group in (int[])[0, 1, 0, 1])
            cache.Get(table, "image", group, 1);
        Assert.Equal(2, cache.Reads);
        // The third does not fit beside both, and replaces the one that was used first.
        cache.Get(table, "image", 2, 0);
        cache.Get(table, "image", 1, 0);
        Assert.Equal(3, cache.Reads);
        Assert.Equal(0, PictureFile.Decode(cache.Get(table, "image", 0, 0)!, "0").Picture.Pixels[0]);
        Assert.Equal(4, cache.Reads);
    }

    [Fact]
    public void Files_of_splits_are_separated()
    {
        foreach (
            var (name, level) in new[]
            {
                ("train-00000-of-00002", 10),
                ("train-00001-of-00002-b66ac786bf6fb553", 20),
                ("validation_unique-00000-of-00001", 30),
                ("test-00000-of-00001", 40),
            }
        )
            TableFile.Write(
                _folder[$"data/{name}.parquet"],
                [
                    [new((byte)level)],
                ]
            );
        int[] Levels(string name, DataSplit? split = null) =>
            [
                .. ParquetPictures.Open([_folder[name]], split) is var source
                    ? Enumerable.Range(0, source.Count).Select(k => (int)source.Load(k).Picture.Pixels[0])
                    : [],
            ];
        Assert.Equal([10, 20], Levels("data"));
        Assert.Equal([40], Levels("data", DataSplit.Test));
        Assert.Equal([30], Levels("data", DataSplit.Validation));
        Assert.Equal([30], Levels("data/validation*.parquet"));
        Assert.Equal([20], Levels("data/train-{00001..00001}-of-00002-b66ac786bf6fb553.parquet"));
        Assert.Contains(
            "The Parquet files are splits, not classes: train (2 pictures), validation (1 picture, not used), test (1 picture, not used)",
            ParquetPictures.Open([_folder["data"]]).Notes[1]
        );
    }

    [Fact]
    public void Split_folders_of_converted_data_sets_are_recognised()
    {
        TableFile.Write(
            _folder["default/train/0000.parquet"],
            [
                [new(10)],
            ]
        );
        TableFile.Write(
            _folder["default/train/0001.parquet"],
            [
                [new(20)],
            ]
        );
        TableFile.Write(
            _folder["default/test/0000.parquet"],
            [
                [new(30)],
            ]
        );
        Assert.Equal(2, ParquetPictures.Open([_folder.Path]).Count);
        Assert.Equal(1, ParquetPictures.Open([_folder.Path], DataSplit.Test).Count);
        Assert.Equal("0001.parquet/0", ParquetPictures.Open([_folder.Path])[1].Id);
        // Names that occur twice are replaced by paths.
        TableFile.Write(
            _folder["default/train/more/0000.parquet"],
            [
                [new(40)],
            ]
        );
        Assert.Equal($"{_folder["default/train/more/0000.parquet"]}/0", ParquetPictures.Open([_folder.Path])[2].Id);
        Assert.Contains(
            "no pictures in the split validation",
            Assert.Throws<InputException>(() => ParquetPictures.Open([_folder.Path], DataSplit.Validation)).Message
        );
    }

    [Fact]
    public void Numbers_without_names_are_the_models_classes()
    {
        var source = ParquetPictures.Open([
            TableFile.Write(
                _folder["a.parquet"],
                [
                    [new(1, 3), new(2, -1), new(3, 0)],
                ]
            ),
        ]);
        Assert.True(source.HasNumberedClasses);
        Assert.Equal([3, null, 0], Enumerable.Range(0, 3).Select(k => source[k].Label));
    }

    [Theory]
    [InlineData(3)]
    [InlineData(-2)]
    public void Labels_without_a_class_name_are_errors(long label)
    {
        var file = TableFile.Write(
            _folder["a.parquet"],
            [
                [new(1, 0)],
                [new(2, label)],
            ],
            ["x", "y", "z"]
        );
        var error = Assert.Throws<InputException>(() => ParquetPictures.Open([file]));
        Assert.Contains($"The label in row 1 (from 0) of '{file}' is {label}; its column 'label' has 3 class names", error.Message);
    }

    [Fact]
    public void Files_with_other_columns_or_class_names_are_errors()
    {
        var a = TableFile.Write(
            _folder["a.parquet"],
            [
                [new(1, 0)],
            ],
            ["x", "y"]
        );
        var b = TableFile.Write(
            _folder["b.parquet"],
            [
                [new(1, 0)],
            ],
            ["x", "z"]
        );
        Assert.Contains("has other class names than", Assert.Throws<InputException>(() => ParquetPictures.Open([a, b])).Message);
        Assert.Contains(
            "has other columns than",
            Assert.Throws<InputException>(() => ParquetPictures.Open([a, Golden("lists-v1.parquet")])).Message
        );
    }

    [Fact]
    public void Columns_are_chosen_by_name()
    {
        var pairs = Golden("pairs.parquet");
        var several = Assert.Throws<InputException>(() => ParquetPictures.Open([pairs]));
        Assert.Contains("several columns of pictures, jpg_0, jpg_1", several.Message);
        var source = ParquetPictures.Open([pairs], columns: new() { Image = "jpg_1", Caption = "image_1_uid" });
        Assert.Equal("u2", source[0].Caption);
        AssertPicture(2, source.Load(0));
        foreach (
            var columns in (ParquetColumns[])
                [new() { Image = "x" }, new() { Image = "jpg_0", Caption = "x" }, new() { Image = "jpg_0", Label = "x" }]
        )
            Assert.Contains(
                "has no column 'x'; its columns are jpg_0, jpg_1",
                Assert.Throws<InputException>(() => ParquetPictures.Open([pairs], columns: columns)).Message
            );
        var wrong = Assert.Throws<InputException>(() => ParquetPictures.Open([pairs], columns: new() { Image = "caption" }));
        Assert.Contains("The column 'caption' of", wrong.Message);
    }

    [Fact]
    public void Unreadable_files_are_errors_with_their_names()
    {
        var whole = File.ReadAllBytes(Golden("pictures.parquet"));
        var text = _folder.Add("text.parquet", "not a table");
        var empty = _folder.Add("empty.parquet", "");
        var cut = _folder.Add("cut.parquet", whole[..(whole.Length / 2)]);
        foreach (
            var (file, message) in ((string, string)[])
                [(text, "is not a Parquet file"), (empty, "is not a Parquet file"), (cut, "is corrupt or truncated")]
        )
            Assert.Contains($"'{file}' {message}", Assert.Throws<InputException>(() => ParquetPictures.Open([file])).Message);
        Assert.Contains(
            "There is no file",
            Assert.Throws<InputException>(() => ParquetPictures.Open([_folder["missing.parquet"]])).Message
        );
        Assert.Contains("No file matches", Assert.Throws<InputException>(() => ParquetPictures.Open([_folder["*.pq"]])).Message);
        Assert.Contains(
            "contains no .parquet files",
            Assert.Throws<InputException>(() => ParquetPictures.Open([Directory.CreateDirectory(_folder["none"]).FullName])).Message
        );
        var noRows = TableFile.Write(
            _folder["rows/a.parquet"],
            [
                [],
            ]
        );
        Assert.Contains("have no rows", Assert.Throws<InputException>(() => ParquetPictures.Open([noRows])).Message);
        Assert.Contains(
            "is a Parquet file: give such files as data.parquet",
            Assert.Throws<InputException>(() => ImageFolder.Open(_folder["rows"])).Message
        );
    }

    [Fact]
    [Trait("speed", "slow")]
    public void A_run_on_tables_equals_a_run_on_files()
    {
        string[] classes = ["x", "y"];
        TableFile.Row[] rows = [.. Enumerable.Range(0, 7).Select(static k => new TableFile.Row((byte)(30 * k), k % 2))];
        TableFile.Write(_folder["tables/a.parquet"], [rows[..3], rows[3..5]], classes);
        // The last row has no picture: it goes into quarantine, as the unreadable file does.
        TableFile.Write(
            _folder["tables/b.parquet"],
            [
                [rows[5], rows[6] with { Level = null }],
            ],
            classes
        );
        for (var k = 0; k < 7; k++)
            _folder.Add($"files/{k}.png", k < 6 ? TableFile.Encoded((byte)(30 * k)) : [1, 2, 3]);
        _folder.Add(
            "files/metadata.jsonl",
            string.Concat(Enumerable.Range(0, 7).Select(k => $$"""{"file_name": "{{k}}.png", "label": "{{classes[k % 2]}}"}""" + "\n"))
        );
        var ofTables = Train(
            "of-tables",
            $$"""{ "data.parquet": ["{{_folder["tables"]}}"], "data.sceneCount": null, "data.maxBadShare": 0.2 }"""
        );
        var ofFiles = Train(
            "of-files",
            $$"""{ "data.folder": "{{_folder["files"]}}", "data.sceneCount": null, "data.maxBadShare": 0.2 }"""
        );
        Assert.Equal(TinyRun.WeightFiles(ofFiles), TinyRun.WeightFiles(ofTables));
        var reason = Assert.Single(File.ReadAllLines(Path.Combine(ofTables, "quarantine.jsonl")));
        Assert.Contains("b.parquet/1", reason);
        Assert.Contains("has no picture in row 1", reason);
    }

    private string Train(string name, string set)
    {
        using var run = TrainingRun.Start(TinyRun.Denoiser(set: set), _folder[name], TimeProvider.System);
        using var probe = new ProgressProbe();
        return run.Train(probe, default).Run;
    }

    private static string Golden(string file) => Path.Combine(GoldenCase.Root(), "parquet", file);

    // The formula of the golden's pictures: (20 k, 5 x, 7 y).
    private static void AssertPicture(int number, SourcePicture picture)
    {
        Assert.Equal((16, 16), (picture.FullWidth, picture.FullHeight));
        var pixels = picture.Picture.Pixels;
        for (var (y, k) = (0, 0); y < 16; y++)
        {
            for (var x = 0; x < 16; x++, k += 3)
                Assert.Equal((20 * number, 5 * x, 7 * y), (pixels[k], pixels[k + 1], pixels[k + 2]));
        }
    }
}
