using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Retouch.Images;

namespace Retouch.Tests.Images;

public sealed class ResamplingTests
{
    [Fact]
    public void The_bytes_equal_Pillows()
    {
        using var golden = JsonDocument.Parse(File.ReadAllBytes(GoldenFile("pil_resize", "case.json")));
        var cases = 0;
        foreach (var item in golden.RootElement.GetProperty("cases").EnumerateArray())
        {
            int Number(string name) => item.GetProperty(name).GetInt32();
            var source = GoldenInput(Number("width"), Number("height"));
            var filter = Enum.Parse<ResizeFilter>(item.GetProperty("filter").GetString()!);
            var resized = source.Resize(Number("to_width"), Number("to_height"), filter);
            Assert.Equal(item.GetProperty("rgb").GetBytesFromBase64(), resized.Pixels.ToArray());
            cases++;
        }

        Assert.Equal(28, cases);
    }

    [Theory]
    [InlineData(97, 131, 64, 64, 86)]
    [InlineData(131, 97, 64, 86, 64)]
    [InlineData(50, 40, 64, 80, 64)]
    [InlineData(64, 64, 64, 64, 64)]
    public void The_shorter_side_is_resized_and_the_longer_side_cropped(int width, int height, int side, int toWidth, int toHeight)
    {
        var resized = PictureTestFiles.Gradient(width, height).ResizeShortSide(side, ResizeFilter.Bicubic);
        Assert.Equal((toWidth, toHeight), (resized.Width, resized.Height));
    }

    [Fact]
    public void A_uniform_colour_is_unchanged()
    {
        var sizes = Gen.Choose(1, 40);
        var cases =
            from width in sizes
            from height in sizes
            from toWidth in sizes
            from toHeight in sizes
            from value in Gen.Choose(0, 255)
            from filter in Gen.Elements(Enum.GetValues<ResizeFilter>())
            select (width, height, toWidth, toHeight, value, filter);
        Check.QuickThrowOnFailure(
            Prop.ForAll(
                cases.ToArbitrary(),
                c =>
                {
                    var color = new Rgb((byte)c.value, (byte)(255 - c.value), (byte)(c.value / 2));
                    var resized = Picture.Filled(c.width, c.height, color).Resize(c.toWidth, c.toHeight, c.filter);
                    return resized.SameAs(Picture.Filled(c.toWidth, c.toHeight, color));
                }
            )
        );
    }

    internal static string GoldenFile(string name, string file)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var path = Path.Combine(folder.FullName, "tests", "goldens", name, file);
            if (File.Exists(path))
                return path;
        }

        throw new FileNotFoundException($"tests/goldens/{name}/{file} is not above {AppContext.BaseDirectory}.");
    }

    // The formula in the case's params.
    private static Picture GoldenInput(int width, int height)
    {
        var picture = new Picture(width, height);
        for (var y = 0; y < height; y++)
        {
            var row = picture.Row(y);
            for (var at = 0; at < row.Length; at++)
            {
                int x = at / 3,
                    c = at % 3;
                row[at] =
                    (x / 4 + y / 5 + c) % 3 == 0
                        ? (byte)(x / 4 % 2 != 0 ? 0 : 255)
                        : (byte)((x * 37 + y * 101 + c * 59 + x * y * 7 + x * x * (y + 3) % 91) % 256);
            }
        }

        return picture;
    }
}
