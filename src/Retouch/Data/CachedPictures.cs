using Retouch.Core.Errors;
using Retouch.Images;

namespace Retouch.Data;

/// <summary>
/// A source that caches decoded pictures in memory up to a limit: for small pictures that are read every epoch, and for procedural
/// scenes, whose drawing takes longer than a training step of a small model. Pictures beyond the limit are read each time.
/// </summary>
public sealed class CachedPictures : IPictureSource
{
    private readonly IPictureSource _source;
    private readonly long _maxBytes;
    private readonly int _minSide;
    private readonly SourcePicture?[] _kept;
    private long _bytes;

    /// <param name="source">Underlying source.</param>
    /// <param name="minSide">The <c>minSide</c> of every call, see <see cref="IPictureSource.Load"/>.</param>
    /// <param name="maxBytes">Maximum bytes of cached pixels.</param>
    /// <exception cref="UsageException">The limit is negative.</exception>
    public CachedPictures(IPictureSource source, int minSide, long maxBytes)
    {
        ArgumentNullException.ThrowIfNull(source);
        if (maxBytes < 0)
            throw new UsageException($"The limit of the picture cache is {maxBytes} bytes; it must not be negative.");
        _source = source;
        _minSide = minSide;
        _maxBytes = maxBytes;
        _kept = new SourcePicture?[source.Count];
    }

    /// <summary>Bytes of pixels in the cache.</summary>
    public long KeptBytes => Interlocked.Read(ref _bytes);

    /// <inheritdoc/>
    public int Count => _source.Count;

    /// <inheritdoc/>
    public IReadOnlyList<string> Classes => _source.Classes;

    /// <inheritdoc/>
    public bool HasNumberedClasses => _source.HasNumberedClasses;

    /// <inheritdoc/>
    public IReadOnlyList<string> Notes => _source.Notes;

    /// <inheritdoc/>
    public Sample this[int index] => _source[index];

    /// <inheritdoc/>
    public bool HasMask(int index) => _source.HasMask(index);

    /// <inheritdoc/>
    public string MaskStamp(int index) => _source.MaskStamp(index);

    /// <inheritdoc/>
    public Picture? LoadMask(int index) => _source.LoadMask(index);

    /// <inheritdoc/>
    public string Stamp(int index) => _source.Stamp(index);

    /// <inheritdoc/>
    /// <exception cref="ArgumentException"><paramref name="minSide"/> differs from the cache's.</exception>
    public SourcePicture Load(int index, int minSide = 0)
    {
        if (minSide != _minSide)
            throw new ArgumentException($"The cache contains pictures read for a side of {_minSide}, not {minSide}.", nameof(minSide));
        if (Volatile.Read(ref _kept[index]) is { } known)
            return known;
        var loaded = _source.Load(index, minSide);
        var size = (long)loaded.Picture.Pixels.Length;
        if (Interlocked.Add(ref _bytes, size) > _maxBytes || Interlocked.CompareExchange(ref _kept[index], loaded, null) is not null)
            Interlocked.Add(ref _bytes, -size);
        return loaded;
    }
}
