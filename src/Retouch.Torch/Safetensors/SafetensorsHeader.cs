using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Core.Io;

namespace Retouch.Torch.Safetensors;

/// <summary>A tensor of a safetensors file.</summary>
/// <param name="Name">Key.</param>
/// <param name="DType">Element type.</param>
/// <param name="Shape">Sizes of the dimensions.</param>
/// <param name="Offset">Byte offset from the start of the file.</param>
/// <param name="Length">Length in bytes.</param>
public sealed record SafetensorsEntry(string Name, DType DType, long[] Shape, long Offset, long Length)
{
    /// <summary>
    /// Storage format of 8-bit floating-point tensors, which are read as float16; null for other dtypes.
    /// </summary>
    internal Float8Format? Float8 { get; init; }
}

/// <summary>
/// Header of a safetensors file: eight bytes of length, then JSON. It is untrusted, so all values are validated.
/// </summary>
internal static class SafetensorsHeader
{
    /// <summary>Maximum header length in bytes, as in the format's reference implementation.</summary>
    public const long MaxLength = 100_000_000;

    /// <summary>Maximum number of dimensions of a tensor.</summary>
    public const int MaxDim = 8;

    private static readonly Dictionary<string, DType> Types = new(StringComparer.Ordinal)
    {
        ["BOOL"] = DType.Bool,
        ["U8"] = DType.UInt8,
        ["I8"] = DType.Int8,
        ["I16"] = DType.Int16,
        ["I32"] = DType.Int32,
        ["I64"] = DType.Int64,
        ["F16"] = DType.Float16,
        ["BF16"] = DType.BFloat16,
        ["F32"] = DType.Float32,
        ["F64"] = DType.Float64,
    };

    private static readonly Dictionary<string, Float8Format> Float8Types = new(StringComparer.Ordinal)
    {
        ["F8_E4M3"] = Float8Format.E4M3,
        ["F8_E5M2"] = Float8Format.E5M2,
    };

    public static string NameOf(DType dtype) => Types.First(pair => pair.Value == dtype).Key;

    /// <summary>Reads and validates the header of a file of <paramref name="fileLength"/> bytes.</summary>
    /// <exception cref="InputException">The header is malformed or inconsistent.</exception>
    public static (Dictionary<string, SafetensorsEntry> Entries, Dictionary<string, string> Metadata) Read(
        Stream stream,
        long fileLength,
        string origin
    )
    {
        Span<byte> prefix = stackalloc byte[8];
        if (fileLength < 8 || stream.ReadAtLeast(prefix, 8, throwOnEndOfStream: false) < 8)
            throw Broken(origin, "it is shorter than the eight bytes of the header length");
        var length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > MaxLength || (long)length > fileLength - 8)
            throw Broken(origin, $"its header claims {length} bytes, the file has {fileLength}");
        var json = new byte[(int)length];
        stream.ReadExactly(json);
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 8 });
            return Read(document.RootElement, 8 + (long)length, fileLength, origin);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or DecoderFallbackException)
        {
            throw new InputException(
                $"'{origin}' is not a valid safetensors file: its header is not valid JSON ({Reasons.Of(e)}). Download or export it again.",
                e
            );
        }
    }

    private static (Dictionary<string, SafetensorsEntry> Entries, Dictionary<string, string> Metadata) Read(
        JsonElement root,
        long dataStart,
        long fileLength,
        string origin
    )
    {
        if (root.ValueKind != JsonValueKind.Object)
            throw Broken(origin, "its header is not a JSON object");
        var entries = new Dictionary<string, SafetensorsEntry>(StringComparer.Ordinal);
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var member in root.EnumerateObject())
        {
            if (member.Name == "__metadata__")
            {
                foreach (var pair in member.Value.EnumerateObject())
                    metadata[pair.Name] = pair.Value.GetString() ?? "";
                continue;
            }

            if (!entries.TryAdd(member.Name, Entry(member, dataStart, fileLength, origin)))
                throw Broken(origin, $"tensor '{member.Name}' occurs twice");
        }

        CheckLayout(entries.Values, dataStart, fileLength, origin);
        return (entries, metadata);
    }

    private static SafetensorsEntry Entry(JsonProperty member, long dataStart, long fileLength, string origin)
    {
        var name = member.Name;
        if (
            member.Value.ValueKind != JsonValueKind.Object
            || !member.Value.TryGetProperty("dtype", out var type)
            || !member.Value.TryGetProperty("shape", out var shape)
            || !member.Value.TryGetProperty("data_offsets", out var offsets)
        )
        {
            throw Broken(origin, $"tensor '{name}' lacks dtype, shape or data_offsets");
        }

        var stored = type.GetString() ?? "";
        Float8Format? float8 = Float8Types.TryGetValue(stored, out var format) ? format : null;
        if (!Types.TryGetValue(stored, out var dtype) && float8 is null)
        {
            throw new InputException(
                $"'{origin}': tensor '{name}' has the unsupported element type {Excerpt.Of(stored, 20)}. Save it as "
                    + $"float32, float16 or bfloat16."
            );
        }

        if (float8 is not null)
            dtype = DType.Float16;
        if (shape.GetArrayLength() > MaxDim)
            throw Broken(origin, $"tensor '{name}' has {shape.GetArrayLength()} dimensions");
        var sizes = shape
            .EnumerateArray()
            .Select(s => s.TryGetInt64(out var v) && v >= 0 ? v : throw Broken(origin, $"tensor '{name}' has size {s}"))
            .ToArray();
        if (offsets.GetArrayLength() != 2 || !offsets[0].TryGetInt64(out var begin) || !offsets[1].TryGetInt64(out var end))
            throw Broken(origin, $"tensor '{name}' has invalid data_offsets");
        if (begin < 0 || end < begin || end > fileLength - dataStart)
            throw Broken(
                origin,
                $"tensor '{name}' claims bytes {begin} to {end} of {fileLength - dataStart}; the file is truncated or was modified"
            );
        // A dimension of size 0 makes the tensor empty, whatever the other sizes.
        Int128 bytes = float8 is null ? dtype.Size() : 1;
        foreach (var size in sizes)
        {
            bytes *= size;
            if (bytes > long.MaxValue)
                throw Broken(origin, $"tensor '{name}' claims an impossible size");
        }

        if (bytes != end - begin)
            throw Broken(origin, $"tensor '{name}' of shape [{string.Join(", ", sizes)}] needs {bytes} bytes but has {end - begin}");
        return new SafetensorsEntry(name, dtype, sizes, dataStart + begin, end - begin) { Float8 = float8 };
    }

    /// <summary>Tensors must not overlap and must fill the file, since gaps can hide data.</summary>
    private static void CheckLayout(IEnumerable<SafetensorsEntry> entries, long dataStart, long fileLength, string origin)
    {
        var next = dataStart;
        foreach (var entry in entries.OrderBy(static e => e.Offset).ThenBy(static e => e.Length))
        {
            if (entry.Offset != next)
                throw Broken(
                    origin,
                    entry.Offset < next
                        ? $"tensor '{entry.Name}' overlaps another"
                        : $"{entry.Offset - next} bytes before tensor '{entry.Name}' are unused"
                );
            next += entry.Length;
        }

        if (next != fileLength)
            throw Broken(origin, $"{fileLength - next} bytes at its end are unused");
    }

    private static InputException Broken(string origin, string why) =>
        new($"'{origin}' is not a valid safetensors file: {why}. Download or export it again.");
}
