using Parquet;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Data.Tables;
using Retouch.Tests.Goldens;

namespace Retouch.Tests.Data.Tables;

/// <summary>Corrupt Parquet files end with an error that names the file, in little time and memory.</summary>
public sealed class TableGuardTests : IDisposable
{
    private const long MostBytes = 16 << 20;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("pictures.parquet")]
    [InlineData("lists-v2.parquet")]
    public void Truncated_files_are_errors_at_every_length(string golden)
    {
        var whole = Golden(golden);
        for (var length = 0; length < whole.Length; length += 7)
        {
            var message = Refusal(whole[..length]);
            Assert.Matches(length < 12 ? "is not a Parquet file" : "is corrupt or truncated: it does not end with PAR1", message!);
        }
    }

    [Theory]
    [InlineData("pictures.parquet")]
    [InlineData("lists-v1.parquet")]
    [InlineData("dictionary.parquet")]
    public void Changed_bytes_of_footers_are_errors_or_without_effect(string golden)
    {
        var whole = Golden(golden);
        var start = whole.Length - 8 - BitConverter.ToInt32(whole, whole.Length - 8);
        var (tried, refused) = (0, 0);
        // A tenth of the bytes, each with one of three values; bench/fuzz.sh changes any.
        for (var at = start; at < whole.Length; at += 10)
        {
            var value = (tried++ % 3) switch
            {
                0 => (byte)(whole[at] ^ (1 << (tried % 8))),
                1 => (byte)0xFF,
                _ => (byte)0x7F,
            };
            refused += Refusal([.. whole[..at], value, .. whole[(at + 1)..]]) is null ? 0 : 1;
        }

        // Names, statistics and the description of the columns can change.
        Assert.True(refused > tried / 12, $"{refused} of {tried} refused");
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    public void Page_headers_that_claim_more_than_the_file_can_contain_are_errors(int field)
    {
        // The page of the last column: its header can grow without moving others.
        var (bytes, at) = LastPage(CompressionMethod.None);
        Assert.Equal([0x15, 0x00, 0x15], bytes[at..(at + 3)]);
        var end = at + 3;
        if (field == 3)
            end = EndOfNumber(bytes, end) + 1;
        byte[] huge = [.. bytes[..end], 0xFE, 0xFF, 0xFF, 0xFF, 0x0F, .. bytes[EndOfNumber(bytes, end)..]];
        Assert.Contains($"the page at byte {at} claims 2147483647 bytes, but", Refusal(huge));
    }

    [Fact]
    public void Compressed_data_that_claim_more_than_they_can_contain_are_errors()
    {
        var (bytes, at) = LastPage(CompressionMethod.Snappy);
        // The data of the page end at the footer; they begin with their uncompressed size.
        var size = bytes.Length - 8 - BitConverter.ToInt32(bytes, bytes.Length - 8) - (bytes[at + 5] >> 1);
        Assert.Equal(bytes[at + 3] >> 1, bytes[size]);
        new byte[] { 0xFF, 0xFF, 0xFF, 0xFF, 0x07 }.CopyTo(bytes, size);
        Assert.Contains($"the page at byte {at} claims 2147483647 bytes, but at most", Refusal(bytes));
    }

    [Fact]
    public void Blocks_that_claim_more_values_than_any_writer_are_errors()
    {
        var bytes = Golden("lists-v2.parquet");
        // The lengths of the captions: blocks of 2048 values in 8 parts, of 3 values.
        var block = bytes.AsSpan().IndexOf(new byte[] { 0x80, 0x10, 0x08, 0x03 });
        bytes.AsSpan(block, 4).Fill(0xFF);
        Assert.Contains("have no valid blocks", Refusal(bytes));
    }

    [Theory]
    [InlineData(int.MaxValue)]
    [InlineData(-1)]
    [InlineData(1 << 20)]
    public void Footers_longer_than_the_file_are_errors(int length)
    {
        var bytes = Golden("pictures.parquet");
        BitConverter.GetBytes(length).CopyTo(bytes, bytes.Length - 8);
        Assert.Contains($"is corrupt: its footer claims {length} bytes, but", Refusal(bytes));
    }

    [Theory]
    [InlineData(10, 10, "have no rows")]
    [InlineData(1000, 1000, "its columns are not a tree")]
    [InlineData(10, 11, "its columns are not a tree")]
    public void Deep_and_open_schemas_are_errors(int levels, int claimed, string message)
    {
        // Each element has a name and one child; the last is binary.
        byte[] schema =
        [
            .. Enumerable
                .Range(1, levels)
                .SelectMany(k => k < claimed ? (byte[])[0x48, 1, (byte)'a', 0x15, 2, 0] : [0x15, 12, 0x38, 1, (byte)'a', 0]),
        ];
        Assert.Contains(message, Refusal(File([0x15, 2, 0x19, 0xFC, .. Number(levels), .. schema, 0x16, 0, 0x19, 0x0C, 0])));
    }

    [Theory]
    // A list of 2³² − 1 elements; a text of 2³² − 1 bytes; a number without end; a number in place of a text; no name.
    [InlineData(new byte[] { 0x15, 2, 0x19, 0xFC, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F })]
    [InlineData(new byte[] { 0x15, 2, 0x19, 0x1C, 0x48, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F })]
    [InlineData(new byte[] { 0x15, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF })]
    [InlineData(new byte[] { 0x15, 2, 0x19, 0x1C, 0x45, 2, 0, 0x16, 0, 0x19, 0x0C, 0 })]
    [InlineData(new byte[] { 0x15, 2, 0x19, 0x1C, 0, 0x16, 0, 0x19, 0x0C, 0 })]
    public void Structures_that_contradict_the_format_are_errors(byte[] footer) =>
        Assert.Contains("is corrupt: it has no valid structure at byte", Refusal(File(footer)));

    [Fact]
    public void Unknown_structures_are_not_skipped()
    {
        // Field 10 of the footer, a structure with a number.
        var message = Refusal(File([0x15, 2, 0x19, 0x0C, 0x16, 0, 0x19, 0x0C, 0x6C, 0x15, 2, 0, 0]));
        Assert.Contains("uses a feature that is not supported", message);
    }

    [Fact]
    public void Reading_after_the_end_of_the_pages_is_an_error()
    {
        using var file = new BoundedStream(new MemoryStream(new byte[20]), 100) { End = 12 };
        file.Position = 8;
        Assert.Equal(4, file.Read(new byte[8]));
        Assert.Throws<TableFaultException>(() => file.ReadByte());
    }

    /// <summary>Message of the rejection of a file, which names it; null for a readable one.</summary>
    private string? Refusal(byte[] bytes)
    {
        var file = _folder.Add("a.parquet", bytes);
        var before = GC.GetAllocatedBytesForCurrentThread();
        string? message = null;
        try
        {
            IPictureSource source = ParquetPictures.Open([file]);
            for (var k = 0; k < source.Count; k++)
                source.Load(k);
        }
        catch (InputException e)
        {
            Assert.Contains("a.parquet", e.Message);
            message = e.Message;
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MostBytes);
        return message;
    }

    /// <summary>A file with one row, and the position of the page of its caption.</summary>
    private (byte[] Bytes, int At) LastPage(CompressionMethod compression)
    {
        var path = TableFile.Write(
            _folder["one.parquet"],
            [
                [new(1, 0, "abcdefghijklmnopqrstuvwxyz")],
            ],
            compression: compression
        );
        Assert.NotNull(ParquetPictures.Open([path]));
        using var stream = System.IO.File.OpenRead(path);
        var reader = ParquetReader.CreateAsync(stream).GetAwaiter().GetResult();
        var chunk = reader.Metadata!.RowGroups[0].Columns[^1].MetaData!;
        Assert.Equal("text", Assert.Single(chunk.PathInSchema));
        return (System.IO.File.ReadAllBytes(path), (int)chunk.DataPageOffset);
    }

    private static int EndOfNumber(byte[] bytes, int at) => Array.FindIndex(bytes, at, static b => b < 128) + 1;

    private static byte[] Number(int value) => value < 128 ? [(byte)value] : [(byte)(value | 128), (byte)(value >> 7)];

    private static byte[] File(byte[] footer) => [.. "PAR1"u8, .. footer, .. BitConverter.GetBytes(footer.Length), .. "PAR1"u8];

    private static byte[] Golden(string name) => System.IO.File.ReadAllBytes(Path.Combine(GoldenCase.Root(), "parquet", name));
}
