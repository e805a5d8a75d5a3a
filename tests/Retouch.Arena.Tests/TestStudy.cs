using System.Text.Json;
using Retouch.Arena.Study;
using Retouch.Images;

namespace Retouch.Arena.Tests;

/// <summary>A temporary folder of models with pictures, each in a different colour.</summary>
internal sealed class TestStudy : IDisposable
{
    public TestStudy(int items = 4, params string[] models)
    {
        Models = models.Length > 0 ? models : ["secret-alpha", "secret-beta"];
        foreach (var model in Models)
        {
            for (var k = 0; k < items; k++)
                Add(model, $"{k:D3}.png", Paint(Array.IndexOf(Models, model), k));
            WriteMetadata(model, items);
        }
    }

    public string Folder { get; } = Directory.CreateTempSubdirectory("retouch-arena-").FullName;

    public string[] Models { get; }

    public ArenaOptions Options =>
        new()
        {
            Folder = Folder,
            Port = 0,
            Title = "Test",
        };

    /// <summary>Different for each model and item, and not uniform, so that a degraded copy differs.</summary>
    public static Picture Paint(int model, int item, int side = 48)
    {
        var picture = new Picture(side, side);
        for (var y = 0; y < side; y++)
        {
            for (var x = 0; x < side; x++)
                picture[x, y] = new Rgb((byte)(40 + 3 * x), (byte)(30 + 90 * model), (byte)((20 + 31 * item + (x * y % 7) * 9) % 256));
        }

        return picture;
    }

    public void Add(string model, string name, Picture picture)
    {
        Directory.CreateDirectory(Path.Combine(Folder, model));
        PictureFile.Save(picture, Path.Combine(Folder, model, name));
    }

    public void WriteMetadata(string model, int items) =>
        File.WriteAllLines(
            Path.Combine(Folder, model, "metadata.jsonl"),
            Enumerable
                .Range(0, items)
                .Select(k =>
                    JsonSerializer.Serialize(
                        new
                        {
                            file_name = $"{k:D3}.png",
                            text = $"prompt number {k}",
                            seed = 1000 + k,
                        }
                    )
                )
        );

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
