using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Retouch.Core.Errors;

namespace Retouch.Evaluation.Features;

/// <summary>
/// Array in NumPy's .npy format (NEP 1), versions 1 to 3, of integers or floating-point numbers; object arrays (pickles) are rejected.
/// </summary>
/// <param name="Shape">Shape.</param>
/// <param name="Values">Values, row-major.</param>
internal sealed partial record NpyArray(int[] Shape, double[] Values)
{
    private const int MaxHeader = 1 << 16;

    // 2^25 values: a covariance of 5792 features.
    private const long MaxCount = 1L << 25;

    private static readonly byte[] Magic = [0x93, .. "NUMPY"u8];

    /// <summary>Reads an array from a stream of known length, to its end.</summary>
    /// <exception cref="InputException">The array is damaged or of an unsupported type.</exception>
    public static NpyArray Read(Stream stream, long length, string where)
    {
        InputException Broken(string what) => new($"{where} is not a readable array: {what}.");
        Span<byte> start = stackalloc byte[12];
        if (stream.ReadAtLeast(start[..10], 10, throwOnEndOfStream: false) < 10 || !start[..6].SequenceEqual(Magic))
            throw Broken("not a .npy file");
        int version = start[6],
            prefix = version == 1 ? 10 : 12;
        if (version is < 1 or > 3)
            throw Broken($"version {version} instead of 1 to 3");
        if (version > 1 && stream.ReadAtLeast(start[10..], 2, throwOnEndOfStream: false) < 2)
            throw Broken("truncated in the header");
        var size = version == 1 ? BinaryPrimitives.ReadUInt16LittleEndian(start[8..]) : BinaryPrimitives.ReadUInt32LittleEndian(start[8..]);
        if (size > MaxHeader)
            throw Broken($"a header of {size} bytes");
        var header = new byte[size];
        if (stream.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) < header.Length)
            throw Broken("truncated in the header");
        var (type, fortran, shape) =
            Header(Encoding.UTF8.GetString(header)) ?? throw Broken("descr, fortran_order or shape is missing in the header");
        if (Width(type) is not { } width)
            throw Broken($"type '{type}' instead of int8 to int64 or float16 to float64");
        long count = 1;
        foreach (var n in shape)
        {
            count *= n;
            if (count > MaxCount)
                throw Broken($"the shape ({string.Join(", ", shape)}) has more than {MaxCount} values");
        }

        if (length != prefix + size + (count * width))
            throw Broken($"{length} bytes instead of {count} values of {width} bytes");
        var bytes = new byte[count * width];
        if (stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false) < bytes.Length)
            throw Broken("truncated");
        var values = Numbers(bytes, type, width);
        return new NpyArray(shape, fortran && shape.Length > 1 ? Transposed(values, shape) : values);
    }

    /// <summary>Writes a float64 array, version 1.0.</summary>
    public static void Write(Stream stream, ReadOnlySpan<double> values, params ReadOnlySpan<int> shape)
    {
        Begin(stream, "<f8", shape);
        Span<byte> number = stackalloc byte[sizeof(double)];
        foreach (var value in values)
        {
            BinaryPrimitives.WriteDoubleLittleEndian(number, value);
            stream.Write(number);
        }
    }

    /// <summary>Writes bytes as a uint8 array, version 1.0.</summary>
    public static void Write(Stream stream, ReadOnlySpan<byte> bytes)
    {
        Begin(stream, "|u1", [bytes.Length]);
        stream.Write(bytes);
    }

    private static void Begin(Stream stream, string type, ReadOnlySpan<int> shape)
    {
        var sizes = string.Concat(shape.ToArray().Select(static n => n.ToString(CultureInfo.InvariantCulture) + ", "));
        var text = $"{{'descr': '{type}', 'fortran_order': False, 'shape': ({sizes}), }}";
        // The data are aligned to 64 bytes.
        var header = text.PadRight((text.Length + 1 + 10 + 63) / 64 * 64 - 11) + "\n";
        stream.Write(Magic);
        stream.Write([1, 0, (byte)header.Length, (byte)(header.Length >> 8)]);
        stream.Write(Encoding.ASCII.GetBytes(header));
    }

    private static (string Type, bool Fortran, int[] Shape)? Header(string text)
    {
        var (type, order, shape) = (TypePattern().Match(text), OrderPattern().Match(text), ShapePattern().Match(text));
        if (!type.Success || !order.Success || !shape.Success)
            return null;
        var parts = shape.Groups["value"].Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var sizes = new int[parts.Length];
        for (var k = 0; k < parts.Length; k++)
        {
            if (!int.TryParse(parts[k], NumberStyles.None, CultureInfo.InvariantCulture, out sizes[k]))
                return null;
        }

        return (type.Groups["value"].Value, order.Groups["value"].Value == "True", sizes);
    }

    private static int? Width(string type) =>
        type switch
        {
            "|u1" or "|i1" => 1,
            "<f2" or "<i2" or "<u2" => 2,
            "<f4" or ">f4" or "<i4" or "<u4" => 4,
            "<f8" or ">f8" or "<i8" => 8,
            _ => null,
        };

    private static double[] Numbers(byte[] bytes, string type, int width)
    {
        var values = new double[bytes.Length / width];
        for (var k = 0; k < values.Length; k++)
        {
            var at = bytes.AsSpan(k * width, width);
            values[k] = type switch
            {
                "|u1" => at[0],
                "|i1" => (sbyte)at[0],
                "<f2" => (double)BinaryPrimitives.ReadHalfLittleEndian(at),
                "<i2" => BinaryPrimitives.ReadInt16LittleEndian(at),
                "<u2" => BinaryPrimitives.ReadUInt16LittleEndian(at),
                "<f4" => BinaryPrimitives.ReadSingleLittleEndian(at),
                ">f4" => BinaryPrimitives.ReadSingleBigEndian(at),
                "<i4" => BinaryPrimitives.ReadInt32LittleEndian(at),
                "<u4" => BinaryPrimitives.ReadUInt32LittleEndian(at),
                "<f8" => BinaryPrimitives.ReadDoubleLittleEndian(at),
                ">f8" => BinaryPrimitives.ReadDoubleBigEndian(at),
                _ => BinaryPrimitives.ReadInt64LittleEndian(at),
            };
        }

        return values;
    }

    /// <summary>Column-major to row-major order, for matrices only.</summary>
    private static double[] Transposed(double[] values, int[] shape)
    {
        if (shape.Length != 2)
            return values;
        var result = new double[values.Length];
        for (var row = 0; row < shape[0]; row++)
        {
            for (var column = 0; column < shape[1]; column++)
                result[(row * shape[1]) + column] = values[(column * shape[0]) + row];
        }

        return result;
    }

    [GeneratedRegex(@"'descr'\s*:\s*'(?<value>[^']*)'", RegexOptions.ExplicitCapture)]
    private static partial Regex TypePattern();

    [GeneratedRegex(@"'fortran_order'\s*:\s*(?<value>True|False)", RegexOptions.ExplicitCapture)]
    private static partial Regex OrderPattern();

    [GeneratedRegex(@"'shape'\s*:\s*\((?<value>[0-9,\s]*)\)", RegexOptions.ExplicitCapture)]
    private static partial Regex ShapePattern();
}
