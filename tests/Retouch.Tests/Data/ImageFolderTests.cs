using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Images;
using Retouch.Tests.Images;

namespace Retouch.Tests.Data;

public sealed class ImageFolderTests : IDisposable
{
    private static readonly byte[] Png = PictureFile.Encode(PictureTestFiles.Gradient(12, 10), PictureFormat.Png);

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Subfolders_are_classes_in_ordinal_order()
    {
        AddPictures("b/2.png", "b/10.png", "B/1.PNG", "a/deep/er.png", "b/notes.md", "b/.hidden.png");
        var source = ImageFolder.Open(folder.Path);
        Assert.Equal(["B/1.PNG", "a/deep/er.png", "b/10.png", "b/2.png"], Samples(source).Select(s => s.Id));
        Assert.Equal(["B", "a", "b"], source.Classes);
        Assert.Equal([0, 1, 2, 2], Samples(source).Select(s => s.Label));
        Assert.Equal((12, 10), (source.Load(0).FullWidth, source.Load(0).Picture.Height));
    }

    [Fact]
    public void Without_a_folder_for_each_picture_there_are_no_labels()
    {
        AddPictures("a/1.png", "b/2.png", "3.png");
        var source = ImageFolder.Open(folder.Path);
        Assert.Empty(source.Classes);
        Assert.All(Samples(source), s => Assert.Null(s.Label));
    }

    [Fact]
    public void Captions_come_from_metadata_and_else_from_text_files()
    {
        AddPictures("1.png", "2.png", "3.png", "4.png", "5.png");
        folder.Add("1.txt", "a cat\n on  a mat\n");
        folder.Add("2.txt", "not this");
        folder.Add("5.txt", " \n");
        folder.Add(
            "metadata.jsonl",
            """
            {"file_name": "2.png", "text": "a dog", "mine": [1, 2]}

            {"file_name": "./3.png", "caption": "ein Bär"}
            """
        );
        Assert.Equal(["a cat on a mat", "a dog", "ein Bär", null, null], Samples(ImageFolder.Open(folder.Path)).Select(s => s.Caption));
    }

    [Fact]
    public void Metadata_may_stand_in_subfolders_and_name_labels()
    {
        AddPictures("train/x/1.png", "train/2.png", "3.png");
        folder.Add(
            "train/metadata.jsonl",
            """
            {"file_name": "x/1.png", "label": "dog"}
            {"file_name": "2.png", "label": "cat"}
            """
        );
        var source = ImageFolder.Open(folder.Path);
        Assert.Equal(["cat", "dog"], source.Classes);
        Assert.Equal([null, 0, 1], Samples(source).Select(s => s.Label));
    }

    [Fact]
    public void Numbered_labels_borrow_the_names_of_their_folders()
    {
        AddPictures("pear/1.png", "apple/1.png");
        folder.Add(
            "metadata.jsonl",
            """
            {"file_name": "pear/1.png", "label": 0}
            {"file_name": "apple/1.png", "label": 2}
            """
        );
        var source = ImageFolder.Open(folder.Path);
        Assert.Equal(["pear", "1", "apple"], source.Classes);
        Assert.Equal([2, 0], Samples(source).Select(s => s.Label));
    }

    [Theory]
    [InlineData("{\"file_name\": \"1.png\"}\n{oops", "line 2")]
    [InlineData("[1]", "JSON object")]
    [InlineData("{\"text\": \"x\"}", "file_name")]
    [InlineData("{\"file_name\": \"none.png\"}", "none of the pictures")]
    [InlineData("{\"file_name\": \"../1.png\"}", "none of the pictures")]
    [InlineData("{\"file_name\": \"1.png\", \"text\": 5}", "in quotes")]
    [InlineData("{\"file_name\": \"1.png\", \"label\": -1}", "-1")]
    [InlineData("{\"file_name\": \"1.png\", \"label\": 1.5}", "1.5")]
    [InlineData("{\"file_name\": \"1.png\", \"label\": 1}\n{\"file_name\": \"2.png\", \"label\": \"a\"}", "one kind")]
    public void Broken_metadata_are_refused_by_line(string content, string word)
    {
        AddPictures("1.png", "2.png");
        folder.Add("metadata.jsonl", content);
        Assert.Contains(word, Assert.Throws<InputException>(() => ImageFolder.Open(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Loops_of_links_end_and_folders_are_listed_once()
    {
        AddPictures("a/1.png", "a/b/2.png");
        Directory.CreateSymbolicLink(Path.Combine(folder.Path, "a/b/up"), folder.Path);
        Directory.CreateSymbolicLink(Path.Combine(folder.Path, "self"), Path.Combine(folder.Path, "self2"));
        Directory.CreateSymbolicLink(Path.Combine(folder.Path, "self2"), Path.Combine(folder.Path, "self"));
        Directory.CreateSymbolicLink(Path.Combine(folder.Path, "z"), Path.Combine(folder.Path, "a"));
        Assert.Equal(["a/1.png", "a/b/2.png"], Samples(ImageFolder.Open(folder.Path)).Select(s => s.Id));
    }

    [Fact]
    public void Linked_folders_elsewhere_are_followed()
    {
        using var other = new TemporaryFolder();
        other.Add("1.png", Png);
        Directory.CreateSymbolicLink(Path.Combine(folder.Path, "there"), other.Path);
        Assert.Equal(["there/1.png"], Samples(ImageFolder.Open(folder.Path)).Select(s => s.Id));
    }

    [Fact]
    public void Nothing_to_read_is_told_with_what_was_looked_for()
    {
        folder.Add("sub/readme.md", "x");
        folder.Add("a.txt", "x");
        var message = Assert.Throws<InputException>(() => ImageFolder.Open(folder.Path)).Message;
        Assert.Contains(".webp", message, StringComparison.Ordinal);
        Assert.Contains("1 subfolders", message, StringComparison.Ordinal);
        Assert.Contains("2 other files", message, StringComparison.Ordinal);
        Assert.Contains(
            "no folder",
            Assert.Throws<InputException>(() => ImageFolder.Open(folder.Path + "/none")).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "is a file",
            Assert.Throws<InputException>(() => ImageFolder.Open(folder.Path + "/a.txt")).Message,
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
            folder.Add(name, Png);
    }
}
