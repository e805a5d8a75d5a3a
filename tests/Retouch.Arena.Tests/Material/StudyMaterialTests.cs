using Retouch.Arena.Material;
using Retouch.Arena.Study;
using Retouch.Core.Errors;
using Retouch.Images;

namespace Retouch.Arena.Tests.Material;

/// <summary>Discovery and matching of pictures, confined to their folder.</summary>
public sealed class StudyMaterialTests : IDisposable
{
    private readonly TestStudy _study = new(items: 3);

    public void Dispose() => _study.Dispose();

    private StudyMaterial Read() => StudyMaterial.Read(_study.Folder);

    private string In(params string[] parts) => Path.Combine([_study.Folder, .. parts]);

    [Fact]
    public void Pictures_are_matched_by_prompt_and_seed_regardless_of_names()
    {
        File.Move(In("secret-beta", "000.png"), In("secret-beta", "zzz.png"));
        File.WriteAllText(
            In("secret-beta", "metadata.jsonl"),
            File.ReadAllText(In("secret-beta", "metadata.jsonl")).Replace("000.png", "./zzz.png")
        );
        var material = Read();
        Assert.True(material.MatchedBySeed);
        Assert.Equal(["prompt number 0 #1000", "prompt number 1 #1001", "prompt number 2 #1002"], material.Items.Select(i => i.Key));
        Assert.Equal("secret-beta/zzz.png", material.Find("secret-beta", "prompt number 0 #1000")!.Path);
    }

    [Fact]
    public void Pictures_without_seeds_are_matched_by_name_without_extension()
    {
        foreach (var model in _study.Models)
            File.Delete(In(model, "metadata.jsonl"));
        PictureFile.Save(PictureFile.Load(In("secret-beta", "001.png")), In("secret-beta", "001.jpg"));
        File.Delete(In("secret-beta", "001.png"));
        File.WriteAllText(In("secret-alpha", "001.txt"), "a  pear\n");
        var material = Read();
        Assert.False(material.MatchedBySeed);
        Assert.Equal([new("000", null), new("001", "a pear"), new("002", null)], material.Items);
        Assert.Equal("secret-beta/001.jpg", material.Find("secret-beta", "001")!.Path);
    }

    [Fact]
    public void Labels_are_kept_and_class_names_serve_if_models_number_classes_differently()
    {
        Label("secret-alpha", k => k);
        Label("secret-beta", k => k);
        Assert.Equal([0, 1, 2], Read().Items.Select(i => i.Label));
        Label("secret-beta", k => 2 - k);
        Assert.Equal(["prompt number 0", "prompt number 1", "prompt number 2"], Read().Items.Select(i => i.Label));
        foreach (var model in _study.Models)
            File.WriteAllText(
                In(model, "metadata.jsonl"),
                File.ReadAllText(In(model, "metadata.jsonl")).Replace("text", "note").Replace("seed", "number")
            );
        var message = Assert.Throws<InputException>(Read).Message;
        Assert.Contains("different", message);

        void Label(string model, Func<int, int> label) =>
            File.WriteAllLines(
                In(model, "metadata.jsonl"),
                Enumerable
                    .Range(0, 3)
                    .Select(k =>
                        $$"""{"file_name": "{{k:D3}}.png", "text": "prompt number {{k}}", "seed": {{1000 + k}}, "label": {{label(k)}}}"""
                    )
            );
    }

    [Fact]
    public void Duplicate_seeds_switch_to_matching_by_name()
    {
        File.WriteAllText(
            In("secret-beta", "metadata.jsonl"),
            File.ReadAllText(In("secret-beta", "metadata.jsonl")).Replace("1001", "1000").Replace("number 1", "number 0")
        );
        Assert.Contains("cannot be compared", Assert.Throws<InputException>(Read).Message);
        File.WriteAllText(
            In("secret-alpha", "metadata.jsonl"),
            File.ReadAllText(In("secret-alpha", "metadata.jsonl")).Replace("1001", "1000").Replace("number 1", "number 0")
        );
        Assert.False(Read().MatchedBySeed);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Links_out_of_the_folder_are_rejected(bool folder)
    {
        using var outside = new TestStudy(items: 1);
        if (folder)
            Directory.CreateSymbolicLink(In("secret-alpha", "more"), Path.Combine(outside.Folder, "secret-beta"));
        else
            File.CreateSymbolicLink(In("secret-alpha", "more.png"), Path.Combine(outside.Folder, "secret-beta", "000.png"));
        Assert.Contains("link out of", Assert.Throws<InputException>(Read).Message);
    }

    [Fact]
    public void A_model_folder_linked_from_outside_is_rejected()
    {
        using var outside = new TestStudy(items: 1);
        Directory.CreateSymbolicLink(In("gamma"), Path.Combine(outside.Folder, "secret-beta"));
        Assert.Contains("link out of", Assert.Throws<InputException>(Read).Message);
    }

    [Fact]
    public void A_study_folder_can_be_a_symbolic_link()
    {
        var link = _study.Folder + "-link";
        Directory.CreateSymbolicLink(link, _study.Folder);
        Assert.Equal(_study.Models, StudyMaterial.Read(link).Models);
        Directory.Delete(link);
    }

    [Fact]
    public void A_broken_picture_is_reported_at_the_start()
    {
        File.WriteAllText(In("secret-alpha", "002.png"), "no picture");
        Assert.Contains("002.png", Assert.Throws<InputException>(Read).Message);
    }

    [Theory]
    [InlineData("{\"file_name\": \"000.png\", \"text\": 5}")]
    [InlineData("{\"text\": \"x\"}")]
    [InlineData("[1]")]
    [InlineData("{")]
    public void Broken_metadata_are_rejected_with_the_line(string line)
    {
        File.AppendAllText(In("secret-alpha", "metadata.jsonl"), line + "\n");
        Assert.Contains("line 4", Assert.Throws<InputException>(Read).Message);
    }

    [Fact]
    public void An_empty_study_is_rejected_with_the_reason()
    {
        Directory.Delete(In("secret-beta"), recursive: true);
        var material = Read();
        Assert.Contains(
            "no two models",
            Assert.Throws<UsageException>(() => StudyPlan.For(material, _study.Options with { Questions = [Question.Appeal] })).Message
        );
        // Pictures of a single model are sufficient for the alignment question.
        Assert.Equal([Question.Alignment], StudyPlan.For(material, _study.Options).Questions);
        Directory.Delete(In("secret-alpha"), recursive: true);
        Assert.Contains("No subfolder", Assert.Throws<InputException>(Read).Message);
    }

    [Fact]
    public void A_degraded_picture_keeps_its_size_and_coarse_colours()
    {
        var picture = TestStudy.Paint(0, 1, side: 60);
        var spoiled = DegradedPicture.Of(picture);
        Assert.Equal((60, 60), (spoiled.Width, spoiled.Height));
        Assert.False(spoiled.SameAs(picture));
        // Cells of 60 / 14 = 4 pixels, each the mean of its pixels.
        Assert.Equal(spoiled[4, 8], spoiled[7, 11]);
        var mean = Enumerable.Range(0, 16).Average(k => picture[4 + k % 4, 8 + k / 4].R);
        Assert.Equal(mean, spoiled[5, 9].R, 1.0);
    }
}
