using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Training;
using Retouch.Training.HeldOut;
using Retouch.Training.Options;

namespace Retouch.Tests.Training.HeldOut;

/// <summary>Held-out samples are never trained on.</summary>
public sealed class HeldOutSplitTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly List<string> _notes = [];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_split_is_disjoint_and_follows_from_the_names()
    {
        HeldOutFolder.WriteClasses(_folder["data"], 40, 0);
        var (trained, heldOut) = Split("data", """{ "fraction": 0.3 }""");
        Assert.Equal(40, trained.Length + heldOut.Length);
        Assert.Empty(trained.Intersect(heldOut));
        Assert.InRange(heldOut.Length, 4, 20);
        // Added data keeps every sample on its side.
        HeldOutFolder.WriteClasses(_folder["data"], 20, 60);
        var (more, heldOutMore) = Split("data", """{ "fraction": 0.3 }""");
        Assert.Empty(trained.Except(more));
        Assert.Empty(heldOut.Except(heldOutMore));
        Assert.Equal(7, Split("data", """{ "count": 7 }""").HeldOut.Length);
        // By default at most a tenth of the data.
        Assert.Equal(6, Split("data", "{}").HeldOut.Length);
    }

    [Fact]
    public void Copies_of_held_out_pictures_are_not_trained_on()
    {
        HeldOutFolder.WriteClasses(_folder["data"], 10, 0);
        var held = Split("data", """{ "count": 1 }""").HeldOut[0];
        File.Copy(_folder["data/" + held], _folder["data/a/copy.png"]);
        var (trained, heldOut) = Split("data", """{ "count": 1 }""");
        Assert.Single(heldOut);
        Assert.Equal(9, trained.Length);
        Assert.DoesNotContain("a/copy.png", trained.Where(_ => heldOut[0] == held));
        Assert.Contains("Not trained on, with the pictures of held-out samples: 1 sample.", _notes);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_folder_that_is_also_trained_on_is_an_error(bool sameFile)
    {
        HeldOutFolder.WriteClasses(_folder["data"], 6, 0);
        HeldOutFolder.WriteClasses(_folder["other"], 4, 50);
        if (!sameFile)
            File.Copy(_folder["data/a/2.png"], _folder["other/b/renamed.png"]);
        var folder = sameFile ? "data" : "other";
        var error = Assert.Throws<InputException>(() => Split("data", $$"""{ "folder": "{{_folder[folder]}}" }"""));
        Assert.Contains(sameFile ? "6 of the samples of" : "1 of the samples of", error.Message, StringComparison.Ordinal);
        Assert.Contains(sameFile ? "a/0.png" : "a/2.png", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_validation_split_of_the_data_folder_is_read()
    {
        HeldOutFolder.WriteClasses(_folder["data/train"], 6, 0);
        HeldOutFolder.WriteClasses(_folder["data/validation"], 4, 50);
        var (trained, heldOut) = Split("data", $$"""{ "folder": "{{_folder["data"]}}" }""");
        Assert.Equal(6, trained.Length);
        Assert.Equal(4, heldOut.Length);
        Assert.All(heldOut, static id => Assert.StartsWith("validation/", id, StringComparison.Ordinal));
    }

    [Fact]
    public void Classes_of_a_folder_are_matched_by_name()
    {
        HeldOutFolder.WriteClasses(_folder["data"], 6, 0);
        HeldOutFolder.Write(_folder["other/b/9.png"], 70);
        HeldOutFolder.Write(_folder["other/a/8.png"], 71);
        var split = Of("data", $$"""{ "folder": "{{_folder["other"]}}" }""");
        Assert.Equal(["a", "b"], split.HeldOut!.Classes);
        HeldOutFolder.Write(_folder["other/c/7.png"], 72);
        File.Delete(_folder["other/a/8.png"]);
        var error = Assert.Throws<InputException>(() => Of("data", $$"""{ "folder": "{{_folder["other"]}}" }"""));
        Assert.Contains("1 classes do not occur in the training data: c", error.Message, StringComparison.Ordinal);
        Directory.Delete(_folder["other/c"], recursive: true);
        HeldOutFolder.WriteClasses(_folder["data/c"], 0, 0);
        HeldOutFolder.Write(_folder["data/0/5.png"], 73);
        HeldOutFolder.Write(_folder["other/0/4.png"], 74);
        // The data's classes are now 0, a and b, the folder's 0 and b.
        var mapped = Of("data", $$"""{ "folder": "{{_folder["other"]}}" }""").HeldOut!;
        Assert.Equal([("0/4.png", 0), ("b/9.png", 2)], Enumerable.Range(0, 2).Select(k => (mapped[k].Id, mapped[k].Label!.Value)));
    }

    [Theory]
    [InlineData("""{ "fraction": 1e-9 }""", "holds out none of 6 samples")]
    [InlineData("""{ "count": 6 }""", "No sample remains for training: 6 of 6 are held out")]
    public void Empty_parts_are_errors(string validation, string expected)
    {
        HeldOutFolder.WriteClasses(_folder["data"], 6, 0);
        var error = Assert.Throws<InputException>(() => Split("data", validation));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_stored_split_is_kept()
    {
        HeldOutFolder.WriteClasses(_folder["data"], 12, 0);
        var options = Options("data", """{ "count": 3 }""");
        var source = ImageFolder.Open(_folder["data"]);
        var first = HeldOutSplit.Of(options, source, null, null, _notes.Add);
        first.Save(options, _folder["held-out.json"]);
        // With more data, other samples would be chosen.
        HeldOutFolder.WriteClasses(_folder["data"], 60, 100);
        var again = HeldOutSplit.Of(options, ImageFolder.Open(_folder["data"]), null, _folder["held-out.json"], _notes.Add);
        Assert.Equal(Ids(first.HeldOut!), Ids(again.HeldOut!));
        var changed = Options("data", """{ "count": 4 }""");
        Assert.Throws<UsageException>(() => HeldOutSplit.Of(changed, source, null, _folder["held-out.json"], _notes.Add));
        var error = Assert.Throws<UsageException>(() => HeldOutSplit.Of(options, source, null, _folder["missing.json"], _notes.Add));
        Assert.Contains("The run was trained on all its samples", error.Message, StringComparison.Ordinal);
    }

    private static string[] Ids(IPictureSource source) => [.. Enumerable.Range(0, source.Count).Select(k => source[k].Id)];

    private static TrainingOptions Options(string data, string validation) =>
        OptionsFile.Bind<TrainingOptions>(
            new JsonObject
            {
                ["data"] = new JsonObject { ["folder"] = data },
                ["validation"] = JsonNode.Parse(validation),
            },
            "test"
        );

    private HeldOutSplit Of(string data, string validation) =>
        HeldOutSplit.Of(Options(data, validation), ImageFolder.OpenSplit(_folder[data], null), null, null, _notes.Add);

    private (string[] Training, string[] HeldOut) Split(string data, string validation) =>
        Of(data, validation) is var split ? (Ids(split.Training), Ids(split.HeldOut!)) : default;
}
