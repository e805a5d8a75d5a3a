using Retouch.Core.Errors;
using Retouch.Images;

namespace Retouch.Tests.Images;

public sealed class PictureFileTests
{
    [Theory]
    [InlineData("a.png", 95, 0)]
    [InlineData("ünïcode é with spaces.webp", 100, 0)]
    [InlineData("a.JPG", 95, 3)]
    [InlineData("a.webp", 90, 8)]
    public void Saved_pictures_are_loaded_unchanged(string name, int quality, int tolerance)
    {
        using var folder = new TemporaryFolder();
        var picture = PictureTestFiles.Gradient(61, 43);
        var path = Path.Combine(folder.Path, name);
        PictureFile.Save(picture, path, quality);

        var loaded = PictureFile.LoadWithInfo(path);
        Assert.Equal((61, 43), (loaded.Info.Width, loaded.Info.Height));
        Assert.InRange(Distance(picture, loaded.Picture), 0, tolerance);
        Assert.Equal(loaded.Info, PictureFile.Probe(path));
    }

    [Fact]
    public void The_format_is_detected_from_the_content()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Add("jpeg.png", PictureFile.Encode(PictureTestFiles.Gradient(16, 16), PictureFormat.Jpeg));
        Assert.Equal(PictureFormat.Jpeg, PictureFile.Probe(path).Format);
        Assert.Equal(16, PictureFile.Load(path).Width);
    }

    // Corners of the upright picture among the stored ones, by EXIF orientation: stored position of the result's top-left corner ...
    [Theory]
    [InlineData(1, 0, 0, false)]
    [InlineData(2, 1, 0, false)]
    [InlineData(3, 1, 1, false)]
    [InlineData(4, 0, 1, false)]
    [InlineData(5, 0, 0, true)]
    [InlineData(6, 0, 1, true)]
    [InlineData(7, 1, 1, true)]
    [InlineData(8, 1, 0, true)]
    public void Exif_orientation_is_applied(int orientation, int right, int bottom, bool turned)
    {
        var stored = PictureTestFiles.Gradient(64, 32);
        var jpeg = PictureTestFiles.WithOrientation(PictureFile.Encode(stored, PictureFormat.Jpeg, 100), orientation);
        var loaded = PictureFile.Decode(jpeg, "turned.jpg");
        Assert.Equal(turned ? (32, 64) : (64, 32), (loaded.Picture.Width, loaded.Picture.Height));
        Assert.Equal((loaded.Picture.Width, loaded.Picture.Height), (loaded.Info.Width, loaded.Info.Height));
        Assert.Equal(orientation, loaded.Info.Orientation);
        var expected = stored[right * 63, bottom * 31];
        var actual = loaded.Picture[0, 0];
        Assert.InRange(Math.Abs(expected.R - actual.R) + Math.Abs(expected.G - actual.G) + Math.Abs(expected.B - actual.B), 0, 12);
    }

    [Fact]
    public void Sixteen_bit_gray_becomes_8_bit_rgb()
    {
        byte[] rows = [0, 0, 100, 100, 255, 255, 7, 7];
        var loaded = PictureFile.Decode(PictureTestFiles.Png(2, 2, 16, 0, rows), "gray16.png");
        Assert.Equal(16, loaded.Info.BitsPerSample);
        Assert.Equal(new byte[] { 0, 0, 0, 100, 100, 100, 255, 255, 255, 7, 7, 7 }, loaded.Picture.Pixels.ToArray());
    }

    [Fact]
    public void Alpha_is_composited_over_white()
    {
        byte[] rows = [255, 0, 255, 0, 10, 20, 30, 255, 100, 0, 200, 128];
        var loaded = PictureFile.Decode(PictureTestFiles.Png(3, 1, 8, 6, rows), "alpha.png");
        Assert.True(loaded.Info.HasAlpha);
        Assert.Equal(Rgb.White, loaded.Picture[0, 0]);
        Assert.Equal(new Rgb(10, 20, 30), loaded.Picture[1, 0]);
        // 255 - (255 - v) * 128 / 255, within the rounding of the blend.
        Assert.InRange(loaded.Picture[2, 0].R, 176, 178);
        Assert.InRange(loaded.Picture[2, 0].G, 126, 128);
        Assert.InRange(loaded.Picture[2, 0].B, 226, 228);
    }

    [Fact]
    public void Palettes_are_applied()
    {
        var png = PictureTestFiles.Png(2, 1, 8, 3, [1, 0], ("PLTE", [10, 20, 30, 200, 100, 50]));
        var picture = PictureFile.Decode(png, "palette.png").Picture;
        Assert.Equal(new byte[] { 200, 100, 50, 10, 20, 30 }, picture.Pixels.ToArray());
    }

    [Fact]
    public void Cmyk_without_a_profile_is_converted()
    {
        var tiff = PictureTestFiles.Tiff(2, 1, 4, photometric: 5, [255, 0, 100, 0, 0, 51, 102, 128]);
        var picture = PictureFile.Decode(tiff, "cmyk.tif").Picture;
        Assert.Equal(new Rgb(0, 255, 155), picture[0, 0]);
        // (255 - ink)(255 - 128) / 255
        Assert.Equal(new Rgb(127, 102, 76), picture[1, 0]);
    }

    [Fact]
    public void Profiles_are_converted_to_srgb()
    {
        byte[] rows = [55, 55, 55, 255, 255, 255];
        var linear = PictureTestFiles.Png(
            2,
            1,
            8,
            2,
            rows,
            ("iCCP", PictureTestFiles.ProfileChunk(PictureTestFiles.GammaProfile(1.0, "Linear")))
        );
        var loaded = PictureFile.Decode(linear, "linear.png");
        Assert.True(loaded.Info.HasProfile);
        // IEC 61966-2-1: 1.055 (55/255)^(1/2.4) - 0.055 is 128.1 of 255.
        Assert.InRange(loaded.Picture[0, 0].G, 127, 129);
        Assert.InRange(loaded.Picture[1, 0].G, 254, 255);
        Assert.Equal(rows, PictureFile.Decode(linear, "linear.png", new PictureReading { UseProfile = false }).Picture.Pixels.ToArray());
    }

    [Fact]
    public void An_srgb_or_broken_profile_has_no_effect()
    {
        byte[] rows = [55, 77, 99, 200, 100, 1];
        foreach (var profile in new[] { PictureTestFiles.GammaProfile(1.0, "sRGB IEC61966-2.1"), new byte[300] })
        {
            var png = PictureTestFiles.Png(2, 1, 8, 2, rows, ("iCCP", PictureTestFiles.ProfileChunk(profile)));
            Assert.Equal(rows, PictureFile.Decode(png, "profile.png").Picture.Pixels.ToArray());
        }
    }

    [Fact]
    public void Shrinking_on_load_keeps_the_side_and_reports_the_full_size()
    {
        var jpeg = PictureFile.Encode(PictureTestFiles.Gradient(640, 480), PictureFormat.Jpeg);
        var quarter = PictureFile.Decode(jpeg, "large.jpg", new PictureReading { MinSide = 120 });
        Assert.Equal((160, 120), (quarter.Picture.Width, quarter.Picture.Height));
        Assert.Equal((640, 480), (quarter.Info.Width, quarter.Info.Height));
        Assert.Equal(240, PictureFile.Decode(jpeg, "large.jpg", new PictureReading { MinSide = 121 }).Picture.Height);
        Assert.Equal(480, PictureFile.Decode(jpeg, "large.jpg", new PictureReading { MinSide = 500 }).Picture.Height);
    }

    [Fact]
    public void Threads_get_their_own_pictures_and_errors()
    {
        var good = PictureFile.Encode(PictureTestFiles.Gradient(80, 60), PictureFormat.Png);
        var cutPng = good[..(good.Length / 2)];
        var jpeg = PictureFile.Encode(PictureTestFiles.Gradient(80, 60), PictureFormat.Jpeg);
        var cutJpeg = jpeg[..(jpeg.Length / 2)];
        Parallel.For(
            0,
            120,
            i =>
            {
                if (i % 3 == 0)
                {
                    Assert.Equal(80, PictureFile.Decode(good, "good").Picture.Width);
                    return;
                }

                var broken = i % 3 == 1 ? cutPng : cutJpeg;
                var (own, other) = i % 3 == 1 ? ("png", "jpeg") : ("jpeg", "png");
                var message = Assert.Throws<InputException>(() => PictureFile.Decode(broken, "broken")).Message;
                Assert.Contains(own, message, StringComparison.OrdinalIgnoreCase);
                Assert.DoesNotContain(other, message, StringComparison.OrdinalIgnoreCase);
            }
        );
    }

    [Fact]
    public void Unsupported_formats_are_rejected()
    {
        var picture = PictureTestFiles.Gradient(4, 4);
        Assert.Contains(".gif", Assert.Throws<UsageException>(() => PictureFile.Save(picture, "x.gif")).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => PictureFile.Encode(picture, PictureFormat.Tiff));
        Assert.Throws<ArgumentOutOfRangeException>(() => PictureFile.Encode(picture, PictureFormat.Jpeg, 0));
    }

    private static int Distance(Picture a, Picture b)
    {
        var largest = 0;
        for (var i = 0; i < a.Pixels.Length; i++)
            largest = Math.Max(largest, Math.Abs(a.Pixels[i] - b.Pixels[i]));
        return largest;
    }
}
