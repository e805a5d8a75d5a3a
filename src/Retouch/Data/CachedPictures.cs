using Retouch.Core.Errors;

namespace Retouch.Data;

/// <summary>
/// A source that keeps what it has read in memory, up to a bound: for small pictures that are read again every epoch, and for scenes,
/// whose drawing takes longer than a step of a small model. What does not fit is read again each time.
/// </summary>
public sealed class CachedPictures : IPictureSource
{
    private readonly IPictureSource source;
    private readonly long maxBytes;
    private readonly int minSide;
    private readonly SourcePicture?[] kept;
    private long bytes;

    /// <param name="source">Where pictures come from.</param>
    /// <param name="minSide">What every reader asks for, see <see cref="IPictureSource.Load"/>.</param>
    /// <param name="maxBytes">Bound on the pixels kept.</param>
    /// <exception cref="UsageException">The bound is negative.</exception>
    public CachedPictures(IPictureSource source, int minSide, long maxBytes)
    {
        ArgumentNullException.ThrowIfNull(source);
        if (maxBytes < 0)
            throw new UsageException($"The bound of the picture cache is {maxBytes} bytes; it is not negative.");
        this.source = source;
        this.minSide = minSide;
        this.maxBytes = maxBytes;
        kept = new SourcePicture?[source.Count];
    }

    /// <summary>Bytes of pixels that are kept now.</summary>
    public long KeptBytes => Interlocked.Read(ref bytes);

    /// <inheritdoc/>
    public int Count => source.Count;

    /// <inheritdoc/>
    public IReadOnlyList<string> Classes => source.Classes;

    /// <inheritdoc/>
    public bool HasNumberedClasses => source.HasNumberedClasses;

    /// <inheritdoc/>
    public IReadOnlyList<string> Notes => source.Notes;

    /// <inheritdoc/>
    public Sample this[int index] => source[index];

    /// <inheritdoc/>
    public string Stamp(int index) => source.Stamp(index);

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">Another <paramref name="minSide"/> than the cache was made for.</exception>
    public SourcePicture Load(int index, int minSide = 0)
    {
        if (minSide != this.minSide)
            throw new ArgumentException($"The cache holds pictures read for a side of {this.minSide}, not {minSide}.", nameof(minSide));
        if (Volatile.Read(ref kept[index]) is { } known)
            return known;
        var loaded = source.Load(index, minSide);
        var size = (long)loaded.Picture.Pixels.Length;
        if (Interlocked.Add(ref bytes, size) > maxBytes || Interlocked.CompareExchange(ref kept[index], loaded, null) is not null)
            Interlocked.Add(ref bytes, -size);
        return loaded;
    }
}
