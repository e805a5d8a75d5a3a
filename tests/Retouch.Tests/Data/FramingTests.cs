using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Images;
using Retouch.Tests.Images;

namespace Retouch.Tests.Data;

public sealed class FramingTests
{
    [Theory]
    [InlineData(100, 80, 40, 40)]
    [InlineData(80, 100, 40, 40)]
    [InlineData(101, 67, 64, 32)]
    [InlineData(33, 97, 16, 48)]
    [InlineData(40, 40, 40, 40)]
    public void Every_shape_is_framed_to_the_size(int width, int height, int toWidth, int toHeight)
    {
        var framing = new Framing
        {
            Width = toWidth,
            Height = toHeight,
            Crop = CropMode.Random,
            FlipProbability = 0.5,
        };
        for (var seed = 0UL; seed < 20; seed++)
        {
            var framed = framing.Apply(Source(width, height), seed, "x");
            Assert.Equal((toWidth, toHeight), (framed.Picture.Width, framed.Picture.Height));
            Assert.Equal((width, height), (framed.Record.OriginalWidth, framed.Record.OriginalHeight));
        }
    }

    [Fact]
    public void Centre_crops_are_taken_after_the_resize()
    {
        var source = Source(97, 64);
        var framed = new Framing
        {
            Width = 32,
            Height = 32,
            Filter = ResizeFilter.Bicubic,
        }.Apply(source, 1, "x");
        // 97 * 32 / 64 is 48.5, truncated to 48.
        var expected = source.Picture.Resize(48, 32, ResizeFilter.Bicubic).Crop(8, 0, 32, 32);
        Assert.True(framed.Picture.SameAs(expected));
        Assert.Equal(new FrameRecord(97, 64, 8, 0, false), framed.Record);
    }

    [Fact]
    public void Random_crops_reach_every_position_and_flips_have_their_share()
    {
        var framing = new Framing
        {
            Width = 8,
            Height = 8,
            Crop = CropMode.Random,
            FlipProbability = 0.25,
        };
        var records = Enumerable
            .Range(0, 4000)
            .Select(seed => framing.Apply(Source(12, 8), SplitMix64.Derive((ulong)seed), "x").Record)
            .ToList();
        Assert.Equal([0, 1, 2, 3, 4], records.Select(r => r.Left).Distinct().Order());
        // 1000 with a standard deviation of 27.
        Assert.InRange(records.Count(r => r.Flipped), 860, 1140);
        Assert.All(records, r => Assert.Equal(0, r.Top));
    }

    [Fact]
    public void The_result_depends_on_the_seed_alone()
    {
        var framing = new Framing
        {
            Width = 8,
            Height = 8,
            Crop = CropMode.Random,
            FlipProbability = 0.5,
        };
        Assert.True(framing.Apply(Source(20, 30), 5, "x").Picture.SameAs(framing.Apply(Source(20, 30), 5, "x").Picture));
    }

    [Fact]
    public void Small_pictures_are_rejected_unless_enlarging_is_allowed()
    {
        var framing = new Framing { Width = 32, Height = 32 };
        var error = Assert.Throws<InputException>(() => framing.Apply(Source(600, 18), 0, "strip.jpg"));
        Assert.Contains("strip.jpg", error.Message, StringComparison.Ordinal);
        Assert.Contains("600 x 18", error.Message, StringComparison.Ordinal);
        Assert.Equal(32, (framing with { AllowEnlarging = true }).Apply(Source(1, 1), 0, "x").Picture.Width);
    }

    [Fact]
    public void Options_out_of_range_are_rejected()
    {
        Assert.Throws<UsageException>(() => new Framing { Width = 0, Height = 8 }.Validate());
        Assert.Throws<UsageException>(() =>
            new Framing
            {
                Width = 8,
                Height = 8,
                FlipProbability = double.NaN,
            }.Validate()
        );
    }

    private static SourcePicture Source(int width, int height) => new(PictureTestFiles.Gradient(width, height), width, height);
}
