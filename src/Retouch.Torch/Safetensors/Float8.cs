namespace Retouch.Torch.Safetensors;

/// <summary>
/// 8-bit floating-point storage formats (Micikevicius et al., "FP8 Formats for Deep Learning", 2022, table 1).
/// </summary>
internal enum Float8Format
{
    /// <summary>4 exponent bits with bias 7, 3 mantissa bits; no infinities, the largest code is NaN.</summary>
    E4M3,

    /// <summary>5 exponent bits with bias 15, 2 mantissa bits: the upper byte of IEEE half precision.</summary>
    E5M2,
}

/// <summary>Decodes 8-bit floating point to float16, which represents all values of both formats exactly.</summary>
internal static class Float8
{
    private static readonly Half[] E4M3 = [.. Enumerable.Range(0, 256).Select(static code => OfE4M3((byte)code))];
    private static readonly Half[] E5M2 =
    [
        .. Enumerable.Range(0, 256).Select(static code => BitConverter.UInt16BitsToHalf((ushort)(code << 8))),
    ];

    /// <summary>Decodes values.</summary>
    /// <param name="codes">One byte per value.</param>
    /// <param name="values">Output, at least as many elements.</param>
    /// <param name="format">Format of the codes.</param>
    public static void Decode(ReadOnlySpan<byte> codes, Span<Half> values, Float8Format format)
    {
        var table = format == Float8Format.E4M3 ? E4M3 : E5M2;
        for (var k = 0; k < codes.Length; k++)
            values[k] = table[codes[k]];
    }

    private static Half OfE4M3(byte code)
    {
        var (exponent, mantissa) = (code >> 3 & 0xF, code & 7);
        var size = (exponent, mantissa) switch
        {
            (15, 7) => double.NaN,
            (0, _) => mantissa / 8.0 * Math.Pow(2, -6),
            _ => (1 + (mantissa / 8.0)) * Math.Pow(2, exponent - 7),
        };
        return (Half)(code < 128 ? size : -size);
    }
}
