namespace Retouch.Torch.Tests;

public sealed class DTypeTests
{
    [Theory]
    [InlineData(DType.UInt8, "uint8")]
    [InlineData(DType.Int64, "int64")]
    [InlineData(DType.Float16, "float16")]
    [InlineData(DType.Float64, "float64")]
    [InlineData(DType.Bool, "bool")]
    [InlineData(DType.BFloat16, "bfloat16")]
    public void Types_have_the_names_of_PyTorch(DType dtype, string name)
    {
        Assert.Equal(name, dtype.Name());
        Assert.Equal(dtype, DTypes.Find(name));
        Assert.Null(DTypes.Find(dtype.ToString()));
    }

    [Theory]
    [InlineData("float32", DType.Float32)]
    [InlineData("FP32", DType.Float32)]
    [InlineData("fp16", DType.Float16)]
    [InlineData("BFloat16", DType.BFloat16)]
    [InlineData("bf16", DType.BFloat16)]
    [InlineData("float64", null)]
    [InlineData("half", null)]
    public void Precisions_are_found_by_name_and_abbreviation(string text, DType? dtype) => Assert.Equal(dtype, DTypes.FindPrecision(text));

    [Fact]
    public void A_conversion_leaves_integers_alone()
    {
        Assert.Equal(DType.BFloat16, DType.Float32.ConvertedTo(DType.BFloat16));
        Assert.Equal(DType.Int64, DType.Int64.ConvertedTo(DType.BFloat16));
        Assert.Equal(DType.Float64, DType.Float64.ConvertedTo(null));
    }
}
