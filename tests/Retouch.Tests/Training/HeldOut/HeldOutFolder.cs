using Retouch.Images;

namespace Retouch.Tests.Training.HeldOut;

/// <summary>Writes small pictures, each with other pixels.</summary>
internal static class HeldOutFolder
{
    /// <summary>Writes a picture of 16 × 16 pixels whose colours follow from a seed.</summary>
    public static void Write(string path, int seed)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var picture = Picture.Filled(16, 16, new Rgb((byte)(37 * seed), (byte)(255 - (11 * seed)), (byte)(90 + (5 * seed))));
        File.WriteAllBytes(path, PictureFile.Encode(picture, PictureFormat.Png));
    }

    /// <summary>Writes pictures <c>a/0.png</c>, <c>b/1.png</c>, … in two classes.</summary>
    public static string WriteClasses(string folder, int count, int firstSeed)
    {
        for (var k = 0; k < count; k++)
            Write(Path.Combine(folder, k % 2 == 0 ? "a" : "b", $"{firstSeed + k}.png"), firstSeed + k);
        return folder;
    }
}
