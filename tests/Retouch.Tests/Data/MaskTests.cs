using System.Formats.Tar;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Data.Pairs;
using Retouch.Data.Shards;
using Retouch.Images;
using Retouch.Tests.Training;
using Retouch.Torch;
using Retouch.Training;

namespace Retouch.Tests.Data;

public sealed class MaskTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Masks_beside_pictures_are_found_by_name()
    {
        foreach (var name in new[] { "a", "a_mask", "b", "b-masklabel", "b-condlabel", "c", "c_thumb" })
            Save($"{name}.png", Picture.Filled(16, 16, new Rgb((byte)name.Length, 0, 0)));
        var source = Open();
        Assert.Equal(["a.png", "b.png", "c.png"], Names(source));
        Assert.Equal([true, true, false], Enumerable.Range(0, 3).Select(source.HasMask));
        Assert.Equal("a_mask".Length, source.LoadMask(0)!.Pixels[0]);
        Assert.Equal("b-masklabel".Length, source.LoadMask(1)!.Pixels[0]);
        Assert.Null(source.LoadMask(2));
        // What is used is not reported as skipped.
        Assert.Contains("1 mask and 1 thumbnail beside their pictures are skipped", Assert.Single(source.Notes));
        var without = ImageFolder.OpenSplit(_folder.Path, null);
        Assert.Null(((IPictureSource)without).LoadMask(0));
        Assert.Contains("3 masks and 1 thumbnail beside their pictures are skipped", Assert.Single(without.Notes));
        Save("a-mask.png", Picture.Filled(16, 16, Rgb.White));
        Assert.Contains("are masks of the same picture", Assert.Throws<InputException>(Open).Message);
    }

    [Fact]
    public void Masks_of_the_metadata_are_not_pictures()
    {
        Save("set/a.png", Picture.Filled(16, 16, Rgb.White));
        Save("set/b.png", Picture.Filled(16, 16, Rgb.White));
        Save("set/parts/x.png", Picture.Filled(16, 16, new Rgb(77, 0, 0)));
        _folder.Add(
            "set/metadata.jsonl",
            """{"file_name": "a.png", "mask": "parts/x.png"}""" + "\n" + """{"file_name": "b.png", "mask": null}"""
        );
        var source = Open();
        Assert.Equal(["set/a.png", "set/b.png"], Names(source));
        Assert.Equal(77, source.LoadMask(0)!.Pixels[0]);
        Assert.False(source.HasMask(1));
        Assert.Equal(3, ImageFolder.OpenSplit(_folder.Path, null).Count);
        _folder.Add("set/metadata.jsonl", """{"file_name": "a.png", "mask": "x.png"}""");
        Assert.Contains("The mask 'x.png' in line 1 of", Assert.Throws<InputException>(Open).Message);
    }

    [Fact]
    public void Masks_in_shards_have_the_key_of_their_picture()
    {
        using (var writer = new TarWriter(File.Create(_folder["a.tar"])))
        {
            foreach (var (name, level) in new[] { ("1.png", 10), ("1.mask.png", 20), ("2.png", 30), ("2.thumb.png", 40) })
            {
                var data = new MemoryStream(PictureFile.Encode(Picture.Filled(16, 16, new Rgb((byte)level, 0, 0)), PictureFormat.Png));
                writer.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = data });
            }
        }

        IPictureSource source = TarShards.OpenSplit([_folder["a.tar"]], null, readsMasks: true);
        Assert.Equal((20, null), (source.LoadMask(0)?.Pixels[0], source.LoadMask(1)));
        Assert.Contains("1 files of the shards are skipped", Assert.Single(source.Notes));
        Assert.Null(((IPictureSource)TarShards.OpenSplit([_folder["a.tar"]], null)).LoadMask(0));
    }

    [Fact]
    public void A_mask_has_the_crop_and_flip_of_its_picture()
    {
        // The mask equals the picture's first channel, so that it still does after any framing without resizing.
        for (var k = 0; k < 4; k++)
        {
            var picture = new Picture(16, 40);
            for (var i = 0; i < picture.Pixels.Length; i++)
                picture.Pixels[i] = (byte)((i * 37) + (k * 11));
            Save($"{k}.png", picture);
            Save($"{k}_mask.png", picture);
        }

        var source = Open();
        var loader = Loader(
            source,
            new()
            {
                Width = 16,
                Height = 16,
                Crop = CropMode.Random,
                FlipProbability = 0.5,
            }
        );
        List<FrameRecord> records = [];
        for (var epoch = 0; epoch < 20; epoch++)
        {
            var loaded = loader.Load(new(epoch % 4, epoch));
            Assert.True(loaded.Framed.Picture.SameAs(loaded.Mask!));
            records.Add(loaded.Framed.Record);
        }

        Assert.True(records.Select(static r => r.Top).Distinct().Count() > 5);
        Assert.Equal(2, records.Select(static r => r.Flipped).Distinct().Count());
        Assert.Null(new SampleLoader(source, Plan(source), loader.Framing, new Quarantine(4)).Load(new(0, 0)).Mask);
    }

    [Fact]
    public void A_smaller_mask_is_resized_to_its_picture()
    {
        // A white left half, at a third of the picture's size.
        var (picture, mask) = (new Picture(96, 48), new Picture(32, 16));
        foreach (var half in (Picture[])[picture, mask])
        {
            for (var y = 0; y < half.Height; y++)
                half.Row(y)[..(half.Width / 2 * 3)].Fill(255);
        }

        Save("a.png", picture);
        Save("a_mask.png", mask);
        var loaded = Loader(Open(), new() { Width = 16, Height = 16 }).Load(new(0, 0));
        for (var x = 0; x < 16; x++)
            Assert.InRange(Math.Abs(loaded.Mask![x, 5].R - (x < 8 ? 255 : 0)), 0, x is 7 or 8 ? 40 : 0);
        Save("a_mask.png", new Picture(32, 32));
        var error = Assert.Throws<InputException>(() => Loader(Open(), new() { Width = 16, Height = 16 }).Load(new(0, 0)));
        Assert.Contains("The mask of 'a.png' has 32 x 32 pixels and the picture 96 x 48", error.Message);
    }

    [Fact]
    public void Other_views_of_a_source_have_its_masks()
    {
        for (var k = 0; k < 3; k++)
        {
            Save($"x{k % 2}/{k}.png", Picture.Filled(16, 16, Rgb.White));
            if (k > 0)
                Save($"x{k % 2}/{k}_mask.png", Picture.Filled(16, 16, new Rgb((byte)k, 0, 0)));
        }

        var source = Open();
        IPictureSource[] views =
        [
            ChosenPictures.Of(source, [0, 1, 2]),
            RelabelledPictures.Of(source, [1, 0]),
            RecaptionedPictures.With(source, new CaptionTags()),
            RecaptionedPictures.With(source, "a caption"),
            new CachedPictures(source, 0, 1000),
        ];
        int?[] levels = [.. Enumerable.Range(0, 3).Select(k => (int?)source.LoadMask(k)?.Pixels[0])];
        Assert.Equal([null, 2, 1], levels);
        foreach (var view in views)
        {
            Assert.Equal(levels, Enumerable.Range(0, 3).Select(k => (int?)view.LoadMask(k)?.Pixels[0]));
            Assert.Equal([false, true, true], Enumerable.Range(0, 3).Select(view.HasMask));
            Assert.Equal(Enumerable.Range(0, 3).Select(source.MaskStamp), Enumerable.Range(0, 3).Select(view.MaskStamp));
        }

        Assert.Equal(2, ChosenPictures.Of(source, [1]).LoadMask(0)!.Pixels[0]);
        Assert.Equal(source.MaskStamp(1), ChosenPictures.Of(source, [1]).MaskStamp(0));
        Assert.Equal("", source.MaskStamp(0));
        Assert.NotEqual(source.Stamp(1), source.MaskStamp(1));
    }

    [Fact]
    public void Masks_of_a_batch_are_ones_where_there_are_none()
    {
        using var scope = TensorScope.Enter();
        Assert.Null(PictureTensors.OfMasks([null, Picture.Filled(2, 1, Rgb.White)], 2, 1));
        var grey = new Picture(2, 1) { [0, 0] = new Rgb(51, 0, 0) };
        var masks = PictureTensors.OfMasks([null, grey], 2, 1)!;
        Assert.Equal([2L, 1, 1, 2], masks.Shape);
        Assert.Equal([1f, 1, 51 / 255f, 0], masks.ToArray<float>());
    }

    [Fact]
    [Trait("speed", "slow")]
    public void White_masks_change_no_weight_of_a_run_and_half_masks_do()
    {
        for (var k = 0; k < 5; k++)
        {
            var picture = Picture.Filled(16, 24, new Rgb((byte)(50 * k), 40, 0));
            picture.Row(3).Fill(200);
            Save($"{(k % 2 == 0 ? "x" : "y")}/{k}.png", picture);
        }

        var plain = Train("plain", "null");
        foreach (var half in (bool[])[false, true])
        {
            for (var k = 0; k < 5; k++)
            {
                var mask = Picture.Filled(16, 24, Rgb.White);
                for (var y = 0; half && y < 24; y++)
                    mask.Row(y)[..24].Clear();
                Save($"{(k % 2 == 0 ? "x" : "y")}/{k}_mask.png", mask);
            }

            var masked = Train($"half-{half}", "{ \"outside\": 0.1 }");
            if (half)
                Assert.NotEqual(
                    plain["model/transformer/diffusion_pytorch_model.safetensors"],
                    masked["model/transformer/diffusion_pytorch_model.safetensors"]
                );
            else
                Assert.Equal(plain, masked);
        }

        SortedDictionary<string, byte[]> Train(string name, string masks)
        {
            var set = $$"""
                { "data.folder": "{{_folder.Path}}", "data.sceneCount": null, "data.crop": "random", "data.masks": {{masks}},
                  "validation": { "count": 1, "every": 4 }, "steps": 4 }
                """;
            using var run = TrainingRun.Start(
                TinyRun.Denoiser(set: set),
                Path.Combine(Path.GetTempPath(), Path.GetRandomFileName()),
                TimeProvider.System
            );
            using var probe = new ProgressProbe();
            try
            {
                run.Train(probe, default);
                if (masks != "null")
                    Assert.Contains(probe.Notes, static n => n.Contains("4 pictures have a mask.", StringComparison.Ordinal));
                return TinyRun.WeightFiles(run.Folder!.Path);
            }
            finally
            {
                Directory.Delete(run.Folder!.Path, recursive: true);
            }
        }
    }

    [Theory]
    [InlineData("""{ "data.masks": {} }""", "data.masks needs data.folder or data.shards")]
    [InlineData("""{ "data.masks": { "outside": -1 }, "data.folder": "x", "data.sceneCount": null }""", "data.masks.outside is -1")]
    [InlineData("""{ "data.masks": {}, "data.pairs": "x", "data.sceneCount": null }""", "without data.pairs")]
    public void Options_without_meaning_are_errors(string set, string message) =>
        Assert.Contains(message, Assert.Throws<UsageException>(TinyRun.Denoiser(set: set).Validate).Message);

    [Fact]
    public void A_folder_without_masks_is_an_error()
    {
        Save("x/a.png", Picture.Filled(16, 16, Rgb.White));
        Save("y/a.png", Picture.Filled(16, 16, Rgb.White));
        var options = TinyRun.Denoiser(set: $$"""{ "data.folder": "{{_folder.Path}}", "data.sceneCount": null, "data.masks": {} }""");
        var error = Assert.Throws<InputException>(() => TrainingRun.Start(options, null, TimeProvider.System));
        Assert.Contains("No picture has a mask, so data.masks has no effect", error.Message);
    }

    private IPictureSource Open() => ImageFolder.OpenSplit(_folder.Path, null, readsMasks: true);

    private static BatchPlan Plan(IPictureSource source) => new(source.Count, new BatchPlanOptions { BatchSize = 1, Seed = 4 });

    private static SampleLoader Loader(IPictureSource source, Framing framing) =>
        new(source, Plan(source), framing, new Quarantine(source.Count)) { ReadsMasks = true };

    private static IEnumerable<string> Names(IPictureSource source) => Enumerable.Range(0, source.Count).Select(k => source[k].Id);

    private void Save(string name, Picture picture) => _folder.Add(name, PictureFile.Encode(picture, PictureFormat.Png));
}
