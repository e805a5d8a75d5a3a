using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Retouch.Core.Errors;

namespace Retouch.Evaluation.Features;

/// <summary>
/// An array in NumPy's .npy format (NEP 1), versions 1 to 3: whole and floating numbers; objects, which would be pickles, are refused.
/// </summary>
/// <param name="Shape">Sizes.</param>
/// <param name="Values">Row-major.</param>
internal sealed partial record NpyArray(int[] Shape, double[] Values)
{
    private const int MaxHeader = 1 << 16;

    // 2^25 numbers are a covariance of 5792 features.
    private const long MaxCount = 1L << 25;

    private static readonly byte[] Magic = [0x93, .. "NUMPY"u8];

    /// <summary>Reads an array that must fill a stream of known length.</summary>
    /// <exception cref="InputException">The array is broken, hostile, or of another kind.</exception>
    public static NpyArray Read(Stream stream, long length, string where)
    {
        InputException Broken(string what) => new($"{where} is no array that can be read: {what}.");
        Span<byte> start = stackalloc byte[12];
        if (stream.ReadAtLeast(start[..10], 10, throwOnEndOfStream: false) < 10 || !start[..6].SequenceEqual(Magic))
            throw Broken("it does not begin like a .npy file");
        int version = start[6],
            prefix = version == 1 ? 10 : 12;
        if (version is < 1 or > 3)
            throw Broken($"its version is {version}, not 1 to 3");
        if (version > 1 && stream.ReadAtLeast(start[10..], 2, throwOnEndOfStream: false) < 2)
            throw Broken("it ends within its header");
        var size = version == 1 ? BinaryPrimitives.ReadUInt16LittleEndian(start[8..]) : BinaryPrimitives.ReadUInt32LittleEndian(start[8..]);
        if (size > MaxHeader)
            throw Broken($"its header takes {size} bytes");
        var header = new byte[size];
        if (stream.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) < header.Length)
            throw Broken("it ends within its header");
        var (type, fortran, shape) =
            Header(Encoding.UTF8.GetString(header)) ?? throw Broken("its header has no descr, fortran_order and shape");
        if (Width(type) is not { } width)
            throw Broken($"its numbers are of the type '{type}'; int8 to int64 and float16 to float64 can be read");
        long count = 1;
        foreach (var n in shape)
        {
            count *= n;
            if (count > MaxCount)
                throw Broken($"its shape ({string.Join(", ", shape)}) holds over {MaxCount} numbers");
        }

        if (length != prefix + size + (count * width))
            throw Broken($"{length} bytes do not hold {count} numbers of {width} bytes");
        var bytes = new byte[count * width];
        if (stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false) < bytes.Length)
            throw Broken("it ends early");
        var values = Numbers(bytes, type, width);
        return new NpyArray(shape, fortran && shape.Length > 1 ? Transposed(values, shape) : values);
    }

    /// <summary>Writes an array of float64, version 1.0.</summary>
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

    /// <summary>Writes bytes as an array of uint8, version 1.0.</summary>
    public static void Write(Stream stream, ReadOnlySpan<byte> bytes)
    {
        Begin(stream, "|u1", [bytes.Length]);
        stream.Write(bytes);
    }

    private static void Begin(Stream stream, string type, ReadOnlySpan<int> shape)
    {
        var sizes = string.Concat(shape.ToArray().Select(static n => n.ToString(CultureInfo.InvariantCulture) + ", "));
        var text = $"{{'descr': '{type}', 'fortran_order': False, 'shape': ({sizes}), }}";
        // The numbers start at a multiple of 64.
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

    /// <summary>From column-major to row-major; of matrices, which is all that is needed here.</summary>
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
