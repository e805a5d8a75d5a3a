namespace Retouch.Data;

/// <summary>The first samples of a source, for measurements on a part of the data.</summary>
/// <param name="source">Underlying source.</param>
/// <param name="most">Maximum number of samples, at least 1.</param>
internal sealed class FirstPictures(IPictureSource source, int most) : IPictureSource
{
    /// <inheritdoc/>
    public int Count { get; } = Math.Min(source.Count, most);

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
    public (int Width, int Height) SizeOf(int index) => source.SizeOf(index);

    /// <inheritdoc/>
    public SourcePicture Load(int index, int minSide = 0) => source.Load(index, minSide);
}
