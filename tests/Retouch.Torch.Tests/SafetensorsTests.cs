using System.Buffers.Binary;
using System.Text;
using Retouch.Torch.Errors;
using Retouch.Torch.Safetensors;

namespace Retouch.Torch.Tests;

public sealed class SafetensorsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-safetensors-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void What_is_written_is_read_back_byte_for_byte()
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
            Assert.Equal(["b", "a", "empty", "c"], file.Entries.Values.OrderBy(static e => e.Offset).ThenBy(static e => e.Length).Select(static e => e.Name));
            Assert.Equal("pt", file.Metadata["format"]);
            Assert.Equal([2L, 3], file.ShapeOf("a"));
            Assert.Equal(c.Bytes().ToArray(), file.Read("c").Bytes().ToArray());
            Assert.Equal([7L, 8], file.Read("b").ToArray<long>());
            Assert.Equal([0L, 4], file.Read("empty").Shape);
            again = file.Read("a");
        }

        // The mapping outlives the file object as long as a tensor uses it.
        Assert.Equal(a.ToArray<float>(), again.ToArray<float>());
        Assert.Empty(Directory.GetFiles(_folder, "*.tmp"));
    }

    [Theory]
    [InlineData("{}", 4, "belong to nothing")]
    [InlineData("[]", 0, "no JSON object")]
    [InlineData("{\"a\":", 0, "not valid JSON")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "lacks")]
    [InlineData("{\"a\":{\"dtype\":\"F8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4, "not supported")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "needs 8 bytes")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "has size -1")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4611686018427387904],\"data_offsets\":[0,4]}}", 4, "impossible")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, "cut short")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}", 6, "overlaps")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}", 4, "belong to nothing")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[2,4]}}", 4, "twice")]
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
    public void A_file_without_a_whole_header_is_refused(int length)
    {
        var path = Path.Combine(_folder, "short.safetensors");
        File.WriteAllBytes(path, Enumerable.Repeat((byte)255, length).ToArray());
        Assert.Throws<InputException>(() => SafetensorsFile.Open(path));
        Assert.Throws<InputException>(() => SafetensorsFile.Open(Path.Combine(_folder, "missing.safetensors")));
    }
}
