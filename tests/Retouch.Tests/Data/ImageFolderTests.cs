using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Images;
using Retouch.Tests.Images;

namespace Retouch.Tests.Data;

public sealed class ImageFolderTests : IDisposable
{
    private static readonly byte[] Png = PictureFile.Encode(PictureTestFiles.Gradient(12, 10), PictureFormat.Png);

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Folders_of_pictures_are_classes_in_natural_order()
    {
        AddPictures("b/2.png", "b/10.png", "B/1.PNG", "a10/a.png", "a9/a.png", "b/notes.md", "b/.hidden.png");
        var source = ImageFolder.Open(_folder.Path);
        Assert.Equal(["B/1.PNG", "a10/a.png", "a9/a.png", "b/10.png", "b/2.png"], Samples(source).Select(s => s.Id));
        Assert.Equal(["B", "a9", "a10", "b"], source.Classes);
        Assert.Equal([0, 2, 1, 3, 3], Samples(source).Select(s => s.Label));
        Assert.Equal((12, 10), (source.Load(0).FullWidth, source.Load(0).Picture.Height));
    }

    [Theory]
    [InlineData(new[] { "all/cat/1.png", "all/dog/2.png" }, new[] { "cat", "dog" })]
    [InlineData(new[] { "a/1.png", "a/deep/2.png", "b/3.png" }, new string[0])] // at different depths
    [InlineData(new[] { "train/cat/1.png", "test/dog/2.png", "val/cat/3.png" }, new[] { "cat", "dog" })]
    [InlineData(new[] { "cat/train/1.png", "dog/test/2.png" }, new[] { "cat", "dog" })]
    [InlineData(new[] { "train2017/cat/1.png", "val2017/dog/2.png", "extra/dog/3.png" }, new[] { "cat", "dog" })]
    [InlineData(new[] { "train/1.png", "test/2.png" }, new string[0])]
    [InlineData(new[] { "bus/1.png", "train/2.png" }, new[] { "bus", "train" })] // a class
    [InlineData(new[] { "test tube/1.png", "cat/2.png", "train station/3.png" }, new[] { "cat", "test tube", "train station" })]
    public void Splits_are_no_classes(string[] names, string[] classes)
    {
        AddPictures(names);
        Assert.Equal(classes, ImageFolder.Open(_folder.Path).Classes.Where(static c => c != "extra"));
    }

    [Fact]
    public void One_split_is_used_if_there_are_several()
    {
        AddPictures("train/cat/1.png", "train/dog/2.png", "test/dog/3.png", "other/fox/4.png");
        var train = ImageFolder.OpenSplit(_folder.Path, split: null);
        Assert.Equal(["train/cat/1.png", "train/dog/2.png"], Samples(train).Select(static s => s.Id));
        Assert.Contains("test (1 picture, not used)", Assert.Single(train.Notes), StringComparison.Ordinal);
        Assert.Equal(["test/dog/3.png"], Samples(ImageFolder.OpenSplit(_folder.Path, DataSplit.Test)).Select(static s => s.Id));
        Assert.Equal(train.Classes, ImageFolder.Open(_folder.Path).Classes);
        var message = Assert.Throws<InputException>(() => ImageFolder.OpenSplit(_folder.Path, DataSplit.Validation)).Message;
        Assert.Contains("its splits are train, test", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Folders_and_files_of_systems_are_skipped()
    {
        AddPictures(
            "cat/1.png",
            "dog/2.png",
            "@eaDir/1.png/SYNOPHOTO_THUMB_XL.jpg",
            "$RECYCLE.BIN/$R1.png",
            "System Volume Information/x.png"
        );
        AddPictures("__MACOSX/cat/._1.png", "cat/._1.png", ".hidden/3.png", "cat/@eaDir/1.png");
        var source = ImageFolder.Open(_folder.Path);
        Assert.Equal(["cat/1.png", "dog/2.png"], Samples(source).Select(static s => s.Id));
        Assert.Equal(["cat", "dog"], source.Classes);
        Assert.Empty(source.Notes);
    }

    [Fact]
    public void Skipped_files_are_counted_and_named_once()
    {
        AddPictures("a.png", "a-masklabel.png", "b.jpg", "b_mask.png", "b_thumb.jpg", "c_mask.png", "d.JPE", "e.jfif", "d-mask.png");
        _folder.Add("f.jxl", "x");
        _folder.Add("g.CR2", "x");
        _folder.Add("h.jxl", "x");
        _folder.Add("i.avif", "\0\0\0\u0018ftypheic\0\0\0\0mif1heic");
        _folder.Add("k.heic", "x");
        _folder.Add("j.avif", "\0\0\0\u001cftypavif\0\0\0\0\0\0\0\0\0\0\0\0");
        _folder.Add("metadata.csv", "file_name,text");
        _folder.Add("metadata.jsonl", """{"file_name": "d-mask.png", "text": "a mask that somebody wants"}""");
        var source = ImageFolder.Open(_folder.Path);
        Assert.Equal(["a.png", "b.jpg", "c_mask.png", "d-mask.png", "d.JPE", "e.jfif"], Samples(source).Select(static s => s.Id));
        Assert.Collection(
            source.Notes,
            static n =>
                Assert.Contains(
                    "4 pictures are skipped, of unsupported formats: 1 .cr2, 1 .heic, 2 .jxl; the first is 'f.jxl'",
                    n,
                    StringComparison.Ordinal
                ),
            static n =>
                Assert.Contains(
                    "2 files are skipped, truncated before the picture: 2 .avif; the first is 'i.avif'",
                    n,
                    StringComparison.Ordinal
                ),
            static n =>
                Assert.Contains(
                    "2 masks and 1 thumbnail beside their pictures are skipped; the first is 'a-masklabel.png'",
                    n,
                    StringComparison.Ordinal
                ),
            static n => Assert.Contains("metadata.csv is not read", n, StringComparison.Ordinal)
        );
    }

    [Fact]
    public void Several_captions_are_all_kept_and_one_is_drawn_by_seed()
    {
        AddPictures("1.png", "2.png", "3.png");
        _folder.Add(
            "metadata.jsonl",
            """
            {"file_name": "1.png", "text": "one"}
            {"file_name": "1.png", "text": "two"}
            {"file_name": "1.png", "text": "one"}
            {"file_name": "2.png", "text": ["first", "second\n line", "third"]}
            """
        );
        _folder.Add("3.CAPTION", "beside");
        var source = ImageFolder.Open(_folder.Path);
        Assert.Equal(["one", "two"], source[0].AllCaptions);
        Assert.Equal(["first", "second line", "third"], source[1].AllCaptions);
        Assert.Equal(["beside"], source[2].AllCaptions);
        Assert.Contains("2 pictures have several captions, 5 in total", Assert.Single(source.Notes), StringComparison.Ordinal);
        var drawn = Enumerable.Range(0, 3000).Select(seed => source[1].WithDrawnCaption((ulong)seed).Caption).ToArray();
        Assert.Equal(source[1].WithDrawnCaption(7).Caption, drawn[7]);
        // Each has a third of the draws, within four standard deviations of a binomial.
        Assert.All(source[1].AllCaptions, c => Assert.InRange(drawn.Count(d => d == c), 1000 - 104, 1000 + 104));
    }

    [Fact]
    public void Texts_of_another_encoding_are_rejected_by_name()
    {
        AddPictures("1.png", "2.png");
        _folder.Add("1.txt", [(byte)'c', (byte)'a', (byte)'f', 0xE9]);
        var source = ImageFolder.Open(_folder.Path);
        Assert.Contains("1.txt' is not UTF-8 text", Assert.Throws<InputException>(() => source[0]).Message, StringComparison.Ordinal);
        _folder.Add("metadata.jsonl", [.. "{}\n{\"a\": \""u8, 0xE9, .. "\"}"u8]);
        var message = Assert.Throws<InputException>(() => ImageFolder.Open(_folder.Path)).Message;
        Assert.Contains("metadata.jsonl' is not UTF-8 text: byte 11, in line 2", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Python_numbers_in_metadata_are_accepted()
    {
        AddPictures("1.png", "2.png");
        _folder.Add(
            "metadata.jsonl",
            """
            {"file_name": "1.png", "text": "NaN", "score": NaN}
            {"file_name": "2.png", "text": null, "label": NaN, "other": [-Infinity]}
            """
        );
        Assert.Equal(["NaN", null], Samples(ImageFolder.Open(_folder.Path)).Select(static s => s.Caption));
        _folder.Add("metadata.jsonl", """{"file_name": "1.png", "label": Infinity}""");
        Assert.Contains(
            "'label' is Infinity in line 1",
            Assert.Throws<InputException>(() => ImageFolder.Open(_folder.Path)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Pictures_outside_class_folders_have_no_labels()
    {
        AddPictures("a/1.png", "b/2.png", "3.png");
        var source = ImageFolder.Open(_folder.Path);
        Assert.Empty(source.Classes);
        Assert.All(Samples(source), s => Assert.Null(s.Label));
    }

    [Fact]
    public void Captions_come_from_metadata_or_text_files()
    {
        AddPictures("1.png", "2.png", "3.png", "4.png", "5.png");
        _folder.Add("1.txt", "a cat\n on  a mat\n");
        _folder.Add("2.txt", "not this");
        _folder.Add("5.txt", " \n");
        _folder.Add(
            "metadata.jsonl",
            """
            {"file_name": "2.png", "text": "a dog", "mine": [1, 2]}

            {"file_name": "./3.png", "caption": "ein Bär"}
            """
        );
        Assert.Equal(["a cat on a mat", "a dog", "ein Bär", null, null], Samples(ImageFolder.Open(_folder.Path)).Select(s => s.Caption));
    }

    [Fact]
    public void Metadata_can_be_in_subfolders_and_name_labels()
    {
        AddPictures("train/x/1.png", "train/2.png", "3.png");
        _folder.Add(
            "train/metadata.jsonl",
            """
            {"file_name": "x/1.png", "label": "dog"}
            {"file_name": "2.png", "label": "cat"}
            """
        );
        var source = ImageFolder.Open(_folder.Path);
        Assert.Equal(["cat", "dog"], source.Classes);
        Assert.Equal([null, 0, 1], Samples(source).Select(s => s.Label));
    }

    [Fact]
    public void Numbered_labels_are_named_after_their_folders()
    {
        AddPictures("pear/1.png", "apple/1.png");
        _folder.Add(
            "metadata.jsonl",
            """
            {"file_name": "pear/1.png", "label": 0}
            {"file_name": "apple/1.png", "label": 2}
            """
        );
        var source = ImageFolder.Open(_folder.Path);
        Assert.Equal(["pear", "1", "apple"], source.Classes);
        Assert.Equal([2, 0], Samples(source).Select(s => s.Label));
    }

    [Theory]
    [InlineData("{\"file_name\": \"1.png\"}\n{oops", "line 2")]
    [InlineData("[1]", "JSON object")]
    [InlineData("{\"text\": \"x\"}", "file_name")]
    [InlineData("{\"file_name\": \"none.png\"}", "is not a picture of the folder")]
    [InlineData("{\"file_name\": \"../1.png\"}", "is not a picture of the folder")]
    [InlineData("{\"file_name\": \"1.png\", \"text\": 5}", "in quotes")]
    [InlineData("{\"file_name\": \"1.png\", \"label\": -1}", "-1")]
    [InlineData("{\"file_name\": \"1.png\", \"label\": 1.5}", "1.5")]
    [InlineData("{\"file_name\": \"1.png\", \"label\": 1}\n{\"file_name\": \"2.png\", \"label\": \"a\"}", "one kind")]
    [InlineData("{\"file_name\": \"1.png\", \"label\": 1}\n{\"file_name\": \"1.png\", \"label\": 2}", "has the label 1 in line 1")]
    [InlineData("{\"file_name\": \"1.png\", \"text\": [5]}", "list 'text'")]
    public void Broken_metadata_are_rejected_by_line(string content, string word)
    {
        AddPictures("1.png", "2.png");
        _folder.Add("metadata.jsonl", content);
        Assert.Contains(word, Assert.Throws<InputException>(() => ImageFolder.Open(_folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Loops_of_links_are_detected()
    {
        AddPictures("a/1.png", "a/b/2.png");
        Directory.CreateSymbolicLink(Path.Combine(_folder.Path, "a/b/up"), _folder.Path);
        Directory.CreateSymbolicLink(Path.Combine(_folder.Path, "self"), Path.Combine(_folder.Path, "self2"));
        Directory.CreateSymbolicLink(Path.Combine(_folder.Path, "self2"), Path.Combine(_folder.Path, "self"));
        Directory.CreateSymbolicLink(Path.Combine(_folder.Path, "z"), Path.Combine(_folder.Path, "a"));
        Assert.Equal(["a/1.png", "a/b/2.png"], Samples(ImageFolder.Open(_folder.Path)).Select(s => s.Id));
    }

    [Fact]
    public void Links_to_other_folders_are_followed()
    {
        using var other = new TemporaryFolder();
        other.Add("1.png", Png);
        Directory.CreateSymbolicLink(Path.Combine(_folder.Path, "there"), other.Path);
        Assert.Equal(["there/1.png"], Samples(ImageFolder.Open(_folder.Path)).Select(s => s.Id));
    }

    [Fact]
    public void An_empty_folder_is_reported_with_the_searched_formats()
    {
        _folder.Add("sub/readme.md", "x");
        _folder.Add("a.txt", "x");
        var message = Assert.Throws<InputException>(() => ImageFolder.Open(_folder.Path)).Message;
        Assert.Contains(".webp", message, StringComparison.Ordinal);
        Assert.Contains("its 1 subfolder have 2 files", message, StringComparison.Ordinal);
        Assert.Contains(
            "no folder",
            Assert.Throws<InputException>(() => ImageFolder.Open(_folder.Path + "/none")).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "is a file",
            Assert.Throws<InputException>(() => ImageFolder.Open(_folder.Path + "/a.txt")).Message,
            StringComparison.Ordinal
        );
    }

    [RealPicturesFact]
    public void Real_photos_have_their_classes_and_captions()
    {
        var source = ImageFolder.Open(Path.Combine(RealPicturesFactAttribute.Folder!, "photos_test"));
        Assert.Equal(20, source.Classes.Count);
        Assert.All(Samples(source), s => Assert.StartsWith(source.Classes[s.Label!.Value] + "/", s.Id, StringComparison.Ordinal));
        Assert.All(Samples(source), s => Assert.NotNull(s.Caption));
    }

    private static IEnumerable<Sample> Samples(ImageFolder source) => Enumerable.Range(0, source.Count).Select(i => source[i]);

    private void AddPictures(params string[] names)
    {
        foreach (var name in names)
            _folder.Add(name, Png);
    }
}
