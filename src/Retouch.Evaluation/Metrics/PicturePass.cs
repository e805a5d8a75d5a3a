using Retouch.Evaluation.Statistics;

namespace Retouch.Evaluation.Metrics;

/// <summary>Pass of a metric of single pictures: a figure of the set is the mean over its pictures.</summary>
/// <param name="figures">The figures.</param>
/// <param name="measure">Figures of each picture of a batch: [batch · figures], picture by picture.</param>
public sealed class PicturePass(IReadOnlyList<FigureName> figures, Func<MetricBatch, double[]> measure) : MetricPass<PicturePass>
{
    private readonly List<double> _rows = [];

    /// <summary>Limitations found in the pictures' figures, as <see cref="ImageScores.Notes"/>.</summary>
    public Func<IReadOnlyList<double>, IReadOnlyList<string>> Notes { get; init; } = static _ => [];

    /// <inheritdoc/>
    public override void Add(MetricBatch batch) => _rows.AddRange(measure(batch));

    /// <inheritdoc/>
    protected override IEnumerable<ImageScores> Scores(PicturePass? reference) =>
        [new(figures, [.. _rows], figures.Count, static mean => mean) { Notes = Notes(_rows), OwnOfReference = reference?.Means() }];

    private double[] Means() =>
        [.. Enumerable.Range(0, figures.Count).Select(k => _rows.Where((_, i) => i % figures.Count == k).Average())];
}
