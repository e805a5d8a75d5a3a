using Retouch.Core.Errors;
using Retouch.Core.Io;
using Retouch.Torch.Io;
using Retouch.Torch.Nn;

namespace Retouch.Torch.Safetensors;

/// <summary>
/// A memory-mapped safetensors file: tensors read from it use no additional memory until they are written to.
/// </summary>
public sealed class SafetensorsFile : ITensorFile
{
    private readonly MappedFile? _map;
    private bool _disposed;

    private SafetensorsFile(string path, MappedFile? map, Dictionary<string, SafetensorsEntry> entries, Dictionary<string, string> metadata)
    {
        FilePath = path;
        _map = map;
        Entries = entries;
        Metadata = metadata;
    }

    /// <inheritdoc/>
    public string FilePath { get; }

    /// <summary>Tensors by key.</summary>
    public IReadOnlyDictionary<string, SafetensorsEntry> Entries { get; }

    /// <summary>Contents of <c>__metadata__</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <inheritdoc/>
    public IEnumerable<string> Names => Entries.Keys;

    /// <summary>Opens a file and validates its header.</summary>
    /// <exception cref="InputException">The file is missing, corrupt or hostile.</exception>
    public static SafetensorsFile Open(string path)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1);
            var length = stream.Length;
            var (entries, metadata) = SafetensorsHeader.Read(stream, length, path);
            if (entries.Count == 0)
                return new SafetensorsFile(path, null, entries, metadata);
            return new SafetensorsFile(path, new MappedFile(path), entries, metadata);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"Cannot read '{path}': {Reasons.Of(e)}.", e);
        }
    }

    /// <inheritdoc/>
    public long[] ShapeOf(string name) => Find(name).Shape;

    /// <inheritdoc/>
    public DType DTypeOf(string name) => Find(name).DType;

    /// <summary>
    /// Tensor under a key, over the mapped file: read-only memory, so clone it before writing. It stays valid after the file is
    /// closed.
    /// </summary>
    /// <exception cref="InputException">The key does not exist.</exception>
    public Tensor Read(string name)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        var entry = Find(name);
        if (entry.Length == 0)
            return Ops.Empty(entry.Shape, dtype: entry.DType);
        return entry.Float8 is { } format ? Decode(entry, format) : _map!.Over(entry.Offset, entry.Shape, entry.DType);
    }

    /// <inheritdoc/>
    public Tensor ReadOwned(string name)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        var entry = Find(name);
        if (entry.Length == 0)
            return Ops.Empty(entry.Shape, dtype: entry.DType);
        return entry.Float8 is { } format ? Decode(entry, format) : _map!.Copy(entry.Offset, entry.Shape, entry.DType);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _map?.Release();
    }

    private Tensor Decode(SafetensorsEntry entry, Float8Format format)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var codes = _map!.Over(entry.Offset, [entry.Length], DType.UInt8);
        var values = Ops.Empty(entry.Shape, dtype: entry.DType);
        Float8.Decode(codes.Span<byte>(), values.Span<Half>(), format);
        return scope.Keep(values);
    }

    private SafetensorsEntry Find(string name) =>
        Entries.TryGetValue(name, out var entry)
            ? entry
            : throw new InputException($"'{FilePath}' has no tensor '{name}'. It has {Entries.Count} others.");
}
