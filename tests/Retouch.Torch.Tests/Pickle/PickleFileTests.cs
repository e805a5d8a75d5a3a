using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Torch.Nn;
using Retouch.Torch.Pickle;

namespace Retouch.Torch.Tests.Pickle;

/// <summary>Checkpoints written by PyTorch 1.13 in both formats; objects other than tensors are rejected by name and never
/// executed.</summary>
public sealed class PickleFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("retouch-pickle-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("dtypes_strides.pth")]
    [InlineData("dtypes_strides_stream.bin")]
    [InlineData("nested.ckpt")]
    public void Types_and_strides_equal_PyTorchs(string name)
    {
        using var scope = TensorScope.Enter();
        using var file = PickleFile.Open(Golden(name));
        var expected = JsonNode.Parse(File.ReadAllText(Golden("case.json")))!.AsObject();
        Assert.Equal(expected.Select(static p => p.Key).Order(StringComparer.Ordinal), file.Names.Order(StringComparer.Ordinal));
        foreach (var (key, node) in expected)
        {
            Assert.Equal(node!["dtype"]!.GetValue<string>(), file.DTypeOf(key).ToString().ToLowerInvariant());
            Assert.Equal(node["shape"]!.AsArray().Select(static v => (long)v!), file.ShapeOf(key));
            foreach (var tensor in new[] { file.Read(key), file.ReadOwned(key) })
            {
                Assert.Equal(file.ShapeOf(key), tensor.Shape);
                Assert.Equal(file.DTypeOf(key), tensor.DType);
                Assert.Equal(node["values"]!.AsArray().Select(static v => (double)v!), tensor.ToArray<double>());
            }
        }
    }

    [Fact]
    public void Tensors_outlive_their_file()
    {
        using var scope = TensorScope.Enter();
        Tensor shared,
            owned;
        using (var file = PickleFile.Open(Golden("dtypes_strides.pth")))
        {
            shared = file.Read("float32");
            owned = file.ReadOwned("float32");
        }

        owned.FillInPlace(7);
        Assert.Equal(-1, shared.ToArray<float>()[0]);
        Assert.Throws<ObjectDisposedException>(() => Closed().Read("float32"));

        static PickleFile Closed()
        {
            var file = PickleFile.Open(Golden("dtypes_strides.pth"));
            file.Dispose();
            return file;
        }
    }

    [Fact]
    public void Objects_other_than_tensors_are_rejected_by_name() =>
        Assert.Contains("argparse.Namespace", Refused(Golden("foreign.pt")), StringComparison.Ordinal);

    [Theory]
    [InlineData("posix", "system")]
    [InlineData("builtins", "eval")]
    [InlineData("torch", "load")]
    public void Executable_names_are_rejected(string module, string name)
    {
        // Output of `pickle` for an object that calls posix.system: the classic attack.
        var program = $"\u0080\u0002c{module}\n{name}\nX\u0004\u0000\u0000\u0000true\u0085R.";
        Assert.Contains($"{module}.{name}", Refused(Archive(Encoding.Latin1.GetBytes(program))), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "ends within an opcode")]
    [InlineData("\u0080\u0002.", "stack is empty")]
    [InlineData("\u0080\u0002(.", "stack is empty")]
    [InlineData("\u0080\u0002t.", "mark")]
    [InlineData("\u0080\u0002K\u0001.", "no dictionary")]
    [InlineData("\u0080\u0002}.", "no named tensors")]
    [InlineData("\u0080\u0002h\u0005.", "never written")]
    [InlineData("\u0080\u0002}K\u0001K\u0002K\u0003u.", "mark")]
    [InlineData("\u0080\u0002X\u00ff\u00ff\u00ff\u007f.", "ends within an opcode")]
    [InlineData("\u0080\u0002\u008b\u00ff\u00ff\u00ff\u00ff.", "ends within an opcode")]
    [InlineData("\u0080\u0002\u00f1.", "0xf1")]
    [InlineData("\u0080\u0002K\u0001)R.", "not a global")]
    [InlineData("\u0080\u0002ctorch\nFloatStorage\n)R.", "torch.FloatStorage is called")]
    public void A_broken_program_is_rejected_with_the_reason(string program, string expected) =>
        Assert.Contains(expected, Refused(Archive(Encoding.Latin1.GetBytes(program))), StringComparison.Ordinal);

    [Theory]
    [InlineData("K\u0000", "K\u0004\u0085", "K\u0001\u0085", null)]
    [InlineData("\u008a\u0001\u0000", "\u008a\u0001\u0004\u0085", "K\u0001\u0085", null)]
    [InlineData("K\u0000", "K\u0005\u0085", "K\u0001\u0085", "reaches to element 4")]
    [InlineData("K\u0001", "K\u0004\u0085", "K\u0001\u0085", "reaches to element 4")]
    [InlineData("K\u0000", "J\u00ff\u00ff\u00ff\u007f\u0085", "K\u0000\u0085", "repeats")]
    [InlineData("K\u0000", "J\u00ff\u00ff\u00ff\u00ff\u0085", "K\u0001\u0085", "whole numbers")]
    [InlineData("K\u0000", "K\u0002\u0085", "K\u0001K\u0001\u0086", "1 sizes, 2 strides")]
    [InlineData(
        "K\u0000",
        "\u008a\u0008\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u007f\u008a\u0008\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u007f\u0086",
        "K\u0000K\u0000\u0086",
        "impossible"
    )]
    public void A_tensor_cannot_reach_outside_its_storage(string offset, string size, string stride, string? expected)
    {
        var path = Archive(Encoding.Latin1.GetBytes(Tensor("K\u0004", offset, size, stride)), new byte[16]);
        if (expected is null)
        {
            using var file = PickleFile.Open(path);
            Assert.Equal([4], file.ShapeOf("w"));
            return;
        }

        Assert.Contains(expected, Refused(path), StringComparison.Ordinal);
    }

    [Fact]
    public void Storages_of_another_length_or_compressed_are_rejected()
    {
        var program = Encoding.Latin1.GetBytes(Tensor("K\u0004", "K\u0000", "K\u0004\u0085", "K\u0001\u0085"));
        Assert.Contains("claims 4 elements in 12 bytes", Refused(Archive(program, new byte[12])), StringComparison.Ordinal);
        Assert.Contains("storage 0) are missing", Refused(Archive(program)), StringComparison.Ordinal);
        Assert.Contains("is compressed", Refused(Archive(program, new byte[4096], CompressionLevel.Optimal)), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_truncation_is_rejected()
    {
        foreach (var name in new[] { "dtypes_strides.pth", "dtypes_strides_stream.bin" })
        {
            var whole = File.ReadAllBytes(Golden(name));
            for (var length = 0; length < whole.Length; length += 41)
            {
                var path = Path.Combine(_folder, "cut.bin");
                File.WriteAllBytes(path, whole[..length]);
                Assert.Throws<InputException>(() => PickleFile.Open(path));
            }
        }
    }

    [Fact]
    public void Missing_and_unrelated_files_are_rejected()
    {
        Assert.Contains("nowhere.pth", Refused(Path.Combine(_folder, "nowhere.pth")), StringComparison.Ordinal);
        var path = Path.Combine(_folder, "text.bin");
        File.WriteAllText(path, "<html>404 Not Found</html>");
        Assert.Contains("neither a zip archive nor a legacy PyTorch file", Refused(path), StringComparison.Ordinal);
    }

    [Fact]
    public void A_network_is_loaded_from_a_pickle()
    {
        using var scope = TensorScope.Enter();
        var store = new ParameterStore();
        var parameter = store.Root.Parameter("w", [2, 2], Inits.Zeros);
        using var file = PickleFile.Open(
            Archive(
                Encoding.Latin1.GetBytes(Tensor("K\u0004", "K\u0000", "K\u0002K\u0002\u0086", "K\u0001K\u0002\u0086")),
                [0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64, 0, 0, 128, 64]
            )
        );
        store.Load(file, Device.Cpu, null, "test");
        Assert.Equal([1f, 3, 2, 4], parameter.Value.ToArray<float>());
        store.Dispose();
    }

    /// <summary>A dictionary with one tensor "w" over storage 0, as pickle opcodes.</summary>
    private static string Tensor(string count, string offset, string size, string stride) =>
        $"\u0080\u0002}}X\u0001\u0000\u0000\u0000wctorch._utils\n_rebuild_tensor_v2\n((X\u0007\u0000\u0000\u0000storage"
        + $"ctorch\nFloatStorage\nX\u0001\u0000\u0000\u00000X\u0003\u0000\u0000\u0000cpu{count}tQ{offset}{size}{stride}\u0089}}tRs.";

    private static string Refused(string path) => Assert.Throws<InputException>(() => PickleFile.Open(path)).Message;

    private static string Golden(string name)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var candidate = Path.Combine(folder.FullName, "tests", "goldens", "pickle", name);
            if (File.Exists(candidate))
                return candidate;
        }

        throw new FileNotFoundException(name);
    }

    private string Archive(byte[] program, byte[]? storage = null, CompressionLevel compression = CompressionLevel.NoCompression)
    {
        var path = Path.Combine(_folder, $"{Guid.NewGuid():N}.pth");
        using var stream = File.Create(path);
        using var archive = new ZipArchive(stream, ZipArchiveMode.Create);
        void Add(string name, byte[] content)
        {
            using var entry = archive.CreateEntry(name, compression).Open();
            entry.Write(content);
        }

        Add("archive/data.pkl", program);
        if (storage is not null)
            Add("archive/data/0", storage);
        return path;
    }
}
