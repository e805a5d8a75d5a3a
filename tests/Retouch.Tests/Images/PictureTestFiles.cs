using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Retouch.Images;

namespace Retouch.Tests.Images;

/// <summary>Pictures and picture files, written byte by byte where the product does not write such files.</summary>
internal static class PictureTestFiles
{
    /// <summary>Smooth enough for JPEG, different at every corner.</summary>
    public static Picture Gradient(int width, int height)
    {
        var picture = new Picture(width, height);
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
                picture[x, y] = new Rgb(
                    (byte)(20 + 200 * x / width),
                    (byte)(30 + 190 * y / height),
                    (byte)(60 + 80 * (x + y) / (width + height))
                );
        }

        return picture;
    }

    /// <summary>A PNG of any colour type and depth from packed rows without filters.</summary>
    public static byte[] Png(int width, int height, int depth, int colorType, byte[] rows, params (string Type, byte[] Data)[] extra)
    {
        var stride = rows.Length / height;
        using var raw = new MemoryStream();
        using (var zlib = new ZLibStream(raw, CompressionLevel.Fastest, leaveOpen: true))
        {
            for (var y = 0; y < height; y++)
            {
                zlib.WriteByte(0);
                zlib.Write(rows, y * stride, stride);
            }
        }

        using var png = new MemoryStream();
        png.Write([0x89, (byte)'P', (byte)'N', (byte)'G', 13, 10, 26, 10]);
        var header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[9]) = ((byte)depth, (byte)colorType);
        Chunk(png, "IHDR", header);
        foreach (var (type, data) in extra)
            Chunk(png, type, data);
        Chunk(png, "IDAT", raw.ToArray());
        Chunk(png, "IEND", []);
        return png.ToArray();
    }

    /// <summary>Data of an iCCP chunk: name, compression method, deflated profile.</summary>
    public static byte[] ProfileChunk(byte[] profile)
    {
        using var chunk = new MemoryStream();
        chunk.Write("test\0\0"u8);
        using (var zlib = new ZLibStream(chunk, CompressionLevel.Fastest, leaveOpen: true))
            zlib.Write(profile);
        return chunk.ToArray();
    }

    /// <summary>A version 2 display profile with sRGB primaries (D50) and a power function as its curve.</summary>
    public static byte[] GammaProfile(double gamma, string description)
    {
        static byte[] Xyz(double x, double y, double z)
        {
            var tag = new byte[20];
            "XYZ "u8.CopyTo(tag);
            BinaryPrimitives.WriteInt32BigEndian(tag.AsSpan(8), (int)Math.Round(x * 65536));
            BinaryPrimitives.WriteInt32BigEndian(tag.AsSpan(12), (int)Math.Round(y * 65536));
            BinaryPrimitives.WriteInt32BigEndian(tag.AsSpan(16), (int)Math.Round(z * 65536));
            return tag;
        }

        var curve = new byte[16];
        "curv"u8.CopyTo(curve);
        BinaryPrimitives.WriteInt32BigEndian(curve.AsSpan(8), 1);
        BinaryPrimitives.WriteUInt16BigEndian(curve.AsSpan(12), (ushort)Math.Round(gamma * 256));
        var words = Encoding.ASCII.GetBytes(description);
        var text = new byte[(90 + words.Length + 1 + 3) / 4 * 4];
        "desc"u8.CopyTo(text);
        BinaryPrimitives.WriteInt32BigEndian(text.AsSpan(8), words.Length + 1);
        words.CopyTo(text, 12);

        (string Name, byte[] Data)[] tags =
        [
            ("desc", text),
            ("wtpt", Xyz(0.9642, 1.0, 0.8249)),
            ("rXYZ", Xyz(0.43607, 0.22249, 0.01392)),
            ("gXYZ", Xyz(0.38515, 0.71687, 0.09708)),
            ("bXYZ", Xyz(0.14307, 0.06061, 0.71410)),
            ("rTRC", curve),
            ("gTRC", curve),
            ("bTRC", curve),
        ];
        var start = 132 + 12 * tags.Length;
        var profile = new byte[start + tags.Sum(t => t.Data.Length)];
        BinaryPrimitives.WriteInt32BigEndian(profile, profile.Length);
        profile[8] = 2;
        "mntrRGB XYZ "u8.CopyTo(profile.AsSpan(12));
        "acsp"u8.CopyTo(profile.AsSpan(36));
        Xyz(0.9642, 1.0, 0.8249).AsSpan(8).CopyTo(profile.AsSpan(68));
        BinaryPrimitives.WriteInt32BigEndian(profile.AsSpan(128), tags.Length);
        for (var i = 0; i < tags.Length; i++)
        {
            var entry = profile.AsSpan(132 + 12 * i);
            Encoding.ASCII.GetBytes(tags[i].Name).CopyTo(entry);
            BinaryPrimitives.WriteInt32BigEndian(entry[4..], start);
            BinaryPrimitives.WriteInt32BigEndian(entry[8..], tags[i].Data.Length);
            tags[i].Data.CopyTo(profile, start);
            start += tags[i].Data.Length;
        }

        return profile;
    }

    /// <summary>The JPEG with an EXIF segment that contains only the orientation.</summary>
    public static byte[] WithOrientation(byte[] jpeg, int orientation)
    {
        byte[] exif =
        [
            0xFF,
            0xE1,
            0,
            34,
            (byte)'E',
            (byte)'x',
            (byte)'i',
            (byte)'f',
            0,
            0,
            (byte)'M',
            (byte)'M',
            0,
            42,
            0,
            0,
            0,
            8,
            0,
            1,
            0x01,
            0x12,
            0,
            3,
            0,
            0,
            0,
            1,
            0,
            (byte)orientation,
            0,
            0,
            0,
            0,
            0,
            0,
        ];
        return [.. jpeg.AsSpan(0, 2), .. exif, .. jpeg.AsSpan(2)];
    }

    /// <summary>An uncompressed little-endian TIFF of one strip with 8-bit samples.</summary>
    public static byte[] Tiff(int width, int height, int samples, int photometric, byte[] pixels)
    {
        (ushort Tag, ushort Type, int Count, int Value)[] entries =
        [
            (256, 3, 1, width),
            (257, 3, 1, height),
            (258, 3, samples, 8 + 2 + 12 * 9 + 4),
            (259, 3, 1, 1),
            (262, 3, 1, photometric),
            (273, 4, 1, 8 + 2 + 12 * 9 + 4 + 2 * samples),
            (277, 3, 1, samples),
            (278, 3, 1, height),
            (279, 4, 1, pixels.Length),
        ];
        using var tiff = new MemoryStream();
        using var writer = new BinaryWriter(tiff);
        writer.Write("II*\0"u8);
        writer.Write(8);
        writer.Write((ushort)entries.Length);
        foreach (var (tag, type, count, value) in entries)
        {
            writer.Write(tag);
            writer.Write(type);
            writer.Write(count);
            writer.Write(value);
        }

        writer.Write(0);
        for (var i = 0; i < samples; i++)
            writer.Write((ushort)8);
        writer.Write(pixels);
        return tiff.ToArray();
    }

    /// <summary>An uncompressed bitmap; <paramref name="rows"/> are in file order.</summary>
    public static byte[] Bmp(int width, int height, int bits, byte[] rows, byte[]? palette = null, uint compression = 0)
    {
        palette ??= [];
        var bmp = new byte[54 + palette.Length + rows.Length];
        "BM"u8.CopyTo(bmp);
        BinaryPrimitives.WriteInt32LittleEndian(bmp.AsSpan(2), bmp.Length);
        BinaryPrimitives.WriteInt32LittleEndian(bmp.AsSpan(10), 54 + palette.Length);
        BinaryPrimitives.WriteInt32LittleEndian(bmp.AsSpan(14), 40);
        BinaryPrimitives.WriteInt32LittleEndian(bmp.AsSpan(18), width);
        BinaryPrimitives.WriteInt32LittleEndian(bmp.AsSpan(22), height);
        bmp[26] = 1;
        bmp[28] = (byte)bits;
        BinaryPrimitives.WriteUInt32LittleEndian(bmp.AsSpan(30), compression);
        BinaryPrimitives.WriteInt32LittleEndian(bmp.AsSpan(46), palette.Length / 4);
        palette.CopyTo(bmp, 54);
        rows.CopyTo(bmp, 54 + palette.Length);
        return bmp;
    }

    private static void Chunk(MemoryStream png, string type, byte[] data)
    {
        Span<byte> number = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(number, data.Length);
        png.Write(number);
        byte[] body = [.. Encoding.ASCII.GetBytes(type), .. data];
        png.Write(body);
        BinaryPrimitives.WriteUInt32BigEndian(number, Crc(body));
        png.Write(number);
    }

    // CRC-32 of ISO 3309, bit by bit, since files are small.
    private static uint Crc(ReadOnlySpan<byte> data)
    {
        var crc = uint.MaxValue;
        foreach (var b in data)
        {
            crc ^= b;
            for (var bit = 0; bit < 8; bit++)
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB88320 : crc >> 1;
        }

        return ~crc;
    }
}
