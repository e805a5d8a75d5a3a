using System.IO.Compression;
using System.Text;
using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Tests.Training.Telemetry;
using Retouch.Torch;

namespace Retouch.Tests.Evaluation.Features;

/// <summary>Files of statistics, valid and invalid.</summary>
public sealed class FrechetStatisticsTests
{
    private static readonly FeatureProtocol Protocol = new("inception", "net", 3, "none", "w.safetensors", "00ff");

    [Fact]
    public void Statistics_survive_a_round_trip_with_fixed_bytes()
    {
        using var scope = TensorScope.Enter();
        using var folder = new TemporaryFolder();
        using var rows = FeatureRows.Of(Ops.Randn([20, 3], null));
        var made = FrechetStatistics.Of(rows, Protocol, "all 20", Device.Cpu);
        made.Save(folder["a.npz"]);
        var read = FrechetStatistics.Load(folder["a.npz"]);
        Assert.Equal(made.Mean, read.Mean);
        Assert.Equal(made.Covariance, read.Covariance);
        Assert.Equal((20L, Protocol, "all 20"), (read.Count!.Value, read.Protocol, read.Preparation));
        read.Save(folder["b.npz"]);
        Assert.Equal(File.ReadAllBytes(folder["a.npz"]), File.ReadAllBytes(folder["b.npz"]));

        var x = rows.Block(0, 20).ToArray<double>().Chunk(3).ToArray();
        var mean = Enumerable.Range(0, 3).Select(k => x.Average(r => r[k])).ToArray();
        for (var i = 0; i < 3; i++)
        {
            TestTensors.Close(mean[i], read.Mean[i], 1e-12);
            for (var j = 0; j < 3; j++)
                TestTensors.Close(x.Sum(r => (r[i] - mean[i]) * (r[j] - mean[j])) / 19, read.Covariance[(3 * i) + j], 1e-12);
        }
    }

    [Fact]
    public void Column_major_arrays_and_other_types_are_read()
    {
        using var folder = new TemporaryFolder();
        // [[4, 1], [1, 9]] and a mean of (1, -2) as written by numpy.savez in float32, Fortran order.
        Write(
            folder["f.npz"],
            ("mu", Npy("'<f4', 'fortran_order': False, 'shape': (2,)", Floats(1, -2))),
            ("sigma", Npy("'<f4', 'fortran_order': True, 'shape': (2, 2)", Floats(4, 1, 1, 9)))
        );
        var read = FrechetStatistics.Load(folder["f.npz"]);
        Assert.Equal([1, -2], read.Mean);
        Assert.Equal([4, 1, 1, 9], read.Covariance);
        Assert.Null(read.Protocol);
        var array = NpyArray.Read(
            new MemoryStream(Npy("'<i2', 'fortran_order': True, 'shape': (2, 3)", [1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0])),
            140,
            "x"
        );
        Assert.Equal([1, 3, 5, 2, 4, 6], array.Values);
    }

    [Theory]
    [InlineData("'|O', 'fortran_order': False, 'shape': (2,)", 16, "'|O'")]
    [InlineData("'<f8', 'fortran_order': False, 'shape': (2,)", 12, "instead of 2 values")]
    [InlineData("'<f8', 'fortran_order': False, 'shape': (2147483647, 2147483647)", 16, "more than")]
    [InlineData("'<f8', 'fortran_order': False, 'shape': (99999999999,)", 16, "shape")]
    [InlineData("'<f8', 'fortran_order': False, 'shape': (-2,)", 16, "shape")]
    [InlineData("'<f8', 'shape': (2,)", 16, "fortran_order")]
    [InlineData("'<f8', 'fortran_order': False, 'shape': (3,)", 24, "do not form a mean and a covariance")]
    public void Invalid_arrays_are_reported(string header, int bytes, string message)
    {
        using var folder = new TemporaryFolder();
        Write(
            folder["x.npz"],
            ("mu", Npy(header, new byte[bytes])),
            ("sigma", Npy("'<f4', 'fortran_order': False, 'shape': (2, 2)", Floats(1, 0, 0, 1)))
        );
        Assert.Contains(
            message,
            Assert.Throws<InputException>(() => FrechetStatistics.Load(folder["x.npz"])).Message,
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData(1, 2, 3, 1, "not symmetric")]
    [InlineData(1, 0, 0, -1, "negative")]
    [InlineData(1, float.NaN, float.NaN, 1, "not finite")]
    public void Invalid_covariances_are_rejected(float a, float b, float c, float d, string message)
    {
        using var folder = new TemporaryFolder();
        Write(
            folder["x.npz"],
            ("mu", Npy("'<f4', 'fortran_order': False, 'shape': (2,)", Floats(0, 0))),
            ("sigma", Npy("'<f4', 'fortran_order': False, 'shape': (2, 2)", Floats(a, b, c, d)))
        );
        Assert.Contains(
            message,
            Assert.Throws<InputException>(() => FrechetStatistics.Load(folder["x.npz"])).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Truncated_or_mutated_files_are_rejected_or_read()
    {
        using var scope = TensorScope.Enter();
        using var folder = new TemporaryFolder();
        using var rows = FeatureRows.Of(Ops.Randn([9, 3], null));
        FrechetStatistics.Of(rows, Protocol, "all 9", Device.Cpu).Save(folder["a.npz"]);
        var whole = File.ReadAllBytes(folder["a.npz"]);
        for (var length = 0; length < whole.Length; length += 7)
        {
            File.WriteAllBytes(folder["cut.npz"], whole[..length]);
            Assert.Throws<InputException>(() => FrechetStatistics.Load(folder["cut.npz"]));
        }

        for (var at = 0; at < whole.Length; at += 3)
        {
            var changed = (byte[])whole.Clone();
            changed[at] ^= 0x5A;
            File.WriteAllBytes(folder["changed.npz"], changed);
            try
            {
                FrechetStatistics.Load(folder["changed.npz"]);
            }
            catch (InputException)
            {
                // The expected exception; any other fails the test.
            }
        }
    }

    private static byte[] Floats(params float[] values) => [.. values.SelectMany(BitConverter.GetBytes)];

    private static byte[] Npy(string members, byte[] data)
    {
        var header = Encoding.ASCII.GetBytes($"{{'descr': {members}, }}".PadRight(117) + "\n");
        return [0x93, .. "NUMPY"u8, 1, 0, (byte)header.Length, 0, .. header, .. data];
    }

    private static void Write(string file, params (string Name, byte[] Bytes)[] entries)
    {
        using var stream = File.Create(file);
        using var archive = new ZipArchive(stream, ZipArchiveMode.Create);
        foreach (var (name, bytes) in entries)
        {
            using var to = archive.CreateEntry(name + ".npy").Open();
            to.Write(bytes);
        }
    }
}
