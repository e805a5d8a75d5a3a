using Retouch.Data.Pairs;

namespace Retouch.Data;

/// <summary>A source whose labels are mapped to a model's class indices.</summary>
internal class RelabelledPictures : IPictureSource
{
    private readonly IPictureSource _source;
    private readonly IReadOnlyList<int> _labels;

    private protected RelabelledPictures(IPictureSource source, IReadOnlyList<int> labels)
    {
        (_source, _labels) = (source, labels);
        var classes = Enumerable
            .Range(0, labels.Max() + 1)
            .Select(static k => k.ToString(System.Globalization.CultureInfo.InvariantCulture))
            .ToArray();
        for (var label = 0; label < labels.Count; label++)
            classes[labels[label]] = source.Classes[label];
        Classes = classes;
    }

    /// <inheritdoc/>
    public int Count => _source.Count;

    /// <inheritdoc/>
    public IReadOnlyList<string> Classes { get; }

    /// <inheritdoc/>
    public bool HasNumberedClasses => true;

    /// <inheritdoc/>
    public IReadOnlyList<string> Notes => _source.Notes;

    /// <inheritdoc/>
    public Sample this[int index] => Relabel(_source[index]);

    /// <summary>Creates a source with mapped labels; of pairs for a pair source.</summary>
    /// <param name="source">Underlying source.</param>
    /// <param name="labels">New label by old label.</param>
    public static IPictureSource Of(IPictureSource source, IReadOnlyList<int> labels) =>
        source is IPairSource pairs ? new RelabelledPairs(pairs, labels) : new RelabelledPictures(source, labels);

    /// <inheritdoc/>
    public string Stamp(int index) => _source.Stamp(index);

    /// <inheritdoc/>
    public (int Width, int Height) SizeOf(int index) => _source.SizeOf(index);

    /// <inheritdoc/>
    public SourcePicture Load(int index, int minSide = 0) => _source.Load(index, minSide);

    private protected Sample Relabel(Sample sample) => sample with { Label = sample.Label is { } label ? _labels[label] : null };
}

/// <summary>Pairs with mapped labels.</summary>
internal sealed class RelabelledPairs(IPairSource pairs, IReadOnlyList<int> labels) : RelabelledPictures(pairs, labels), IPairSource
{
    /// <inheritdoc/>
    public Sample Loser(int index) => Relabel(pairs.Loser(index));

    /// <inheritdoc/>
    public SourcePicture LoadLoser(int index, int minSide = 0) => pairs.LoadLoser(index, minSide);
}
