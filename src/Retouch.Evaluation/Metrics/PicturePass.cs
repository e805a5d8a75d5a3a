using Retouch.Evaluation.Statistics;

namespace Retouch.Evaluation.Metrics;

/// <summary>Pass of a metric of single pictures: the figure of a set is the mean over its pictures.</summary>
/// <param name="figures">The figures.</param>
/// <param name="measure">Figures of each picture of a batch: [batch · figures], picture by picture.</param>
public sealed class PicturePass(IReadOnlyList<FigureName> figures, Func<MetricBatch, double[]> measure) : MetricPass<PicturePass>
{
    private readonly List<double> _rows = [];

    /// <summary>Starts the pass of a metric that does not read the reference: null for the reference.</summary>
    /// <param name="set">Set of the pass.</param>
    /// <param name="figures">The figures.</param>
    /// <param name="measure">Figures of each picture of a batch: [batch · figures], picture by picture.</param>
    /// <param name="notes">Value of <see cref="Notes"/>; null for none.</param>
    public static PicturePass? Over(
        MeasuredSet set,
        IReadOnlyList<FigureName> figures,
        Func<MetricBatch, double[]> measure,
        Func<IReadOnlyList<double>, IReadOnlyList<string>>? notes = null
    )
    {
        ArgumentNullException.ThrowIfNull(set);
        return set.IsReference ? null : new PicturePass(figures, measure) { Notes = notes ?? (static _ => []) };
    }

    /// <summary>Limitations derived from the pictures' figures, as <see cref="ImageScores.Notes"/>.</summary>
    public Func<IReadOnlyList<double>, IReadOnlyList<string>> Notes { get; init; } = static _ => [];

    /// <inheritdoc/>
    public override void Add(MetricBatch batch) => _rows.AddRange(measure(batch));

    /// <inheritdoc/>
    protected override IEnumerable<ImageScores> Scores(PicturePass? reference) =>
        [new(figures, [.. _rows], figures.Count, static mean => mean) { Notes = Notes(_rows), OwnOfReference = reference?.Means() }];

    private double[] Means() =>
        [.. Enumerable.Range(0, figures.Count).Select(k => _rows.Where((_, i) => i % figures.Count == k).Average())];
}
