using System.Runtime.CompilerServices;

namespace Retouch.Torch;

/// <summary>Element types, with libtorch's numbers.</summary>
public enum DType
{
    /// <summary>Unsigned byte.</summary>
    UInt8 = 0,

    /// <summary>Signed byte.</summary>
    Int8 = 1,

    /// <summary>16-bit integer.</summary>
    Int16 = 2,

    /// <summary>32-bit integer.</summary>
    Int32 = 3,

    /// <summary>64-bit integer: indices, labels, timesteps.</summary>
    Int64 = 4,

    /// <summary>IEEE half precision.</summary>
    Float16 = 5,

    /// <summary>IEEE single precision: the dtype of training and statistics.</summary>
    Float32 = 6,

    /// <summary>IEEE double precision.</summary>
    Float64 = 7,

    /// <summary>Booleans, one byte each.</summary>
    Bool = 11,

    /// <summary>Brain floating point: float32's range with 8 bits of precision.</summary>
    BFloat16 = 15,
}

/// <summary>Memory layouts; only strided tensors are used.</summary>
public enum Layout
{
    /// <summary>Dense, described by strides.</summary>
    Strided = 0,
}

/// <summary>Memory formats.</summary>
public enum MemoryFormat
{
    /// <summary>Row-major.</summary>
    Contiguous = 0,

    /// <summary>Format of the source tensor.</summary>
    Preserve = 1,

    /// <summary>NHWC in memory for an NCHW tensor.</summary>
    ChannelsLast = 2,
}

/// <summary>Names and properties of element types.</summary>
public static class DTypes
{
    private static readonly Dictionary<string, DType> ByName = Enum.GetValues<DType>().ToDictionary(Name, StringComparer.Ordinal);

    /// <summary>Types of stored weights and of mixed precision, by PyTorch's names.</summary>
    public static IReadOnlyDictionary<string, DType> Precisions { get; } =
        new[] { DType.Float16, DType.BFloat16, DType.Float32 }.ToDictionary(Name, StringComparer.Ordinal);

    /// <summary>PyTorch's name: <c>float32</c>, <c>bfloat16</c>, <c>uint8</c>.</summary>
    public static string Name(this DType dtype) => dtype.ToString().ToLowerInvariant();

    /// <summary>Abbreviation of a precision in file names: <c>fp32</c>, <c>fp16</c>, <c>bf16</c>.</summary>
    public static string Abbreviation(this DType dtype) =>
        dtype == DType.BFloat16 ? "bf16" : dtype.Name().Replace("float", "fp", StringComparison.Ordinal);

    /// <summary>Element type by PyTorch's name, or null.</summary>
    public static DType? Find(string name) => ByName.TryGetValue(name, out var dtype) ? dtype : null;

    /// <summary>Precision by its name or abbreviation in any case, or null.</summary>
    public static DType? FindPrecision(string text) =>
        Precisions
            .Values.Cast<DType?>()
            .FirstOrDefault(t =>
                StringComparer.OrdinalIgnoreCase.Equals(text, t!.Value.Name())
                || StringComparer.OrdinalIgnoreCase.Equals(text, t.Value.Abbreviation())
            );

    /// <summary>Type of a stored tensor after a conversion of floating-point tensors; integers, such as indices, keep theirs.</summary>
    /// <param name="stored">Stored type.</param>
    /// <param name="wanted">Type of floating-point tensors; null for no conversion.</param>
    public static DType ConvertedTo(this DType stored, DType? wanted) => stored.IsFloatingPoint() ? wanted ?? stored : stored;

    /// <summary>Bytes per element.</summary>
    public static int Size(this DType dtype) =>
        dtype switch
        {
            DType.UInt8 or DType.Int8 or DType.Bool => 1,
            DType.Int16 or DType.Float16 or DType.BFloat16 => 2,
            DType.Int32 or DType.Float32 => 4,
            DType.Int64 or DType.Float64 => 8,
            _ => throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "Unknown element type."),
        };

    /// <summary>Whether the dtype is floating-point.</summary>
    public static bool IsFloatingPoint(this DType dtype) => dtype is DType.Float16 or DType.BFloat16 or DType.Float32 or DType.Float64;

    /// <summary>Element type of a managed type.</summary>
    /// <exception cref="NotSupportedException">There is no corresponding element type.</exception>
    public static DType Of<T>()
        where T : unmanaged
    {
        if (typeof(T) == typeof(float))
            return DType.Float32;
        if (typeof(T) == typeof(double))
            return DType.Float64;
        if (typeof(T) == typeof(long))
            return DType.Int64;
        if (typeof(T) == typeof(int))
            return DType.Int32;
        if (typeof(T) == typeof(short))
            return DType.Int16;
        if (typeof(T) == typeof(byte))
            return DType.UInt8;
        if (typeof(T) == typeof(sbyte))
            return DType.Int8;
        if (typeof(T) == typeof(bool))
            return DType.Bool;
        if (typeof(T) == typeof(Half))
            return DType.Float16;
        throw new NotSupportedException($"There is no tensor element type for {typeof(T)} ({Unsafe.SizeOf<T>()} bytes).");
    }
}
