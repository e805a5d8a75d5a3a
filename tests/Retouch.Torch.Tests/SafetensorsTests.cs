using System.Buffers.Binary;
using System.Text;
using Retouch.Core.Errors;
using Retouch.Torch.Io;
using Retouch.Torch.Safetensors;

namespace Retouch.Torch.Tests;

public sealed class SafetensorsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-safetensors-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_file_survives_a_round_trip()
    {
        using var scope = TensorScope.Enter();
        var path = Path.Combine(_folder, "a.safetensors");
        var a = Tensor.From([1f, 2, 3, 4, 5, 6], 2, 3);
        var b = Tensor.From([7L, 8]);
        var c = a.To(DType.BFloat16);
        SafetensorsWriter.Write(path, [new("c", c), new("a", a), new("b", b), new("empty", Ops.Empty([0L, 4]))]);
        Tensor again;
        using (var file = SafetensorsFile.Open(path))
        {
            Assert.Equal(
                ["b", "a", "empty", "c"],
                file.Entries.Values.OrderBy(static e => e.Offset).ThenBy(static e => e.Length).Select(static e => e.Name)
            );
            Assert.Equal("pt", file.Metadata["format"]);
            Assert.Equal([2L, 3], file.ShapeOf("a"));
            Assert.Equal(c.Bytes().ToArray(), file.Read("c").Bytes().ToArray());
            Assert.Equal([7L, 8], file.Read("b").ToArray<long>());
            Assert.Equal([0L, 4], file.Read("empty").Shape);
            again = file.Read("a");
        }

        // The mapping outlives the file object while a tensor uses it.
        Assert.Equal(a.ToArray<float>(), again.ToArray<float>());
        Assert.Empty(Directory.GetFiles(_folder, "*.tmp"));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(24)]
    [InlineData(100)]
    public void Chunks_of_any_size_give_the_same_bytes(int piece)
    {
        using var scope = TensorScope.Enter();
        var tensor = Tensor.From([1f, 2, 3, 4, 5, 6], 2, 3);
        using var stream = new MemoryStream();
        tensor.WriteTo(stream, piece);
        Assert.Equal(tensor.Bytes().ToArray(), stream.ToArray());
        var path = Path.Combine(_folder, "raw");
        File.WriteAllBytes(path, [9, 9, 9, .. stream.ToArray()]);
        var file = new MappedFile(path);
        Assert.Equal(tensor.ToArray<float>(), file.Copy(3, [2, 3], DType.Float32, piece).ToArray<float>());
        file.Release();
        Assert.Throws<InvalidOperationException>(() => tensor.T().WriteTo(stream, piece));
    }

    [Fact]
    public void Tensors_of_more_than_two_gibibytes_are_written_and_read()
    {
        // Untouched memory, and a sparse file, take almost no space.
        const long Count = (1L << 31) + 7;
        using var scope = TensorScope.Enter();
        var large = Ops.Empty([Count], dtype: DType.UInt8);
        large.Narrow(0, Count - 3, 3).FillInPlace(5);
        var tail = new Tail();
        large.WriteTo(tail);
        Assert.Equal(Count, tail.Length);
        Assert.Equal([5, 5, 5], tail.Last[^3..]);
        Assert.Throws<InvalidOperationException>(() => large.Bytes().Length);
        large.Dispose();

        var path = Path.Combine(_folder, "large.safetensors");
        var header = Encoding.UTF8.GetBytes($$$"""{"a":{"dtype":"U8","shape":[{{{Count}}}],"data_offsets":[0,{{{Count}}}]}}""");
        using (var stream = File.Create(path))
        {
            stream.Write([.. BitConverter.GetBytes((long)header.Length), .. header]);
            stream.SetLength(8 + header.Length + Count);
            stream.Position = 8 + header.Length + Count - 3;
            stream.Write([7, 8, 9]);
        }

        using var file = SafetensorsFile.Open(path);
        Assert.Equal([0f, 7, 8, 9], file.Read("a").Narrow(0, Count - 4, 4).ToArray<float>());
    }

    [Theory]
    [InlineData("{}", 4, "are unused")]
    [InlineData("[]", 0, "not a JSON object")]
    [InlineData("{\"a\":", 0, "not valid JSON")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "lacks")]
    [InlineData("{\"a\":{\"dtype\":\"F8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4, "unsupported element type F8. Save it as")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "needs 8 bytes")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "has size -1")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4611686018427387904],\"data_offsets\":[0,4]}}", 4, "impossible")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, "truncated")]
    [InlineData(
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
        6,
        "overlaps"
    )]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}", 4, "are unused")]
    [InlineData(
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}",
        4,
        "twice"
    )]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1, "9 dimensions")]
    public void A_hostile_header_is_refused_with_its_reason(string json, int dataBytes, string reason)
    {
        var path = Path.Combine(_folder, "bad.safetensors");
        var header = Encoding.UTF8.GetBytes(json);
        var bytes = new byte[8 + header.Length + dataBytes];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, header.Length);
        header.CopyTo(bytes, 8);
        File.WriteAllBytes(path, bytes);
        var error = Assert.Throws<InputException>(() => SafetensorsFile.Open(path));
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(8)]
    public void A_file_with_a_truncated_header_is_rejected(int length)
    {
        var path = Path.Combine(_folder, "short.safetensors");
        File.WriteAllBytes(path, Enumerable.Repeat((byte)255, length).ToArray());
        Assert.Throws<InputException>(() => SafetensorsFile.Open(path));
        Assert.Throws<InputException>(() => SafetensorsFile.Open(Path.Combine(_folder, "missing.safetensors")));
    }

    /// <summary>Counts written bytes and keeps the last ones.</summary>
    private sealed class Tail : Stream
    {
        private long _length;

        public byte[] Last { get; private set; } = [];

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => _length;

        public override long Position
        {
            get => _length;
            set => throw new NotSupportedException();
        }

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            _length += buffer.Length;
            Last = buffer[^Math.Min(16, buffer.Length)..].ToArray();
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush() { }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
