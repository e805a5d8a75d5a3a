using System.Buffers.Binary;
using System.IO.Compression;
using K4os.Compression.LZ4;
using Parquet.Meta;
using Parquet.Schema;
using Snappier;

namespace Retouch.Data.Tables;

/// <summary>
/// Values in delta encoding (DELTA_BINARY_PACKED, DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY): their blocks state a size, which the library
/// allocates. The data of such pages are decompressed for the check, with the library's own packages.
/// </summary>
internal static class DeltaBlocks
{
    // Writers use 32 to 512 values.
    private const int MostValues = 1 << 16;

    /// <summary>Whether an encoding has such blocks.</summary>
    public static bool Has(Encoding encoding) =>
        encoding is Encoding.DELTA_BINARY_PACKED or Encoding.DELTA_LENGTH_BYTE_ARRAY or Encoding.DELTA_BYTE_ARRAY;

    /// <summary>Checks the blocks of a page.</summary>
    /// <param name="page">Page with an encoding for which <see cref="Has"/> is true.</param>
    /// <param name="data">Data of the page as stored.</param>
    /// <param name="codec">Compression.</param>
    /// <param name="field">Column, which determines the levels before the values.</param>
    /// <exception cref="TableFaultException">The blocks are corrupt.</exception>
    public static void Check(Page page, ReadOnlySpan<byte> data, CompressionCodec codec, DataField field)
    {
        data = data[(int)page.Levels..];
        ReadOnlySpan<byte> values = page.IsCompressed ? Decompress(data, codec, (int)page.Uncompressed) : data;
        if (page.Type == PageType.DATA_PAGE)
        {
            foreach (var level in (int[])[field.MaxRepetitionLevel, field.MaxDefinitionLevel])
            {
                // The levels of a page have their length before them.
                var length =
                    level == 0 ? -sizeof(int)
                    : values.Length < sizeof(int) ? -1
                    : BinaryPrimitives.ReadInt32LittleEndian(values);
                if (level > 0 && (length < 0 || length > values.Length - sizeof(int)))
                    throw Fault(page);
                values = values[(length + sizeof(int))..];
            }
        }

        var at = 0;
        var isValid = values.Length == 0 || Pass(values, ref at);
        // Lengths of prefixes, then those of the remaining parts.
        if (isValid && page.Encoding == Encoding.DELTA_BYTE_ARRAY && at < values.Length)
            isValid = Pass(values, ref at);
        if (!isValid)
            throw Fault(page);
    }

    /// <summary>Passes blocks of numbers; false if their header is invalid.</summary>
    private static bool Pass(ReadOnlySpan<byte> values, ref int at)
    {
        if (!Number(values, ref at, out var block) || !Number(values, ref at, out var parts))
            return false;
        if (!Number(values, ref at, out var total) || !Number(values, ref at, out _))
            return false;
        if (total <= 1)
            return true;
        if (parts == 0 || block / parts is 0 or > MostValues || total > int.MaxValue)
            return false;
        var each = (int)(block / parts);
        for (var read = 1L; read < (long)total && at < values.Length; )
        {
            if (!Number(values, ref at, out _))
                return false;
            var widths = values.Slice(at, (int)Math.Min(parts, (ulong)(values.Length - at)));
            at = (int)Math.Min((ulong)at + parts, (ulong)values.Length);
            for (var k = 0; k < widths.Length && read < (long)total; k++, read += each)
                at = (int)Math.Min(at + ((long)widths[k] * ((each + 7) / 8)), values.Length);
        }

        return true;
    }

    private static bool Number(ReadOnlySpan<byte> values, ref int at, out ulong number)
    {
        number = 0;
        for (var shift = 0; shift < 64 && at < values.Length; shift += 7)
        {
            var next = values[at++];
            number |= (ulong)(next & 127) << shift;
            if (next < 128)
                return true;
        }

        return false;
    }

    private static byte[] Decompress(ReadOnlySpan<byte> data, CompressionCodec codec, int most)
    {
        switch (codec)
        {
            case CompressionCodec.UNCOMPRESSED:
                return data.ToArray();
            case CompressionCodec.SNAPPY:
                return Snappy.DecompressToArray(data);
            case CompressionCodec.ZSTD:
                using (var decompressor = new ZstdSharp.Decompressor())
                    return decompressor.Unwrap(data).ToArray();
            case CompressionCodec.LZ4 or CompressionCodec.LZ4_RAW:
                var result = new byte[most];
                var length = LZ4Codec.Decode(data, result);
                return length < 0 ? [] : result[..length];
            case CompressionCodec.GZIP:
                return Decompress(most, new GZipStream(new MemoryStream(data.ToArray()), CompressionMode.Decompress));
            case CompressionCodec.BROTLI:
                return Decompress(most, new BrotliStream(new MemoryStream(data.ToArray()), CompressionMode.Decompress));
            default:
                throw new NotSupportedException();
        }
    }

    private static byte[] Decompress(int most, Stream stream)
    {
        using (stream)
        {
            var result = new byte[most];
            return result[..stream.ReadAtLeast(result, most, throwOnEndOfStream: false)];
        }
    }

    private static TableFaultException Fault(Page page) => new($"is corrupt: the values of {page.Where} have no valid blocks");
}
