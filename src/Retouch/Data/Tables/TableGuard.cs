using System.Buffers.Binary;
using System.Globalization;
using Parquet.Meta;
using Parquet.Schema;

namespace Retouch.Data.Tables;

/// <summary>
/// Checks of a Parquet file before the library reads it: claims of sizes are bounded by the file's length and by what its compression can
/// achieve, so that a corrupt file takes neither much time nor much memory.
/// </summary>
internal sealed class TableGuard
{
    private const int TailBytes = 8;
    private const int DeepestSchema = 64;
    private const uint ZstandardMagic = 0xFD2FB528;

    // Longest header of a Zstandard frame.
    private const int HeaderBytes = 18;

    private readonly BoundedStream _file;
    private readonly long _footer;

    private TableGuard(BoundedStream file, long footer) => (_file, _footer) = (file, footer);

    /// <summary>Largest possible number of rows: each has a picture, of more than a byte.</summary>
    public long MostRows => _file.Length;

    /// <summary>Checks the footer of a file.</summary>
    /// <param name="file">File.</param>
    /// <exception cref="TableFaultException">The file is corrupt.</exception>
    /// <exception cref="NotSupportedException">The footer has structures of a newer format.</exception>
    public static TableGuard Of(BoundedStream file)
    {
        if (file.Length < 4 + TailBytes || !HasMagic(file, 0))
            throw new TableFaultException("is not a Parquet file: it does not begin with PAR1");
        if (!HasMagic(file, file.Length - 4))
            throw new TableFaultException("is corrupt or truncated: it does not end with PAR1");
        var length = BinaryPrimitives.ReadInt32LittleEndian(Read(file, file.Length - TailBytes, sizeof(int)));
        var start = file.Length - TailBytes - length;
        if (length < 0 || start < 4)
            throw Claim("its footer", length, file.Length);
        var children = new List<long>();
        file.Position = start;
        new ThriftScan(
            file,
            file.Length - TailBytes,
            (name, field, value) =>
            {
                if (name == nameof(SchemaElement) && field == 0)
                    children.Add(0);
                else if (name == nameof(SchemaElement) && field == 5)
                    children[^1] = value;
            }
        ).Check(nameof(FileMetaData));
        CheckSchema(children);
        return new(file, start);
    }

    /// <summary>Checks the pages of a column in a row group; the file can then be read up to the end of the last one.</summary>
    /// <param name="field">The column.</param>
    /// <param name="chunk">The column's part of the footer.</param>
    /// <exception cref="TableFaultException">The file is corrupt.</exception>
    public void Open(DataField field, ColumnMetaData chunk)
    {
        if (chunk.NumValues < 0 || chunk.NumValues > _file.Length)
            throw Claim("a column", chunk.NumValues, _file.Length, "values");
        _file.End = _footer;
        long[] offsets = [chunk.DictionaryPageOffset ?? 0, chunk.DataPageOffset, chunk.IndexPageOffset ?? 0];
        var at = offsets.Where(static o => o != 0).DefaultIfEmpty(-1).Min();
        var values = 0L;
        while (values < chunk.NumValues)
        {
            if (at < 4 || at >= _footer)
                throw new TableFaultException("is corrupt: it has no page at byte " + at.ToString(CultureInfo.InvariantCulture));
            var page = Page.Read(_file, at, _footer);
            values += Check(page, field, chunk, chunk.NumValues - values);
            at = page.Data + page.Compressed;
        }

        _file.End = Math.Clamp(at, 0, _footer);
    }

    /// <summary>The schema is a tree in preorder, described by the number of children of each element.</summary>
    private static void CheckSchema(List<long> children)
    {
        var open = new Stack<long>([1]);
        foreach (var count in children)
        {
            while (open.TryPeek(out var left) && left == 0)
                open.Pop();
            if (open.Count is 0 or > DeepestSchema || count < 0)
                throw Schema();
            open.Push(open.Pop() - 1);
            open.Push(count);
        }

        if (open.Any(static left => left > 0))
            throw Schema();
    }

    private static TableFaultException Schema() => new("is corrupt: its columns are not a tree of at most 64 levels");

    /// <summary>Checks the claims of a page; returns its number of values.</summary>
    private long Check(Page page, DataField field, ColumnMetaData chunk, long most)
    {
        var bytes = Math.Min(MostBytes(chunk.Codec, page.Compressed), chunk.TotalUncompressedSize);
        if (page.Uncompressed < 0 || page.Uncompressed > bytes)
            throw Claim(page.Where, page.Uncompressed, bytes);
        if (page.IsCompressed && ContentSize(page, chunk.Codec) is var content && content > bytes)
            throw Claim(page.Where, content, bytes);
        if (page.Type == PageType.DICTIONARY_PAGE)
            return page.Values >= 0 && page.Values <= page.Uncompressed ? 0 : throw Claim(page.Where, page.Values, page.Uncompressed);
        if (DeltaBlocks.Has(page.Encoding))
        {
            if (!chunk.Encodings.Contains(page.Encoding))
                throw new TableFaultException($"is corrupt: {page.Where} has another encoding than its column");
            DeltaBlocks.Check(page, Read(_file, page.Data, (int)page.Compressed), chunk.Codec, field);
        }

        return page.Values >= 0 && page.Values <= most && page.Nulls >= 0 && page.Nulls <= page.Values
            ? page.Values
            : throw Claim(page.Where, page.Values, most, "values");
    }

    /// <summary>Largest size of data with a given compressed size.</summary>
    private static long MostBytes(CompressionCodec codec, long compressed) =>
        codec switch
        {
            CompressionCodec.UNCOMPRESSED => compressed,
            // A copy of 64 bytes takes 3.
            CompressionCodec.SNAPPY => (22 * compressed) + 64,
            // A match of 258 bytes takes 2 bits.
            CompressionCodec.GZIP => (1032 * compressed) + 64,
            CompressionCodec.LZ4 or CompressionCodec.LZ4_RAW => (255 * compressed) + 64,
            // A block of 128 KiB takes 4 bytes.
            CompressionCodec.ZSTD => 32768 * (compressed + 1),
            _ => long.MaxValue,
        };

    /// <summary>The size that the compressed data state, which the library allocates; 0 if they state none.</summary>
    private long ContentSize(Page page, CompressionCodec codec)
    {
        var bytes = (int)Math.Min(HeaderBytes, page.Compressed - page.Levels);
        byte[] start = [.. Read(_file, page.Data + page.Levels, bytes), .. new byte[HeaderBytes - bytes]];
        if (codec == CompressionCodec.SNAPPY)
        {
            var size = 0L;
            for (var k = 0; k < 5; k++)
            {
                size |= (long)(start[k] & 127) << (7 * k);
                if (start[k] < 128)
                    break;
            }

            return size;
        }

        // RFC 8878, 3.1.1.1: descriptor, window unless there is a single segment, dictionary, content size.
        if (codec != CompressionCodec.ZSTD || bytes == 0)
            return 0;
        if (BinaryPrimitives.ReadUInt32LittleEndian(start) != ZstandardMagic)
            throw new TableFaultException($"is corrupt: {page.Where} is not compressed as its column");
        var isSingle = (start[4] & 32) != 0;
        var rest = start.AsSpan(5 + (isSingle ? 0 : 1) + ((start[4] & 3) is 3 and var four ? four + 1 : start[4] & 3));
        return (start[4] >> 6) switch
        {
            0 => isSingle ? rest[0] : 0,
            1 => BinaryPrimitives.ReadUInt16LittleEndian(rest) + 256,
            2 => BinaryPrimitives.ReadUInt32LittleEndian(rest),
            _ => (long)Math.Min(BinaryPrimitives.ReadUInt64LittleEndian(rest), long.MaxValue),
        };
    }

    private static bool HasMagic(Stream file, long at) => Read(file, at, 4).AsSpan().SequenceEqual("PAR1"u8);

    private static byte[] Read(Stream file, long at, int count)
    {
        var bytes = new byte[count];
        file.Position = at;
        file.ReadExactly(bytes);
        return bytes;
    }

    private static TableFaultException Claim(string what, long claim, long most, string unit = "bytes") =>
        new(string.Create(CultureInfo.InvariantCulture, $"is corrupt: {what} claims {claim} {unit}, but at most {most} are possible"));
}
