using System.Security.Cryptography;
using Retouch.Core.Errors;
using Retouch.Data.Scenes;
using Retouch.Images;

namespace Retouch.Tests.Data.Scenes;

public sealed class ProceduralScenesTests
{
    // These bytes are required on every machine; changes of the renderer are deliberate.
    [Fact]
    public void The_seed_determines_every_byte()
    {
        var scenes = new ProceduralScenes(seed: 5, size: 48, count: 20);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (var i = 0; i < scenes.Count; i++)
            hash.AppendData(scenes.Load(i).Picture.Pixels);
        Assert.Equal("0852d010a9dde2c57225a7321c6f0e7ce805a6608e95044c1d0752c5bae83c46", Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    [Fact]
    public void Scenes_differ_by_seed_and_split_but_not_by_count()
    {
        HashSet<string> seen = new(StringComparer.Ordinal);
        foreach (var seed in new ulong[] { 1, 2 })
        {
            foreach (var split in Enum.GetValues<SceneSplit>())
            {
                var scenes = new ProceduralScenes(seed, 16, 20, split);
                for (var i = 0; i < scenes.Count; i++)
                    Assert.True(seen.Add(Convert.ToHexString(SHA256.HashData(scenes.Load(i).Picture.Pixels))));
                Assert.True(new ProceduralScenes(seed, 16, 8, split).Load(7).Picture.SameAs(scenes.Load(7).Picture));
            }
        }
    }

    [Fact]
    public void A_scene_is_the_same_at_every_size()
    {
        var small = new ProceduralScenes(3, 64, 10);
        var large = new ProceduralScenes(3, 128, 10);
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(small[i].Caption, large[i].Caption);
            var same = MeanDistance(small.Load(i).Picture, large.Load(i).Picture.Resize(64, 64, ResizeFilter.Box));
            var other = MeanDistance(small.Load(i).Picture, large.Load((i + 1) % 10).Picture.Resize(64, 64, ResizeFilter.Box));
            Assert.True(same < 4 && other > 4 * same, $"scene {i}: {same:F2} to itself, {other:F2} to another");
        }
    }

    [Fact]
    public void Classes_are_balanced_and_named_in_captions_and_ids()
    {
        var scenes = new ProceduralScenes(9, 16, 200);
        Assert.Equal(10, scenes.Classes.Count);
        for (var i = 0; i < scenes.Count; i++)
        {
            var sample = scenes[i];
            Assert.Contains(scenes.Classes[sample.Label!.Value].Split(' ')[^1], sample.Caption, StringComparison.Ordinal);
            Assert.Matches("^(a picture of )?an? [a-z]", sample.Caption);
            Assert.DoesNotMatch(@"\ba [aeio]", sample.Caption);
            Assert.DoesNotMatch(@"\ban [^aeio]", sample.Caption);
        }

        Assert.All(Enumerable.Range(0, 200).CountBy(i => scenes[i].Label!.Value), pair => Assert.Equal(20, pair.Value));
        Assert.Equal(200, Enumerable.Range(0, 200).Select(i => scenes[i].Id).Distinct(StringComparer.Ordinal).Count());
    }

    [Fact]
    public void Scenes_have_detail_everywhere()
    {
        // Minimum mean difference of neighbours in levels: blurring a scene over 3 x 3 pixels must remove most of it.
        var scenes = new ProceduralScenes(4, 64, 20);
        for (var i = 0; i < scenes.Count; i++)
        {
            var picture = scenes.Load(i).Picture;
            var blurred = picture.Resize(21, 21, ResizeFilter.Box).Resize(64, 64, ResizeFilter.Bicubic);
            Assert.True(MeanDistance(picture, blurred) > 4, $"{scenes[i].Caption}: {MeanDistance(picture, blurred):F2}");
        }
    }

    [Fact]
    public void Sizes_and_counts_out_of_range_are_rejected()
    {
        Assert.Throws<UsageException>(() => new ProceduralScenes(1, 8, 10));
        Assert.Throws<UsageException>(() => new ProceduralScenes(1, 64, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new ProceduralScenes(1, 64, 10).Load(10));
    }

    private static double MeanDistance(Picture a, Picture b)
    {
        var sum = 0.0;
        for (var i = 0; i < a.Pixels.Length; i++)
            sum += Math.Abs(a.Pixels[i] - b.Pixels[i]);
        return sum / a.Pixels.Length;
    }
}
