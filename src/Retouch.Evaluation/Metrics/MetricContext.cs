using Retouch.Evaluation.Features;
using Retouch.Evaluation.Pictures;
using Retouch.Torch;
using Retouch.Torch.Distributed;

namespace Retouch.Evaluation.Metrics;

/// <summary>Sets, networks and device of an evaluation.</summary>
/// <param name="Metrics">Metrics of the evaluation.</param>
/// <param name="Reference">Reference pictures, or null.</param>
/// <param name="Sets">At least one set; the first is the baseline.</param>
/// <param name="Networks">Feature networks.</param>
/// <param name="Device">Device of the computation.</param>
/// <param name="BatchSize">Pictures per batch.</param>
/// <param name="Cancellation">Cancels the evaluation.</param>
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
    /// <summary>Processes that extract features together, at least two; null for a single one.</summary>
    public IPeers? Peers { get; init; }

    /// <summary>Width of all pictures in pixels.</summary>
    public int Width => (Reference ?? Sets[0]).Width;

    /// <summary>Height of all pictures in pixels.</summary>
    public int Height => (Reference ?? Sets[0]).Height;

    /// <summary>The reference, if any, and the sets.</summary>
    public IEnumerable<ImageSet> All => Reference is null ? Sets : Sets.Prepend(Reference);

    /// <summary>Limitation of a set's figures; one of the reference applies to every set.</summary>
    /// <param name="set">A set, or the reference.</param>
    /// <param name="text">The warning, a sentence.</param>
    /// <param name="voids">Value of <see cref="Limitation.Voids"/>.</param>
    public Limitation About(ImageSet set, string text, params IReadOnlyList<string> voids) =>
        new(text) { Set = ReferenceEquals(set, Reference) ? null : set, Voids = voids };

    /// <summary>
    /// Limitation of figures that depend on the number of pictures: a caution below <see cref="Limitation.FewPictures"/>, void if the
    /// number differs from the baseline's; none for larger sets.
    /// </summary>
    /// <param name="set">A set, or the reference.</param>
    /// <param name="said">Names of the figures as part of a sentence.</param>
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
