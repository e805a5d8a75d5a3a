using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text.Json;
using Retouch.Core.Errors;
using Retouch.Core.Io;

namespace Retouch.Torch.Safetensors;

/// <summary>Writes safetensors files atomically.</summary>
public static class SafetensorsWriter
{
    /// <summary>Writes tensors of any device in their own dtype.</summary>
    /// <param name="path">File path; replaced atomically.</param>
    /// <param name="tensors">Keys and tensors.</param>
    /// <param name="metadata">Contents of <c>__metadata__</c>; the default <c>format: pt</c> is what diffusers and transformers
    /// expect.</param>
    /// <exception cref="EnvironmentException">The disk is full or the folder is not writable.</exception>
    public static void Write(
        string path,
        IEnumerable<KeyValuePair<string, Tensor>> tensors,
        IReadOnlyDictionary<string, string>? metadata = null
    )
    {
        WriteLazily(path, tensors.Select(Lazy), metadata);
    }

    /// <summary>Writes tensors of any device in their own dtype, and hashes the file on the way.</summary>
    /// <param name="path">File path; replaced atomically.</param>
    /// <param name="tensors">Keys and tensors.</param>
    /// <returns>SHA-256 of the file, in lower-case hexadecimal digits.</returns>
    /// <exception cref="EnvironmentException">The disk is full or the folder is not writable.</exception>
    public static string WriteHashed(string path, IEnumerable<KeyValuePair<string, Tensor>> tensors)
    {
        var write = Writing(tensors.Select(Lazy), null);
        using var hash = SHA256.Create();
        AtomicFile.Write(
            path,
            stream =>
            {
                using var hashed = new CryptoStream(stream, hash, CryptoStreamMode.Write, leaveOpen: true);
                write(hashed);
            }
        );
        return Convert.ToHexStringLower(hash.Hash!);
    }

    /// <summary>Writes tensors that are created one at a time and freed after writing, so that only one needs memory.</summary>
    /// <param name="path">File path; replaced atomically.</param>
    /// <param name="tensors">Keys, dtypes, shapes and factories.</param>
    /// <param name="metadata">Contents of <c>__metadata__</c>; the default <c>format: pt</c> is what diffusers and transformers
    /// expect.</param>
    /// <exception cref="EnvironmentException">The disk is full or the folder is not writable.</exception>
    public static void WriteLazily(string path, IEnumerable<LazyTensor> tensors, IReadOnlyDictionary<string, string>? metadata = null) =>
        AtomicFile.Write(path, Writing(tensors, metadata));

    private static LazyTensor Lazy(KeyValuePair<string, Tensor> pair) =>
        new(pair.Key, pair.Value.DType, pair.Value.Shape, () => pair.Value);

    private static Action<Stream> Writing(IEnumerable<LazyTensor> tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        // Wider dtypes first keeps every tensor aligned without padding, as in the reference implementation.
        var list = tensors
            .Select(static (tensor, k) => (Tensor: tensor, Order: k))
            .OrderByDescending(static t => t.Tensor.DType.Size())
            .ThenBy(static t => t.Order)
            .Select(static t => t.Tensor)
            .ToList();
        var header = Header(list, metadata ?? new Dictionary<string, string>(StringComparer.Ordinal) { ["format"] = "pt" });
        return stream =>
        {
            Span<byte> prefix = stackalloc byte[8];
            BinaryPrimitives.WriteUInt64LittleEndian(prefix, (ulong)header.Length);
            stream.Write(prefix);
            stream.Write(header);
            foreach (var lazy in list)
            {
                using var scope = TensorScope.Enter();
                using var quiet = Autograd.NoGrad();
                var tensor = lazy.Make();
                if (tensor.DType != lazy.DType || !tensor.Shape.AsSpan().SequenceEqual(lazy.Shape))
                    throw new InvalidOperationException(
                        $"'{lazy.Name}' was declared as {lazy.DType} [{string.Join(", ", lazy.Shape)}] but is {tensor}."
                    );
                tensor.Detach().To(Device.Cpu).Contiguous().WriteTo(stream);
            }
        };
    }

    private static byte[] Header(IEnumerable<LazyTensor> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (metadata.Count > 0)
            {
                json.WriteStartObject("__metadata__");
                foreach (var (key, value) in metadata.OrderBy(static p => p.Key, StringComparer.Ordinal))
                    json.WriteString(key, value);
                json.WriteEndObject();
            }

            long offset = 0;
            foreach (var (name, type, shape, _) in tensors)
            {
                var end = offset + shape.Aggregate((long)type.Size(), static (a, b) => a * b);
                json.WriteStartObject(name);
                json.WriteString("dtype", SafetensorsHeader.NameOf(type));
                json.WriteStartArray("shape");
                foreach (var size in shape)
                    json.WriteNumberValue(size);
                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(offset);
                json.WriteNumberValue(end);
                json.WriteEndArray();
                json.WriteEndObject();
                offset = end;
            }

            json.WriteEndObject();
        }

        while (buffer.Length % 8 != 0)
            buffer.WriteByte((byte)' ');
        return buffer.ToArray();
    }
}

/// <summary>A tensor that is created when it is written.</summary>
/// <param name="Name">Key.</param>
/// <param name="DType">Element type.</param>
/// <param name="Shape">Sizes of the dimensions.</param>
/// <param name="Make">Creates the tensor in the current scope.</param>
public sealed record LazyTensor(string Name, DType DType, long[] Shape, Func<Tensor> Make)
{
    /// <summary>Size in the file in bytes.</summary>
    public long ByteCount => Shape.Aggregate((long)DType.Size(), static (a, b) => a * b);
}
