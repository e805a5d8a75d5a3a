using System.Text;
using Retouch.Torch.Safetensors;

namespace Retouch.Torch.Tests;

/// <summary>Eight-bit floating point in files, against the authors' values (Micikevicius et al. 2022, table 1).</summary>
public sealed class Float8Tests
{
    [Theory]
    [InlineData("F8_E4M3", "00010708387EFEB8", new[] { 0, 0.001953125f, 0.013671875f, 0.015625f, 1, 448, -448, -1 })]
    [InlineData(
        "F8_E5M2",
        "000103043C7BFCBC",
        new[] { 0, 1.52587890625e-5f, 4.57763671875e-5f, 6.103515625e-5f, 1, 57344, float.NegativeInfinity, -1 }
    )]
    public void Values_are_those_of_the_formats(string type, string codes, float[] expected)
    {
        using var scope = TensorScope.Enter();
        var path = Path.GetTempFileName();
        var header = Encoding.UTF8.GetBytes(
            $$$"""
            {"a":{"dtype":"{{{type}}}","shape":[2,4],"data_offsets":[0,8]},
             "n":{"dtype":"{{{type}}}","shape":[1],"data_offsets":[8,9]}}
            """
        );
        File.WriteAllBytes(path, [.. BitConverter.GetBytes((long)header.Length), .. header, .. Convert.FromHexString(codes), 0x7F]);
        using (var file = SafetensorsFile.Open(path))
        {
            Assert.Equal(DType.Float16, file.DTypeOf("a"));
            Assert.Equal([2, 4], file.ShapeOf("a"));
            foreach (var tensor in (Tensor[])[file.Read("a"), file.ReadOwned("a")])
                Assert.Equal(expected, tensor.To(DType.Float32).ToArray<float>());
            Assert.True(float.IsNaN(file.Read("n").To(DType.Float32).ToArray<float>()[0]));
        }

        File.Delete(path);
    }
}
