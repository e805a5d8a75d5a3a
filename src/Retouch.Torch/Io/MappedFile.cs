using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Retouch.Torch.Io;

/// <summary>
/// A memory-mapped file for tensors that share its pages. Reference-counted: the mapping is released with its last user, the opener or
/// a tensor.
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

    /// <summary>Maps a non-empty file; the caller is the first user.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
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

    /// <summary>File size in bytes.</summary>
    public long Length { get; }

    /// <summary>A range of the file, valid while there is a user. The caller must check the bounds.</summary>
    public ReadOnlySpan<byte> Slice(long offset, int length) => new(_start + offset, length);

    /// <summary>
    /// A tensor over a range of the file, counted as a user; a copy if the range is misaligned for the dtype.
    /// </summary>
    public Tensor Over(long offset, ReadOnlySpan<long> shape, DType dtype)
    {
        // libtorch's vector instructions need aligned elements.
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
    /// A tensor with its own memory. The file is read directly, since pages of the mapping would stay in memory beside the copy.
    /// </summary>
    /// <param name="offset">Byte offset in the file.</param>
    /// <param name="shape">Sizes of the dimensions.</param>
    /// <param name="dtype">Element type.</param>
    /// <param name="piece">Maximum bytes per read; a single call reads at most 2 GiB.</param>
    public Tensor Copy(long offset, ReadOnlySpan<long> shape, DType dtype, int piece = 1 << 26)
    {
        var copy = Ops.Empty(shape, dtype: dtype);
        var target = (byte*)Interop.TensorInfo.Of(copy.Handle).Data;
        var length = copy.Count * dtype.Size();
        for (var done = 0L; done < length; )
        {
            var read = RandomAccess.Read(_file, new Span<byte>(target + done, (int)Math.Min(piece, length - done)), offset + done);
            if (read == 0)
                throw new Core.Errors.InputException("A weights file became shorter while being read. Do not modify it during reading.");
            done += read;
        }

        return copy;
    }

    /// <summary>
    /// Releases a tensor and the pages that only it used: they stay in the system's cache, but no longer count as this process's
    /// memory.
    /// </summary>
    private void Release(nint start, long length)
    {
        if (OperatingSystem.IsLinux() && length >= LargeEnough)
        {
            var page = Environment.SystemPageSize;
            var first = (start + page - 1) / page * page;
            var end = (start + (nint)length) / page * page;
            // Advisory: without it, the pages are released with the mapping.
            _ = Advise(first, (nuint)(end - first), DontNeed);
        }

        Release();
    }

    /// <summary>Removes a user.</summary>
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
