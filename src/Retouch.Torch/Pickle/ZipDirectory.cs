using System.Buffers.Binary;
using System.Text;
using Retouch.Torch.Io;

namespace Retouch.Torch.Pickle;

/// <summary>
/// Locates the entries of a zip archive (PKWARE's APPNOTE, with its 64-bit extensions). Only uncompressed entries can be mapped;
/// PyTorch stores all entries uncompressed. <c>ZipArchive</c> does not expose the offsets.
/// </summary>
internal static class ZipDirectory
{
    private const uint EndSignature = 0x06054b50;
    private const uint End64Signature = 0x06064b50;
    private const uint Locator64Signature = 0x07064b50;
    private const uint EntrySignature = 0x02014b50;
    private const uint LocalSignature = 0x04034b50;
    private const int EndLength = 22;
    private const int LocatorLength = 20;
    private const int End64Length = 56;
    private const int EntryLength = 46;
    private const int LocalLength = 30;

    /// <summary>Data offset and length by entry name; null for compressed entries.</summary>
    /// <exception cref="PickleException">The archive is corrupt.</exception>
    public static Dictionary<string, (long Offset, long Length)?> Read(MappedFile file)
    {
        var (position, end, count) = FindDirectory(file);
        var entries = new Dictionary<string, (long, long)?>(StringComparer.Ordinal);
        for (var k = 0L; k < count; k++)
        {
            var entry = Part(file, position, EntryLength, end);
            Expect(entry, EntrySignature);
            var (nameLength, extraLength, commentLength) = (Short(entry, 28), Short(entry, 30), Short(entry, 32));
            var tail = Part(file, position + EntryLength, nameLength + extraLength, end);
            var name = Encoding.UTF8.GetString(tail[..nameLength]);
            var (stored, length, local) = Sizes(entry, tail[nameLength..]);
            var isStored = Short(entry, 10) == 0 && (Short(entry, 8) & 1) == 0 && stored == length;
            if (!entries.TryAdd(name, isStored ? (DataStart(file, local, length), length) : null))
                throw new PickleException($"its archive has '{name}' twice");
            position += EntryLength + nameLength + extraLength + commentLength;
        }

        return entries;
    }

    private static (long Position, long End, long Count) FindDirectory(MappedFile file)
    {
        var at = FindEnd(file);
        var record = Part(file, at, EndLength, file.Length);
        var count = (long)BinaryPrimitives.ReadUInt16LittleEndian(record[10..]);
        var size = (long)BinaryPrimitives.ReadUInt32LittleEndian(record[12..]);
        var start = (long)BinaryPrimitives.ReadUInt32LittleEndian(record[16..]);
        if (
            at >= LocatorLength
            && Part(file, at - LocatorLength, LocatorLength, at) is var locator
            && BinaryPrimitives.ReadUInt32LittleEndian(locator) == Locator64Signature
        )
        {
            var large = Part(file, BinaryPrimitives.ReadInt64LittleEndian(locator[8..]), End64Length, at);
            Expect(large, End64Signature);
            (count, size, start) = (
                BinaryPrimitives.ReadInt64LittleEndian(large[32..]),
                BinaryPrimitives.ReadInt64LittleEndian(large[40..]),
                BinaryPrimitives.ReadInt64LittleEndian(large[48..])
            );
        }

        if (start < 0 || size < 0 || start > at || size > at - start || count < 0 || count > size / EntryLength)
            throw new PickleException("its archive directory is out of bounds; the file is truncated or was modified");
        return (start, start + size, count);
    }

    /// <summary>Finds the end record, which precedes a comment of at most 64 KiB at the end of the file.</summary>
    private static long FindEnd(MappedFile file)
    {
        var from = Math.Max(0, file.Length - EndLength - ushort.MaxValue);
        var tail = file.Slice(from, (int)(file.Length - from));
        for (var k = tail.Length - EndLength; k >= 0; k--)
        {
            if (BinaryPrimitives.ReadUInt32LittleEndian(tail[k..]) == EndSignature)
                return from + k;
        }

        throw new PickleException("its archive has no end record; the file is truncated");
    }

    /// <summary>
    /// Stored length, original length and offset of the local header; values that exceed 32 bits are in extra field 1.
    /// </summary>
    private static (long Stored, long Length, long Local) Sizes(ReadOnlySpan<byte> entry, ReadOnlySpan<byte> extra)
    {
        Span<long> values =
        [
            BinaryPrimitives.ReadUInt32LittleEndian(entry[24..]),
            BinaryPrimitives.ReadUInt32LittleEndian(entry[20..]),
            BinaryPrimitives.ReadUInt32LittleEndian(entry[42..]),
        ];
        while (extra.Length >= 4)
        {
            var (id, size) = (BinaryPrimitives.ReadUInt16LittleEndian(extra), BinaryPrimitives.ReadUInt16LittleEndian(extra[2..]));
            if (size > extra.Length - 4)
                break;
            var field = extra.Slice(4, size);
            for (var k = 0; id == 1 && k < values.Length; k++)
            {
                if (values[k] != uint.MaxValue || field.Length < 8)
                    continue;
                values[k] = BinaryPrimitives.ReadInt64LittleEndian(field);
                field = field[8..];
            }

            extra = extra[(4 + size)..];
        }

        return (values[1], values[0], values[2]);
    }

    private static long DataStart(MappedFile file, long local, long length)
    {
        var header = Part(file, local, LocalLength, file.Length);
        Expect(header, LocalSignature);
        var start =
            local
            + LocalLength
            + BinaryPrimitives.ReadUInt16LittleEndian(header[26..])
            + BinaryPrimitives.ReadUInt16LittleEndian(header[28..]);
        if (length < 0 || start > file.Length || length > file.Length - start)
            throw new PickleException("an entry of its archive is out of bounds; the file is truncated or was modified");
        return start;
    }

    private static int Short(ReadOnlySpan<byte> record, int at) => BinaryPrimitives.ReadUInt16LittleEndian(record[at..]);

    private static ReadOnlySpan<byte> Part(MappedFile file, long offset, int length, long end) =>
        offset >= 0 && offset <= end && length <= end - offset
            ? file.Slice(offset, length)
            : throw new PickleException("its archive directory is corrupt; the file is truncated or was modified");

    private static void Expect(ReadOnlySpan<byte> record, uint signature)
    {
        if (BinaryPrimitives.ReadUInt32LittleEndian(record) != signature)
            throw new PickleException("its archive directory is corrupt");
    }
}
