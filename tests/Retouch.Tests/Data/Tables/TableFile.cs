using Parquet;
using Parquet.Schema;
using Retouch.Data.Tables;
using Retouch.Images;

namespace Retouch.Tests.Data.Tables;

/// <summary>Writes Parquet files of uniform pictures.</summary>
internal static class TableFile
{
    /// <summary>A row.</summary>
    /// <param name="Level">Red level of the picture; null for none.</param>
    /// <param name="Label">Class label.</param>
    /// <param name="Text">Caption.</param>
    public sealed record Row(byte? Level, long? Label = null, string? Text = null);

    /// <summary>Picture of a row, as PNG.</summary>
    public static byte[] Encoded(byte level) => PictureFile.Encode(Picture.Filled(16, 16, new Rgb(level, 40, 0)), PictureFormat.Png);

    /// <summary>Writes a file with the columns <c>image</c>, <c>label</c> and <c>text</c>.</summary>
    /// <param name="path">Path of the file; its folder is created.</param>
    /// <param name="groups">Rows by row group.</param>
    /// <param name="classes">Class names, or null.</param>
    /// <param name="compression">Compression of the pages.</param>
    public static string Write(
        string path,
        Row[][] groups,
        string[]? classes = null,
        CompressionMethod compression = CompressionMethod.None
    )
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        WriteAsync(path, groups, classes, compression).GetAwaiter().GetResult();
        return path;
    }

    private static async Task WriteAsync(string path, Row[][] groups, string[]? classes, CompressionMethod compression)
    {
        var (bytes, label, text) = (
            new DataField("bytes", typeof(byte[]), true),
            new DataField<long?>("label"),
            new DataField<string>("text")
        );
        var schema = new ParquetSchema(new StructField("image", bytes), label, text);
        await using var stream = File.Create(path);
        await using var writer = await ParquetWriter.CreateAsync(schema, stream, new ParquetOptions { CompressionMethod = compression });
        if (classes is not null)
        {
            var names = string.Join(", ", classes.Select(static c => $"\"{c}\""));
            writer.CustomMetadata = new Dictionary<string, string>
            {
                [HuggingFaceFeatures.Key] =
                    $$"""{ "info": { "features": { "label": { "names": [{{names}}], "_type": "ClassLabel" } } } }""",
            };
        }

        foreach (var rows in groups)
        {
            using var group = writer.CreateRowGroup();
            ReadOnlyMemory<byte>[] pictures =
            [
                .. rows.Select(static r => r.Level).OfType<byte>().Select(static l => new ReadOnlyMemory<byte>(Encoded(l))),
            ];
            // Levels: 1 for a struct without bytes, 2 for bytes.
            int[] levels = [.. rows.Select(static r => r.Level is null ? 1 : 2)];
            await group.WriteAllPartsAsync<ReadOnlyMemory<byte>>(bytes, pictures, levels, null, default);
            await group.WriteAsync<long>(label, rows.Select(static r => r.Label).ToArray());
            await group.WriteAsync(text, rows.Select(static r => r.Text).ToArray()!);
        }
    }
}
