using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using Retouch.Data;
using Retouch.Data.Pairs;
using Retouch.Data.Shards;
using Retouch.Data.Tables;
using Retouch.Evaluation.Features;

namespace Retouch.Fuzz;

/// <summary>Readers of shards of pictures and of statistics.</summary>
internal static class DataTargets
{
    // One pixel.
    private static readonly byte[] Picture = Convert.FromBase64String(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    );

    public static IReadOnlyList<FuzzTarget> All() =>
        [
            new(
                "tar shard",
                [.. ((TarEntryFormat[])[TarEntryFormat.Ustar, TarEntryFormat.Pax, TarEntryFormat.Gnu, TarEntryFormat.V7]).Select(Shard)],
                static (bytes, folder) =>
                {
                    var shards = TarShards.Open([FuzzTarget.Write(folder, "a.tar", bytes)]);
                    for (var k = 0; k < Math.Min(shards.Count, 2); k++)
                    {
                        _ = shards[k];
                        shards.Load(k);
                    }
                }
            )
            {
                Share = 5,
            },
            new(
                "pairs",
                [.. Pairs()],
                static (bytes, folder) => PairList.Read(FuzzTarget.Write(folder, "metadata.jsonl", bytes), PairConflicts.Skip)
            ),
            new(
                "statistics (.npz)",
                [Archive(Mean(), Covariance(), Protocol()), Archive(Mean(), Covariance(), null)],
                static (bytes, folder) => _ = FrechetStatistics.Load(FuzzTarget.Write(folder, "a.npz", bytes))
            ),
            new(
                "array (.npy)",
                [Mean(), Array("<f4", "2", new byte[8]), Array(">f8", "2, ", new byte[16]), Array("|u1", "2,", [1, 2])],
                static (bytes, folder) => _ = FrechetStatistics.Load(FuzzTarget.Write(folder, "a.npz", Archive(bytes, Covariance(), null)))
            ),
        ];

    /// <summary>Parquet files of pictures and of pairs.</summary>
    /// <param name="goldens">The folder tests/goldens with the valid files.</param>
    public static FuzzTarget Tables(string goldens) =>
        new(
            "parquet",
            [
                .. ((string[])["pictures", "lists-v1", "lists-v2", "dictionary", "pairs"]).Select(n =>
                    File.ReadAllBytes(Path.Combine(goldens, "parquet", n + ".parquet"))
                ),
            ],
            static (bytes, folder) =>
            {
                var columns = new ParquetColumns { Image = bytes.AsSpan().IndexOf("jpg_0"u8) >= 0 ? "jpg_0" : null };
                IPictureSource source = ParquetPictures.Open([FuzzTarget.Write(folder, "a.parquet", bytes)], columns: columns);
                for (var k = 0; k < Math.Min(source.Count, 2); k++)
                {
                    _ = source[k];
                    source.Load(k);
                }
            }
        )
        {
            Share = 5,
        };

    private static IEnumerable<byte[]> Pairs() =>
        (
            (string[])
                [
                    "{\"winner\":\"a.png\",\"loser\":\"b.png\",\"caption\":\"a "
                        + "cat\",\"label\":3}\n{\"winner\":\"./c.png\",\"loser\":[\"a.png\",\"b.png\"]}\n",
                    "{\"jpg_0\":\"a.jpg\",\"jpg_1\":\"b.jpg\",\"label_0\":1,\"label_1\":0,\"prompt\":\"\\u00e9\"}\n\n"
                        + "{\"image_0\":\"c.jpg\",\"image_1\":\"d.jpg\",\"label_0\":0.5,\"label_1\":0.5}\n",
                ]
        ).Select(Encoding.UTF8.GetBytes);

    private static byte[] Shard(TarEntryFormat format)
    {
        using var result = new MemoryStream();
        using (var writer = new TarWriter(result, format, leaveOpen: true))
        {
            foreach (
                var (name, content) in ((string, byte[])[])
                    [
                        ("a/1.png", Picture),
                        ("a/1.txt", "a cat\n"u8.ToArray()),
                        ("a/1.json", "{\"label\": 3, \"caption\": \"x\"}"u8.ToArray()),
                        ("a/2.png", Picture),
                        ("a/2.cls", "2"u8.ToArray()),
                    ]
            )
            {
                TarEntry entry = format switch
                {
                    TarEntryFormat.Ustar => new UstarTarEntry(TarEntryType.RegularFile, name),
                    TarEntryFormat.Gnu => new GnuTarEntry(TarEntryType.RegularFile, name),
                    TarEntryFormat.V7 => new V7TarEntry(TarEntryType.V7RegularFile, name),
                    _ => new PaxTarEntry(TarEntryType.RegularFile, name, [KeyValuePair.Create("comment", "x")]),
                };
                entry.ModificationTime = DateTimeOffset.UnixEpoch;
                entry.DataStream = new MemoryStream(content);
                writer.WriteEntry(entry);
            }
        }

        return result.ToArray();
    }

    private static byte[] Mean() => Array("<f8", "2,", [.. BitConverter.GetBytes(0.5), .. BitConverter.GetBytes(-1.0)]);

    private static byte[] Covariance() => Array("<f8", "2, 2", [.. ((double[])[1, 0.25, 0.25, 2]).SelectMany(BitConverter.GetBytes)]);

    private static byte[] Protocol()
    {
        var json =
            """
            {"protocol":{"key":"fid","network":"Inception","width":2,"preparation":"resize","weights":"a.pth","sha256":"00"},
            "preparation":"none"}
            """u8.ToArray();
        return Array("|u1", $"{json.Length},", json);
    }

    private static byte[] Array(string type, string shape, byte[] numbers)
    {
        var header = Encoding.ASCII.GetBytes($"{{'descr': '{type}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        return [0x93, .. "NUMPY"u8, 1, 0, (byte)header.Length, (byte)(header.Length >> 8), .. header, .. numbers];
    }

    private static byte[] Archive(byte[] mean, byte[] covariance, byte[]? protocol)
    {
        using var result = new MemoryStream();
        using (var archive = new ZipArchive(result, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, content) in ((string, byte[]?)[])[("mu.npy", mean), ("sigma.npy", covariance), ("protocol.npy", protocol)])
            {
                if (content is null)
                    continue;
                var entry = archive.CreateEntry(name, CompressionLevel.NoCompression);
                entry.LastWriteTime = new DateTimeOffset(1980, 1, 1, 0, 0, 0, TimeSpan.Zero);
                using var to = entry.Open();
                to.Write(content);
            }
        }

        return result.ToArray();
    }
}
