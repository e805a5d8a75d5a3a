using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Retouch.Torch.Errors;
using Retouch.Torch.Nn;

namespace Retouch.Torch.Safetensors;

/// <summary>A safetensors file, mapped into memory: a tensor that is read takes no memory of its own until something writes to it.</summary>
public sealed unsafe partial class SafetensorsFile : ITensorSource, IDisposable
{
    private const long LargeEnough = 1 << 18;
    private const int DontNeed = 4;

    private readonly MemoryMappedFile? _map;
    private readonly Mapping? _mapping;
    private bool _disposed;

    private SafetensorsFile(string path, MemoryMappedFile? map, Mapping? mapping, Dictionary<string, SafetensorsEntry> entries, Dictionary<string, string> metadata)
    {
        FilePath = path;
        _map = map;
        _mapping = mapping;
        Entries = entries;
        Metadata = metadata;
    }

    /// <summary>The file.</summary>
    public string FilePath { get; }

    /// <summary>What it holds, by key.</summary>
    public IReadOnlyDictionary<string, SafetensorsEntry> Entries { get; }

    /// <summary>The texts under <c>__metadata__</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <inheritdoc/>
    public IEnumerable<string> Names => Entries.Keys;

    /// <summary>Opens a file and checks its header.</summary>
    /// <exception cref="InputException">The file is missing, broken or hostile.</exception>
    public static SafetensorsFile Open(string path)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1);
            var length = stream.Length;
            var (entries, metadata) = SafetensorsHeader.Read(stream, length, path);
            if (entries.Count == 0)
                return new SafetensorsFile(path, null, null, entries, metadata);
            var map = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            var view = map.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
            return new SafetensorsFile(path, map, new Mapping(view), entries, metadata);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"Cannot read '{path}': {e.Message}", e);
        }
    }

    /// <inheritdoc/>
    public long[] ShapeOf(string name) => Find(name).Shape;

    /// <summary>The tensor under a key, over the mapped file: read-only memory, so clone what is to be written to. It stays valid after the file is closed.</summary>
    /// <exception cref="InputException">There is no such key.</exception>
    public Tensor Read(string name)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        var entry = Find(name);
        if (entry.Length == 0)
            return Ops.Empty(entry.Shape, dtype: entry.DType);
        var start = _mapping!.Share() + entry.Offset;
        // A header of odd length puts numbers on odd addresses, which vector instructions of libtorch do not expect.
        if ((nint)start % entry.DType.Size() == 0)
        {
            var (mapping, address) = (_mapping, (nint)start);
            return Tensor.Over(start, entry.Shape, entry.DType, () => mapping.Release(address, entry.Length));
        }

        var copy = Ops.Empty(entry.Shape, dtype: entry.DType);
        fixed (byte* target = copy.Bytes())
            Buffer.MemoryCopy(start, target, entry.Length, entry.Length);
        _mapping.Release();
        return copy;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _mapping?.Release();
        _map?.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint start, nuint length, int advice);

    private SafetensorsEntry Find(string name) =>
        Entries.TryGetValue(name, out var entry) ? entry : throw new InputException($"'{FilePath}' has no tensor '{name}'. It holds {Entries.Count} others.");

    /// <summary>The mapped view, freed with its last user: the file object or a tensor over it.</summary>
    private sealed class Mapping
    {
        private readonly MemoryMappedViewAccessor _view;
        private readonly byte* _start;
        private int _users = 1;

        public Mapping(MemoryMappedViewAccessor view)
        {
            _view = view;
            byte* start = null;
            view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
            _start = start + view.PointerOffset;
        }

        public byte* Share()
        {
            Interlocked.Increment(ref _users);
            return _start;
        }

        /// <summary>Gives one use back, and the memory of the pages that only it looked at: they stay in the system's cache, but no longer count as this process's.</summary>
        public void Release(nint start, long length)
        {
            if (OperatingSystem.IsLinux() && length >= LargeEnough)
            {
                var page = Environment.SystemPageSize;
                var first = (start + page - 1) / page * page;
                var end = (start + (nint)length) / page * page;
                // Advice only: where it is not taken, the pages go with the mapping.
                _ = Advise(first, (nuint)(end - first), DontNeed);
            }

            Release();
        }

        public void Release()
        {
            if (Interlocked.Decrement(ref _users) > 0)
                return;
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
        }
    }
}
