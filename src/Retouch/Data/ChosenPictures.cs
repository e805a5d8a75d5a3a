using Retouch.Data.Pairs;
using Retouch.Images;

namespace Retouch.Data;

/// <summary>Some samples of a source, in a given order; of pairs for a pair source (<see cref="Of"/>).</summary>
internal class ChosenPictures : IPictureSource
{
    private readonly IPictureSource _source;

    private protected ChosenPictures(IPictureSource source, IReadOnlyList<int> chosen) => (_source, Chosen) = (source, chosen);

    /// <inheritdoc/>
    public int Count => Chosen.Count;

    /// <inheritdoc/>
    public IReadOnlyList<string> Classes => _source.Classes;

    /// <inheritdoc/>
    public bool HasNumberedClasses => _source.HasNumberedClasses;

    /// <inheritdoc/>
    public IReadOnlyList<string> Notes => _source.Notes;

    /// <inheritdoc/>
    public Sample this[int index] => _source[Chosen[index]];

    /// <summary>Indices in the underlying source.</summary>
    private protected IReadOnlyList<int> Chosen { get; }

    /// <summary>Chooses samples.</summary>
    /// <param name="source">Underlying source.</param>
    /// <param name="chosen">Indices in the underlying source, at least one.</param>
    public static IPictureSource Of(IPictureSource source, IReadOnlyList<int> chosen) =>
        source is IPairSource pairs ? new ChosenPairs(pairs, chosen) : new ChosenPictures(source, chosen);

    /// <summary>Chooses the first samples, for measurements on a part of the data.</summary>
    /// <param name="source">Underlying source.</param>
    /// <param name="most">Maximum number of samples, at least 1.</param>
    public static IPictureSource First(IPictureSource source, int most) =>
        Of(source, [.. Enumerable.Range(0, Math.Min(source.Count, most))]);

    /// <inheritdoc/>
    public bool HasMask(int index) => _source.HasMask(Chosen[index]);

    /// <inheritdoc/>
    public string MaskStamp(int index) => _source.MaskStamp(Chosen[index]);

    /// <inheritdoc/>
    public Picture? LoadMask(int index) => _source.LoadMask(Chosen[index]);

    /// <inheritdoc/>
    public string Stamp(int index) => _source.Stamp(Chosen[index]);

    /// <inheritdoc/>
    public IReadOnlyList<string> FilesOf(int index) => _source.FilesOf(Chosen[index]);

    /// <inheritdoc/>
    public (int Width, int Height) SizeOf(int index) => _source.SizeOf(Chosen[index]);

    /// <inheritdoc/>
    public SourcePicture Load(int index, int minSide = 0) => _source.Load(Chosen[index], minSide);

    private sealed class ChosenPairs(IPairSource pairs, IReadOnlyList<int> chosen) : ChosenPictures(pairs, chosen), IPairSource
    {
        /// <inheritdoc/>
        public Sample Loser(int index) => pairs.Loser(Chosen[index]);

        /// <inheritdoc/>
        public SourcePicture LoadLoser(int index, int minSide = 0) => pairs.LoadLoser(Chosen[index], minSide);
    }
}
