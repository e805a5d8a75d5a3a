using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Retouch.Torch.Io;

/// <summary>
/// A file mapped into memory, for tensors that share its pages. The mapping is freed with its last user: whoever opened it, or a tensor
/// over it.
/// </summary>
internal sealed unsafe partial class MappedFile
{
    private const long LargeEnough = 1 << 18;
    private const int DontNeed = 4;

    private readonly SafeFileHandle _file;
    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _start;
    private int _users = 1;

    /// <summary>Maps a file that is not empty; its caller is the first user.</summary>
    /// <exception cref="IOException">It cannot be read.</exception>
    public MappedFile(string path)
    {
        _file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
        try
        {
            Length = RandomAccess.GetLength(_file);
            _map = MemoryMappedFile.CreateFromFile(_file, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
            _view = _map.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        }
        catch
        {
            _map?.Dispose();
            _file.Dispose();
            throw;
        }

        byte* start = null;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        _start = start + _view.PointerOffset;
    }

    /// <summary>Bytes in the file.</summary>
    public long Length { get; }

    /// <summary>A part of the file; valid as long as there is a user. The caller has checked that it lies inside.</summary>
    public ReadOnlySpan<byte> Slice(long offset, int length) => new(_start + offset, length);

    /// <summary>
    /// A tensor over a part of the file, a further user; where its numbers do not stand on multiples of their size, a copy.
    /// </summary>
    public Tensor Over(long offset, ReadOnlySpan<long> shape, DType dtype)
    {
        // libtorch's vector instructions expect numbers on multiples of their size.
        if ((nint)(_start + offset) % dtype.Size() != 0)
            return Copy(offset, shape, dtype);
        Interlocked.Increment(ref _users);
        long bytes = dtype.Size();
        foreach (var size in shape)
            bytes *= size;
        var start = (nint)(_start + offset);
        return Tensor.Over(_start + offset, shape, dtype, () => Release(start, bytes));
    }

    /// <summary>
    /// A tensor with memory of its own. It is read past the mapping, whose pages would otherwise stay in memory beside the copy.
    /// </summary>
    /// <param name="offset">Its first byte.</param>
    /// <param name="shape">Its shape.</param>
    /// <param name="dtype">Its type.</param>
    /// <param name="piece">Most bytes that are read at once: no call reads more than 2 GiB.</param>
    public Tensor Copy(long offset, ReadOnlySpan<long> shape, DType dtype, int piece = 1 << 26)
    {
        var copy = Ops.Empty(shape, dtype: dtype);
        var target = (byte*)Interop.TensorInfo.Of(copy.Handle).Data;
        var length = copy.Count * dtype.Size();
        for (var done = 0L; done < length; )
        {
            var read = RandomAccess.Read(_file, new Span<byte>(target + done, (int)Math.Min(piece, length - done)), offset + done);
            if (read == 0)
                throw new Core.Errors.InputException("A file of weights became shorter while it was read. Do not change it meanwhile.");
            done += read;
        }

        return copy;
    }

    /// <summary>
    /// Takes a tensor away, and the memory of the pages that only it looked at: they stay in the system's cache, but no longer count as
    /// this process's.
    /// </summary>
    private void Release(nint start, long length)
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

    /// <summary>Takes a user away.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _users) > 0)
            return;
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _map.Dispose();
        _file.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint start, nuint length, int advice);
}
