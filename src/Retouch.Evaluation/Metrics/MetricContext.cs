using Retouch.Evaluation.Features;
using Retouch.Evaluation.Pictures;
using Retouch.Torch;

namespace Retouch.Evaluation.Metrics;

/// <summary>Sets, networks and machine of an evaluation.</summary>
/// <param name="Metrics">Metrics of the evaluation.</param>
/// <param name="Reference">Reference pictures; null without.</param>
/// <param name="Sets">Sets, the baseline first; at least one.</param>
/// <param name="Networks">Feature networks.</param>
/// <param name="Device">Where to compute.</param>
/// <param name="BatchSize">Pictures of a batch.</param>
/// <param name="Cancellation">Ends the evaluation.</param>
public sealed record MetricContext(
    IReadOnlyList<IMetric> Metrics,
    ImageSet? Reference,
    IReadOnlyList<ImageSet> Sets,
    IReadOnlyList<IFeatureExtractor> Networks,
    Device Device,
    int BatchSize,
    CancellationToken Cancellation
)
{
    /// <summary>Pixels in a row of every picture.</summary>
    public int Width => (Reference ?? Sets[0]).Width;

    /// <summary>Rows of every picture.</summary>
    public int Height => (Reference ?? Sets[0]).Height;

    /// <summary>Reference, where there is one, and sets.</summary>
    public IEnumerable<ImageSet> All => Reference is null ? Sets : Sets.Prepend(Reference);

    /// <summary>Limitation of a set's figures; of the reference, a limitation of every set's.</summary>
    /// <param name="set">A set, or the reference.</param>
    /// <param name="text">A whole sentence.</param>
    /// <param name="voids">As <see cref="Limitation.Voids"/>.</param>
    public Limitation About(ImageSet set, string text, params IReadOnlyList<string> voids) =>
        new(text) { Set = ReferenceEquals(set, Reference) ? null : set, Voids = voids };

    /// <summary>
    /// Limitation of figures that depend on the number of pictures: a caution below <see cref="Limitation.FewPictures"/>, and void where
    /// the number is not the baseline's. None for larger sets.
    /// </summary>
    /// <param name="set">A set, or the reference.</param>
    /// <param name="said">The figures in a sentence.</param>
    /// <param name="figures">Names of the figures.</param>
    public IEnumerable<Limitation> FewPictures(ImageSet set, string said, params IReadOnlyList<string> figures)
    {
        ArgumentNullException.ThrowIfNull(set);
        ArgumentNullException.ThrowIfNull(said);
        if (set.Count >= Limitation.FewPictures)
            return [];
        var isEven = ReferenceEquals(set, Reference) || set.Count == Sets[0].Count;
        return
        [
            About(
                set,
                $"'{set.Name}' has {set.Count} pictures; below {Limitation.FewPictures}, {said} "
                    + $"{(said.Contains(',', StringComparison.Ordinal) ? "depend" : "depends")} on their number. Compare only sets of "
                    + "the same size.",
                isEven ? [] : figures
            ),
        ];
    }
}
