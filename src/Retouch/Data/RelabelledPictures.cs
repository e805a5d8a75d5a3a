using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Data.Pairs;
using Retouch.Images;

namespace Retouch.Data;

/// <summary>A source whose labels are mapped to the class indices of a model, or to the classes of another source.</summary>
internal class RelabelledPictures : ChangedSamples
{
    private readonly IReadOnlyList<int> _labels;

    private protected RelabelledPictures(IPictureSource source, IReadOnlyList<int> labels, IPictureSource? other)
        : base(source)
    {
        _labels = labels;
        HasNumberedClasses = other?.HasNumberedClasses ?? true;
        Classes = other?.Classes ?? Named(source, labels);
    }

    /// <inheritdoc/>
    public override IReadOnlyList<string> Classes { get; }

    /// <inheritdoc/>
    public override bool HasNumberedClasses { get; }

    /// <summary>Creates a source with mapped labels; of pairs for a pair source.</summary>
    /// <param name="source">Underlying source.</param>
    /// <param name="labels">New label by old label.</param>
    public static IPictureSource Of(IPictureSource source, IReadOnlyList<int> labels) => Create(source, labels, null);

    /// <summary>A source with the classes of another, matched by name.</summary>
    /// <param name="source">Underlying source; its classes are a subset of the other's.</param>
    /// <param name="other">Source with the classes.</param>
    /// <exception cref="InputException">A class does not exist in the other source.</exception>
    public static IPictureSource WithClassesOf(IPictureSource source, IPictureSource other)
    {
        if (source.Classes.SequenceEqual(other.Classes) && source.HasNumberedClasses == other.HasNumberedClasses)
            return source;
        var known = other.Classes.Index().ToDictionary(static c => c.Item, static c => c.Index, StringComparer.Ordinal);
        string[] unknown = [.. source.Classes.Where(c => !known.ContainsKey(c))];
        return unknown.Length == 0
            ? Create(source, [.. source.Classes.Select(c => known[c])], other)
            : throw new InputException(
                $"{unknown.Length} classes do not occur in the training data: {string.Join(", ", Excerpt.First(unknown))}. Name the "
                    + "folders or labels as in the training data."
            );
    }

    private static IPictureSource Create(IPictureSource source, IReadOnlyList<int> labels, IPictureSource? other) =>
        source is IPairSource pairs ? new RelabelledPairs(pairs, labels, other) : new RelabelledPictures(source, labels, other);

    private static string[] Named(IPictureSource source, IReadOnlyList<int> labels)
    {
        var classes = Enumerable
            .Range(0, labels.Max() + 1)
            .Select(static k => k.ToString(System.Globalization.CultureInfo.InvariantCulture))
            .ToArray();
        for (var label = 0; label < labels.Count; label++)
            classes[labels[label]] = source.Classes[label];
        return classes;
    }

    private protected override Sample Change(Sample sample) => sample with { Label = sample.Label is { } label ? _labels[label] : null };
}

/// <summary>Pairs with mapped labels.</summary>
internal sealed class RelabelledPairs(IPairSource pairs, IReadOnlyList<int> labels, IPictureSource? other)
    : RelabelledPictures(pairs, labels, other),
        IPairSource
{
    /// <inheritdoc/>
    public Sample Loser(int index) => Change(pairs.Loser(index));

    /// <inheritdoc/>
    public SourcePicture LoadLoser(int index, int minSide = 0) => pairs.LoadLoser(index, minSide);
}
