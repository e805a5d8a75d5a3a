using System.Formats.Tar;
using System.Text;
using Retouch.Core.Errors;
using Retouch.Data.Shards;
using Retouch.Images;
using Retouch.Tests.Training.Telemetry;
using Xunit.Sdk;

namespace Retouch.Tests.Data;

/// <summary>Valid and hostile tar shards, written by System.Formats.Tar, or byte by byte where it refuses.</summary>
public sealed class TarShardsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(TarEntryFormat.Ustar)]
    [InlineData(TarEntryFormat.Pax)]
    [InlineData(TarEntryFormat.Gnu)]
    [InlineData(TarEntryFormat.V7)]
    public void Samples_are_read_from_all_formats(TarEntryFormat format)
    {
        var first = Write(
            "shard-000000.tar",
            format,
            ("000001.jpg", Jpeg(1)),
            ("000001.txt", Utf8(" a\nred  ball ")),
            ("000001.json", Utf8("""{ "label": 3 }""")),
            ("./000002.png", Png(2)),
            ("000002.cls", Utf8("1\n"))
        );
        var second = Write(
            "shard-000001.tar",
            format,
            ("000003.jpg", Jpeg(3)),
            ("000003.json", Utf8("""{ "caption": "named", "label": null }""")),
            ("000004.txt", Utf8("no picture")),
            ("000005.webm", [1])
        );
        var source = TarShards.Open([first, second]);
        Assert.Equal(3, source.Count);
        Assert.Equal(new("shard-000000.tar/000001.jpg", 3, "a red ball"), source[0]);
        Assert.Equal(new("shard-000000.tar/000002.png", 1, null), source[1]);
        Assert.Equal(new("shard-000001.tar/000003.jpg", null, "named"), source[2]);
        Assert.Equal(["0", "1", "2", "3"], source.Classes);
        Assert.Equal(3, Enumerable.Range(0, 3).Select(source.Stamp).Distinct().Count());
        Assert.Equal(source[0].Caption, TarShards.Open([first, first])[2].Caption);
        var picture = source.Load(1);
        Assert.Equal((5, 3), (picture.FullWidth, picture.FullHeight));
        Assert.Equal(Filled(2).Pixels.ToArray(), picture.Picture.Pixels.ToArray());
        // Any order, several threads, and a folder or a range instead of names.
        var expected = Enumerable.Range(0, 3).Select(k => source.Load(k).Picture.Pixels.ToArray()).ToArray();
        Parallel.For(0, 60, k => Assert.Equal(expected[k % 3], source.Load(k % 3).Picture.Pixels.ToArray()));
        foreach (var other in (string[])[_folder[""], _folder["shard-{000000..000001}.tar"]])
            Assert.Equal(source[2], TarShards.Open([other])[2]);
    }

    [Fact]
    public void Files_of_macOS_are_skipped()
    {
        foreach (var place in (string[])["", "set/"])
        {
            var source = TarShards.Open([
                Write(
                    "mac.tar",
                    TarEntryFormat.Pax,
                    ($"._{place}x", [0]),
                    ($"{place}._1.png", [0, 5, 22, 7]),
                    ($"{place}1.png", Png(1)),
                    ($"{place}._1.txt", [0, 5, 22, 7]),
                    ($"{place}1.txt", Utf8("\uFEFFpicture\r\n")),
                    ($"__MACOSX/{place}2.png", Png(1)),
                    ($"{place}.DS_Store", [1])
                ),
            ]);
            Assert.Equal(1, source.Count);
            Assert.Equal("picture", source[0].Caption);
        }
    }

    [Fact]
    public void Byte_order_marks_and_Python_numbers_are_accepted()
    {
        var source = TarShards.Open([
            Write(
                "json.tar",
                TarEntryFormat.Pax,
                ("1.png", Png(1)),
                ("1.json", Utf8("\uFEFF{ \"text\": \"a\", \"score\": NaN }")),
                ("2.png", Png(2)),
                ("2.json", Utf8("{ \"text\": [\"b\", \"c\"], \"score\": -Infinity }"))
            ),
        ]);
        Assert.Equal("a, b", string.Join(", ", source[0].Caption, source[1].Caption));
        Assert.Equal(["b", "c"], source[1].AllCaptions);
        var error = Assert.Throws<InputException>(() =>
            TarShards.Open([Write("cp.tar", TarEntryFormat.Pax, ("1.png", Png(1)), ("1.txt", [0xE9]))])[0]
        );
        Assert.Contains("'1.txt' of", error.Message, StringComparison.Ordinal);
        Assert.Contains("is not UTF-8 text", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Splits_masks_and_other_formats_are_distinguished()
    {
        var source = TarShards.OpenSplit(
            [
                Write(
                    "mixed.tar",
                    TarEntryFormat.Pax,
                    ("train/cat/1.png", Png(1)),
                    ("train/cat/1.mask.png", Png(1)),
                    ("train/dog/2.png", Png(2)),
                    ("train/dog/2-masklabel.png", Png(2)),
                    ("test/dog/3.png", Png(3)),
                    ("test/dog/4.jxl", [1])
                ),
            ],
            split: null
        );
        Assert.Equal(["mixed.tar/train/cat/1.png", "mixed.tar/train/dog/2.png"], [source[0].Id, source[1].Id]);
        Assert.Equal(2, source.Count);
        Assert.Equal(["cat", "dog"], source.Classes);
        Assert.Contains("2 files of the shards are skipped", source.Notes[0], StringComparison.Ordinal);
        Assert.Contains("1 mask", source.Notes[1], StringComparison.Ordinal);
        Assert.Contains("test (1 picture, not used)", source.Notes[2], StringComparison.Ordinal);
    }

    [Fact]
    public void Folders_of_keys_are_classes()
    {
        var named = TarShards.Open([
            Write("a.tar", TarEntryFormat.Ustar, ("1.png", Png(1)), ("1.cls", Utf8("dog")), ("2.png", Png(2)), ("2.cls", Utf8("cat"))),
        ]);
        Assert.Equal(["cat", "dog"], named.Classes);
        Assert.Equal(1, named[0].Label);
        var folders = TarShards.Open([Write("b.tar", TarEntryFormat.Pax, ("sea/1.png", Png(1)), ("sky/1.png", Png(2)))]);
        Assert.Equal(["sea", "sky"], folders.Classes);
        Assert.Equal(1, folders[1].Label);
    }

    [Theory]
    [InlineData("../evil.png")]
    [InlineData("a/../../evil.png")]
    [InlineData("/etc/evil.png")]
    [InlineData("a//b.png")]
    [InlineData("a\\b.png")]
    [InlineData("line\nbreak.png")]
    public void Path_traversal_in_names_is_rejected(string name)
    {
        var error = Assert.Throws<InputException>(() =>
            TarShards.Open([Write("a.tar", TarEntryFormat.Pax, ("1.png", Png(1)), (name, Png(2)))])
        );
        Assert.Contains("a.tar", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void Links_and_devices_are_rejected()
    {
        foreach (var type in (TarEntryType[])[TarEntryType.SymbolicLink, TarEntryType.HardLink, TarEntryType.Fifo])
        {
            var path = _folder["links.tar"];
            using (var writer = new TarWriter(File.Create(path), TarEntryFormat.Pax))
            {
                var entry = new PaxTarEntry(type, "1.png");
                if (type != TarEntryType.Fifo)
                    entry.LinkName = "/etc/passwd";
                writer.WriteEntry(entry);
            }

            Assert.Contains(
                "regular files only",
                Assert.Throws<InputException>(() => TarShards.Open([path])).Message,
                StringComparison.Ordinal
            );
        }
    }

    [Fact]
    public void A_truncated_tar_gives_an_error_or_complete_samples()
    {
        var whole = File.ReadAllBytes(Write("whole.tar", TarEntryFormat.Ustar, ("1.png", Png(1)), ("2.png", Png(2))));
        var path = _folder["cut.tar"];
        for (var length = 0; length < whole.Length; length += 100)
        {
            File.WriteAllBytes(path, whole[..length]);
            try
            {
                var source = TarShards.Open([path]);
                for (var k = 0; k < source.Count; k++)
                    Assert.Equal(Filled(k + 1).Pixels.ToArray(), source.Load(k).Picture.Pixels.ToArray());
            }
            catch (InputException e)
            {
                Assert.Contains("cut.tar", e.Message, StringComparison.Ordinal);
            }
        }

        File.WriteAllBytes(path, whole[..1030]);
        Assert.Contains(
            "after 1 complete sample",
            Assert.Throws<InputException>(() => TarShards.Open([path])).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Mutated_tars_give_errors_or_samples()
    {
        var whole = File.ReadAllBytes(
            Write(
                "whole.tar",
                TarEntryFormat.Pax,
                ("1.png", Png(1)),
                ("1.json", Utf8("""{ "label": 1 }""")),
                ("2.png", Png(2)),
                ("2.txt", Utf8("two"))
            )
        );
        var random = new Retouch.Data.SplitMix64(11);
        var path = _folder["fuzz.tar"];
        var refused = 0;
        for (var round = 0; round < 400; round++)
        {
            var bytes = whole.ToArray();
            for (var k = 0; k < 1 + (round % 5); k++)
                bytes[random.NextInt(Math.Min(bytes.Length, 8192))] = (byte)random.NextInt(256);
            File.WriteAllBytes(path, bytes);
            try
            {
                var source = TarShards.Open([path]);
                for (var k = 0; k < source.Count; k++)
                    _ = (source[k], source.Load(k));
            }
            catch (InputException)
            {
                refused++;
            }
        }

        Assert.InRange(refused, 20, 400);
    }

    [Theory]
    [InlineData("77777777777")] // 8 GiB
    [InlineData("37777777777")]
    [InlineData("-0000000001")]
    [InlineData("zzzzzzzzzzz")]
    public void Sizes_that_lie_are_refused(string octal)
    {
        var bytes = File.ReadAllBytes(Write("size.tar", TarEntryFormat.Ustar, ("1.png", Png(1))));
        Encoding.ASCII.GetBytes(octal).CopyTo(bytes, 124);
        Encoding.ASCII.GetBytes("        ").CopyTo(bytes, 148);
        Encoding.ASCII.GetBytes(Convert.ToString(bytes.Take(512).Sum(static b => b), 8).PadLeft(6, '0') + "\0 ").CopyTo(bytes, 148);
        File.WriteAllBytes(_folder["size.tar"], bytes);
        Assert.Throws<InputException>(() => TarShards.Open([_folder["size.tar"]]));
    }

    [Fact]
    public void An_extended_header_of_impossible_length_is_rejected()
    {
        var path = Write("long.tar", TarEntryFormat.Pax, ("1.png", Png(1)));
        var bytes = File.ReadAllBytes(path);
        Assert.Equal((byte)'x', bytes[156]);
        Encoding.ASCII.GetBytes("17777777777").CopyTo(bytes, 124);
        Encoding.ASCII.GetBytes("        ").CopyTo(bytes, 148);
        Encoding.ASCII.GetBytes(Convert.ToString(bytes.Take(512).Sum(static b => b), 8).PadLeft(6, '0') + "\0 ").CopyTo(bytes, 148);
        File.WriteAllBytes(path, bytes);
        Assert.Contains("cannot be used", Assert.Throws<InputException>(() => TarShards.Open([path])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Invalid_shards_are_rejected()
    {
        void Refused(string message, params (string, byte[])[] files)
        {
            var error = Assert.Throws<InputException>(() => TarShards.Open([Write("x.tar", TarEntryFormat.Ustar, files)]));
            Assert.Contains(message, error.Message, StringComparison.Ordinal);
        }

        Refused("no pictures", ("1.txt", Utf8("x")));
        Refused("two files", ("1.png", Png(1)), ("1.jpg", Jpeg(1)));
        Refused("are not consecutive", ("1.png", Png(1)), ("2.png", Png(2)), ("1.txt", Utf8("late")));
        Refused("1.json", ("1.png", Png(1)), ("1.json", Utf8("{")));
        Refused("UTF-8", ("1.png", Png(1)), ("1.cls", [0xff, 0x41]));
        Refused("999999", ("1.png", Png(1)), ("1.cls", Utf8("1000000")));
        Assert.Contains(
            "no shard",
            Assert.Throws<InputException>(() => TarShards.Open([_folder["none.tar"]])).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "braces",
            Assert.Throws<InputException>(() => TarShards.Open([_folder["{3..1}.tar"]])).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<InputException>(() => TarShards.Open([]));
        File.WriteAllBytes(_folder["zip.tar"], [0x1f, 0x8b, 8, 0, .. new byte[600]]);
        Assert.Throws<InputException>(() => TarShards.Open([_folder["zip.tar"]]));
        // One broken picture goes to quarantine without ending the run.
        var source = TarShards.Open([Write("y.tar", TarEntryFormat.Ustar, ("1.png", Utf8("no picture")), ("2.png", Png(2)))]);
        Assert.Contains("1.png", Assert.Throws<InputException>(() => source.Load(0)).Message, StringComparison.Ordinal);
        Assert.Equal(5, source.Load(1).FullWidth);
    }

    [SharedShardsFact]
    public void Real_shards_are_read_and_a_truncated_one_is_reported()
    {
        var folder = SharedShardsFactAttribute.Folder!;
        var source = TarShards.Open([Path.Combine(folder, "shard-{000000..000001}.tar")]);
        Assert.Equal((128, 20), (source.Count, source.Classes.Count));
        for (var k = 0; k < source.Count; k++)
        {
            Assert.False(string.IsNullOrEmpty(source[k].Caption));
            Assert.Equal((128, 128), (source.Load(k).FullWidth, source.Load(k).FullHeight));
        }

        var error = Assert.Throws<InputException>(() => TarShards.Open([Path.Combine(folder, "shard-truncated.tar")]));
        Assert.Contains("truncated in '000031.jpg', after 30 complete samples", error.Message, StringComparison.Ordinal);
    }

    private static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text);

    private static Picture Filled(int value) => Picture.Filled(5, 3, new Rgb((byte)value, 7, 200));

    private static byte[] Png(int value) => PictureFile.Encode(Filled(value), PictureFormat.Png);

    private static byte[] Jpeg(int value) => PictureFile.Encode(Filled(value), PictureFormat.Jpeg);

    private string Write(string name, TarEntryFormat format, params (string Name, byte[] Content)[] files)
    {
        var path = _folder[name];
        using var writer = new TarWriter(File.Create(path), format);
        foreach (var (file, content) in files)
        {
            TarEntry entry = format switch
            {
                TarEntryFormat.V7 => new V7TarEntry(TarEntryType.V7RegularFile, file),
                TarEntryFormat.Ustar => new UstarTarEntry(TarEntryType.RegularFile, file),
                TarEntryFormat.Gnu => new GnuTarEntry(TarEntryType.RegularFile, file),
                _ => new PaxTarEntry(TarEntryType.RegularFile, file),
            };
            entry.DataStream = new MemoryStream(content);
            writer.WriteEntry(entry);
        }

        return path;
    }
}

/// <summary>Test on the shards in the folder given by RETOUCH_SHARED_DATA.</summary>
[AttributeUsage(AttributeTargets.Method)]
[TraitDiscoverer(NeedsDiscoverer.Name, "Retouch.Tests")]
internal sealed class SharedShardsFactAttribute : FactAttribute, ITraitAttribute
{
    public string Needs => "shared";

    public SharedShardsFactAttribute()
    {
        if (Folder is null)
            Skip = "There is no webdataset in the folder that RETOUCH_SHARED_DATA names.";
    }

    public static string? Folder =>
        Environment.GetEnvironmentVariable("RETOUCH_SHARED_DATA") is { Length: > 0 } data
        && Directory.Exists(Path.Combine(data, "webdataset"))
            ? Path.Combine(data, "webdataset")
            : null;
}
