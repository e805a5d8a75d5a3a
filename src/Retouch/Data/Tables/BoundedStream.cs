namespace Retouch.Data.Tables;

/// <summary>
/// A file that can be read a limited number of bytes in all: the pages of a corrupt table can refer to each other in a cycle.
/// </summary>
internal sealed class BoundedStream(Stream inner, long most) : Stream
{
    private const string Inconsistent = "is corrupt: the sizes of its pages contradict each other";

    private long _left = most;

    /// <summary>Position before which bytes can be read; reading after it is an error.</summary>
    public long End { get; set; } = inner.Length;

    /// <inheritdoc/>
    public override bool CanRead => true;

    /// <inheritdoc/>
    public override bool CanSeek => true;

    /// <inheritdoc/>
    public override bool CanWrite => false;

    /// <inheritdoc/>
    public override long Length => inner.Length;

    /// <inheritdoc/>
    public override long Position
    {
        get => inner.Position;
        set => inner.Position = value;
    }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override int Read(Span<byte> buffer) =>
        inner.Position < End || End == inner.Length
            ? Count(inner.Read(buffer[..(int)Math.Clamp(End - inner.Position, 0, buffer.Length)]))
            : throw new TableFaultException(Inconsistent);

    /// <inheritdoc/>
    public override int ReadByte()
    {
        Span<byte> one = stackalloc byte[1];
        return Read(one) == 1 ? one[0] : -1;
    }

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => inner.Seek(offset, origin);

    /// <inheritdoc/>
    public override void Flush() { }

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            inner.Dispose();
        base.Dispose(disposing);
    }

    // A read at the end counts, too: it can be repeated without end.
    private int Count(int read) => (_left -= Math.Max(read, 1)) >= 0 ? read : throw new TableFaultException(Inconsistent);
}
