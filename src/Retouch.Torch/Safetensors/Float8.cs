namespace Retouch.Torch.Safetensors;

/// <summary>
/// Formats of eight-bit floating point (Micikevicius et al., "FP8 Formats for Deep Learning", 2022, table 1) that files store weights in.
/// </summary>
internal enum Float8Format
{
    /// <summary>Four bits of exponent with bias 7, three of mantissa; no infinity, and the largest code is no number.</summary>
    E4M3,

    /// <summary>Five bits of exponent with bias 15, two of mantissa: the upper byte of IEEE half precision.</summary>
    E5M2,
}

/// <summary>Eight-bit floating point as half precision, which holds every value of both formats exactly.</summary>
internal static class Float8
{
    private static readonly Half[] E4M3 = [.. Enumerable.Range(0, 256).Select(static code => OfE4M3((byte)code))];
    private static readonly Half[] E5M2 =
    [
        .. Enumerable.Range(0, 256).Select(static code => BitConverter.UInt16BitsToHalf((ushort)(code << 8))),
    ];

    /// <summary>The values of codes.</summary>
    /// <param name="codes">One byte a value.</param>
    /// <param name="values">As many.</param>
    /// <param name="format">What the codes mean.</param>
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
