using Retouch.Images;

namespace Retouch.Data;

/// <summary>A source with the pictures of another, whose samples are changed.</summary>
/// <param name="source">Underlying source.</param>
internal abstract class ChangedSamples(IPictureSource source) : IPictureSource
{
    /// <inheritdoc/>
    public int Count => source.Count;

    /// <inheritdoc/>
    public virtual IReadOnlyList<string> Classes => source.Classes;

    /// <inheritdoc/>
    public virtual bool HasNumberedClasses => source.HasNumberedClasses;

    /// <inheritdoc/>
    public IReadOnlyList<string> Notes => source.Notes;

    /// <inheritdoc/>
    public Sample this[int index] => Change(source[index]);

    /// <inheritdoc/>
    public bool HasMask(int index) => source.HasMask(index);

    /// <inheritdoc/>
    public string MaskStamp(int index) => source.MaskStamp(index);

    /// <inheritdoc/>
    public Picture? LoadMask(int index) => source.LoadMask(index);

    /// <inheritdoc/>
    public string Stamp(int index) => source.Stamp(index);

    /// <inheritdoc/>
    public IReadOnlyList<string> FilesOf(int index) => source.FilesOf(index);

    /// <inheritdoc/>
    public (int Width, int Height) SizeOf(int index) => source.SizeOf(index);

    /// <inheritdoc/>
    public SourcePicture Load(int index, int minSide = 0) => source.Load(index, minSide);

    /// <summary>The changed sample.</summary>
    private protected abstract Sample Change(Sample sample);
}
