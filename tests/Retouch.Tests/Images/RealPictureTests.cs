using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Images;
using Xunit.Sdk;

namespace Retouch.Tests.Images;

/// <summary>Test that needs the folder of real pictures given by RETOUCH_SHARED_DATA.</summary>
[AttributeUsage(AttributeTargets.Method)]
[TraitDiscoverer(NeedsDiscoverer.Name, "Retouch.Tests")]
public sealed class RealPicturesFactAttribute : FactAttribute, ITraitAttribute
{
    public string Needs => "shared";

    public RealPicturesFactAttribute()
    {
        if (Folder is null)
            Skip = "RETOUCH_SHARED_DATA names no folder with odd_images and bad_images.";
    }

    public static string? Folder { get; } =
        Environment.GetEnvironmentVariable("RETOUCH_SHARED_DATA") is { Length: > 0 } folder
        && Directory.Exists(Path.Combine(folder, "odd_images"))
            ? folder
            : null;
}

public sealed class RealPictureTests
{
    [RealPicturesFact]
    public void Unusual_pictures_equal_Pillows_result()
    {
        var folder = Path.Combine(RealPicturesFactAttribute.Folder!, "odd_images");
        using var index = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "index.json")));
        List<string> wrong = [];
        foreach (var item in index.RootElement.GetProperty("images").EnumerateArray())
        {
            var file = item.GetProperty("file").GetString()!;
            var expected = item.GetProperty("expected_rgb");
            var picture = PictureFile.Load(Path.Combine(folder, file), new PictureReading { UseProfile = false });
            if ((picture.Width, picture.Height) != (expected.GetProperty("width").GetInt32(), expected.GetProperty("height").GetInt32()))
            {
                wrong.Add($"{file}: {picture.Width} x {picture.Height}");
                continue;
            }

            var means = Means(picture);
            for (var c = 0; c < 3; c++)
            {
                if (Math.Abs(means[c] - expected.GetProperty("mean_rgb")[c].GetDouble()) > 0.5)
                    wrong.Add($"{file}: mean of channel {c} is {means[c]:F2}, not {expected.GetProperty("mean_rgb")[c]}");
            }

            CompareCorner(picture[0, 0], expected.GetProperty("corner_top_left"));
            CompareCorner(picture[picture.Width - 1, picture.Height - 1], expected.GetProperty("corner_bottom_right"));

            // "JPEG decoders may differ by a few levels a pixel"
            void CompareCorner(Rgb actual, JsonElement corner)
            {
                if (
                    Math.Abs(actual.R - corner[0].GetInt32()) > 4
                    || Math.Abs(actual.G - corner[1].GetInt32()) > 4
                    || Math.Abs(actual.B - corner[2].GetInt32()) > 4
                )
                    wrong.Add($"{file}: corner is {actual}, not {corner}");
            }
        }

        Assert.Empty(wrong);
    }

    // The means are those of littleCMS, called by Pillow (ImageCms, perceptual intent), of this Adobe RGB picture.
    [RealPicturesFact]
    public void An_Adobe_RGB_picture_is_converted()
    {
        var means = Means(PictureFile.Load(Path.Combine(RealPicturesFactAttribute.Folder!, "odd_images", "17_rocket_640x427.jpg")));
        Assert.Equal(41.478, means[0], 0.1);
        Assert.Equal(58.281, means[1], 0.1);
        Assert.Equal(81.604, means[2], 0.1);
    }

    [RealPicturesFact]
    public void Equal_pictures_in_other_files_are_equal()
    {
        var folder = Path.Combine(RealPicturesFactAttribute.Folder!, "odd_images");
        var cat = PictureFile.Load(Path.Combine(folder, "11_cat_png_rgb_451x300.png"));
        Assert.True(PictureFile.Load(Path.Combine(folder, "21_cat_png_rgb16_451x300.png")).SameAs(cat));
        Assert.True(PictureFile.Load(Path.Combine(folder, "29_cat_png_interlaced_203x151.png")).SameAs(cat.Crop(0, 0, 203, 151)));
    }

    [RealPicturesFact]
    public void Invalid_files_are_rejected_and_valid_ones_read()
    {
        var folder = Path.Combine(RealPicturesFactAttribute.Folder!, "bad_images");
        string[] readable = ["jpeg_named.png", "png_named.jpg", "one_pixel_1x1.png"];
        foreach (var path in Directory.EnumerateFileSystemEntries(folder).Where(PictureFile.HasPictureExtension))
        {
            if (!readable.Contains(Path.GetFileName(path)))
                Assert.Contains(
                    "Cannot read the picture",
                    Assert.Throws<InputException>(() => PictureFile.Load(path)).Message,
                    StringComparison.Ordinal
                );
        }

        Assert.Equal((128, 128), Size("jpeg_named.png"));
        Assert.Equal((203, 151), Size("png_named.jpg"));
        Assert.Equal(new Rgb(200, 30, 60), PictureFile.Load(Path.Combine(folder, "one_pixel_1x1.png"))[0, 0]);

        (int, int) Size(string name)
        {
            var info = PictureFile.Probe(Path.Combine(folder, name));
            return (info.Width, info.Height);
        }
    }

    private static double[] Means(Picture picture)
    {
        double[] sums = [0, 0, 0];
        for (var i = 0; i < picture.Pixels.Length; i++)
            sums[i % 3] += picture.Pixels[i];
        return [.. sums.Select(sum => sum / (picture.Width * picture.Height))];
    }
}
