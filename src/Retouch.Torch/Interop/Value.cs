using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace Retouch.Torch.Interop;

/// <summary>An argument or result of a boxed call: a tag and 64 bits, with the layout of <c>rt_value</c>.</summary>
[StructLayout(LayoutKind.Explicit, Size = 16)]
internal unsafe struct Value
{
    [FieldOffset(0)]
    private int _tag;

    [FieldOffset(4)]
    private int _length;

    [FieldOffset(8)]
    private long _integer;

    [FieldOffset(8)]
    private double _real;

    private enum Tag
    {
        None = 0,
        Default = 1,
        Tensor = 2,
        Int = 3,
        Double = 4,
        Bool = 5,
        IntList = 6,
        DoubleList = 7,
        BoolList = 8,
        TensorList = 9,
        OptionalTensorList = 10,
        String = 11,
        Generator = 12,
        Device = 13,
    }

    public static Value Default => new() { _tag = (int)Tag.Default };

    private static Value None => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Value Of(Tensor tensor) => new() { _tag = (int)Tag.Tensor, _integer = tensor.Handle };

    public static Value OfOptional(Tensor? tensor) => tensor is null ? None : Of(tensor);

    public static Value Of(long value) => new() { _tag = (int)Tag.Int, _integer = value };

    public static Value Of(long? value) => value is { } v ? Of(v) : None;

    public static Value Of(double value) => new() { _tag = (int)Tag.Double, _real = value };

    public static Value Of(double? value) => value is { } v ? Of(v) : None;

    public static Value Of(bool value) => new() { _tag = (int)Tag.Bool, _integer = value ? 1 : 0 };

    public static Value Of(bool? value) => value is { } v ? Of(v) : None;

    public static Value Of(Scalar scalar) =>
        scalar.Kind switch
        {
            Scalar.ScalarKind.Integer => Of(scalar.Integer),
            Scalar.ScalarKind.Real => Of(scalar.Real),
            _ => Default,
        };

    public static Value Of(Scalar? scalar) => scalar is { } s ? Of(s) : None;

    public static Value Of(DType dtype) => Of((long)dtype);

    public static Value Of(DType? dtype) => dtype is { } d ? Of(d) : None;

    public static Value Of(Layout? layout) => layout is { } l ? Of((long)l) : None;

    public static Value Of(MemoryFormat format) => Of((long)format);

    public static Value Of(MemoryFormat? format) => format is { } f ? Of(f) : None;

    public static Value Of(Device device) =>
        new() { _tag = (int)Tag.Device, _integer = ((long)device.Type << 32) | (uint)device.NativeIndex };

    public static Value Of(Device? device) => device is { } d ? Of(d) : None;

    public static Value Of(Generator? generator) =>
        generator is null ? None : new() { _tag = (int)Tag.Generator, _integer = generator.Handle };

    // An empty list selects the schema's default, if any: C# spans cannot be default arguments.
    public static Value Of(long* items, int length, bool hasDefault) =>
        length == 0 && hasDefault
            ? Default
            : new()
            {
                _tag = (int)Tag.IntList,
                _length = length,
                _integer = (nint)items,
            };

    public static Value Of(double* items, int length, bool hasDefault) =>
        length == 0 && hasDefault
            ? Default
            : new()
            {
                _tag = (int)Tag.DoubleList,
                _length = length,
                _integer = (nint)items,
            };

    public static Value OfBools(long* items, int length) =>
        new()
        {
            _tag = (int)Tag.BoolList,
            _length = length,
            _integer = (nint)items,
        };

    public static Value OfText(string? text, byte* bytes, int length) =>
        text is null
            ? None
            : new()
            {
                _tag = (int)Tag.String,
                _length = length,
                _integer = (nint)bytes,
            };

    public static Value List(ReadOnlySpan<Tensor> tensors, Span<nint> handles, nint* pointer)
    {
        for (var k = 0; k < tensors.Length; k++)
            handles[k] = tensors[k].Handle;
        return new()
        {
            _tag = (int)Tag.TensorList,
            _length = tensors.Length,
            _integer = (nint)pointer,
        };
    }

    public static Value OptionalList(ReadOnlySpan<Tensor?> tensors, Span<nint> handles, nint* pointer)
    {
        for (var k = 0; k < tensors.Length; k++)
            handles[k] = tensors[k]?.Handle ?? 0;
        return new()
        {
            _tag = (int)Tag.OptionalTensorList,
            _length = tensors.Length,
            _integer = (nint)pointer,
        };
    }

    public static long[] Widen(ReadOnlySpan<bool> flags)
    {
        var wide = new long[flags.Length];
        for (var k = 0; k < wide.Length; k++)
            wide[k] = flags[k] ? 1 : 0;
        return wide;
    }

    public static byte[]? Utf8(string? text, out int length)
    {
        var bytes = text is null ? null : Encoding.UTF8.GetBytes(text + '\0');
        length = bytes is null ? 0 : bytes.Length - 1;
        return bytes;
    }

    public readonly Tensor TakeTensor() =>
        _tag == (int)Tag.Tensor && _integer != 0
            ? new Tensor((nint)_integer)
            : throw new TorchException("The operator returned no tensor.");

    public readonly Tensor[] TakeTensors()
    {
        if (_tag != (int)Tag.TensorList)
            throw new TorchException("The operator returned no list of tensors.");
        var tensors = new Tensor[_length];
        for (var k = 0; k < tensors.Length; k++)
            tensors[k] = new Tensor(((nint*)_integer)[k]);
        Native.ListFree((nint)_integer);
        return tensors;
    }

    public readonly long AsLong() =>
        _tag is (int)Tag.Int or (int)Tag.Bool ? _integer : throw new TorchException("The operator returned no integer.");

    public readonly bool AsBool() => _tag == (int)Tag.Bool ? _integer != 0 : throw new TorchException("The operator returned no boolean.");

    public readonly double AsDouble() => _tag == (int)Tag.Double ? _real : AsLong();

    /// <summary>Frees an unused result.</summary>
    public readonly void Discard()
    {
        if (_tag == (int)Tag.Tensor)
            Native.TensorFree((nint)_integer);
        else if (_tag == (int)Tag.TensorList)
            Array.ForEach(TakeTensors(), static t => t.Dispose());
    }
}
