using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Data.Pairs;
using Retouch.Data.Scenes;
using Retouch.Images;

namespace Retouch.Tests.Data.Pairs;

public sealed class DegradedPairsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_blurred_point_is_a_normal_density()
    {
        var point = new Picture(21, 21);
        point[10, 10] = Rgb.White;
        var (blurred, deviation) = DegradedPictures.Apply(point, Degradation.Blur, 5);
        Assert.InRange(deviation, 1, 2);
        for (var y = 4; y < 17; y++)
        {
            for (var x = 4; x < 17; x++)
            {
                var d = ((x - 10) * (x - 10)) + ((y - 10) * (y - 10));
                // Sampled and truncated at three standard deviations, the kernel's sum equals that of the density to 0.3 %.
                Assert.Equal(
                    255 * Math.Exp(-d / (2 * deviation * deviation)) / (2 * Math.PI * deviation * deviation),
                    blurred[x, y].G,
                    0.7
                );
            }
        }
    }

    [Fact]
    public void Uniform_pictures_are_unchanged()
    {
        var even = Picture.Filled(9, 7, new Rgb(90, 120, 60));
        var scene = new ProceduralScenes(1, 32, 4).Load(0).Picture;
        foreach (var degradation in Enum.GetValues<Degradation>())
        {
            if (degradation != Degradation.Jpeg20)
                Assert.True(DegradedPictures.Apply(even, degradation, 1).Picture.SameAs(even));
            var worse = DegradedPictures.Apply(scene, degradation, 1).Picture;
            Assert.Equal((32, 32), (worse.Width, worse.Height));
            Assert.False(worse.SameAs(scene));
            Assert.True(worse.SameAs(DegradedPictures.Apply(scene, degradation, 1).Picture));
        }

        var (aliased, phase) = DegradedPictures.Apply(scene, Degradation.Alias, 1);
        for (var k = 0; k < 4; k++)
            Assert.Equal(scene[10 + ((int)phase % 2), 20 + ((int)phase / 2)], aliased[10 + (k % 2), 20 + (k / 2)]);
    }

    [Fact]
    public void Written_pairs_are_read_back()
    {
        var output = Path.Combine(_folder.Path, "pairs");
        var scenes = new ProceduralScenes(3, 16, 7);
        var result = DegradedPairs.Write(
            scenes,
            new()
            {
                Degradation = Degradation.Blur,
                Size = 16,
                Seed = 9,
                HoldOut = 3,
            },
            output,
            CancellationToken.None
        );
        Assert.Equal((5, 2, 0), (result.Pairs, result.HeldOut, result.Unusable.Count));
        var pairs = PairFolder.Open(output);
        Assert.Equal(5, pairs.Count);
        Assert.Equal(2, PairFolder.Open(Path.Combine(output, "held-out.jsonl")).Count);
        Assert.Equal(scenes.Classes[scenes[0].Label!.Value], pairs.Classes[pairs[0].Label!.Value]);
        Assert.True(pairs.Load(0).Picture.SameAs(scenes.Load(0).Picture));
        Assert.True(
            pairs
                .LoadLoser(0)
                .Picture.SameAs(DegradedPictures.Apply(scenes.Load(0).Picture, Degradation.Blur, SplitMix64.Derive(9, 0)).Picture)
        );
        Assert.Throws<UsageException>(() =>
            DegradedPairs.Write(scenes, new() { Degradation = Degradation.Blur, Size = 16 }, output, CancellationToken.None)
        );
        Assert.Throws<UsageException>(() =>
            DegradedPairs.Write(
                scenes,
                new()
                {
                    Degradation = Degradation.Blur,
                    Size = 16,
                    HoldOut = 1,
                },
                output + "2",
                CancellationToken.None
            )
        );
    }
}
