using Retouch.Core.Errors;
using Retouch.Evaluation.Features;

namespace Retouch.Evaluation.Metrics;

/// <summary>Precision, recall, density and coverage of features, see <see cref="PrecisionRecall"/>; names have the network's key after a
/// point, except for Inception.</summary>
public sealed record PrecisionRecallMetric : IEveryNetworkMetric
{
    private static readonly string[] Figures = ["precision", "recall", "density", "coverage"];

    /// <inheritdoc/>
    public string Name => "prdc";

    /// <inheritdoc/>
    public string Title => "precision, recall, density and coverage on the features of every network";

    /// <inheritdoc/>
    public MetricNeeds Needs => MetricNeeds.Reference | MetricNeeds.Network;

    /// <inheritdoc/>
    public IReadOnlyList<FigureHeading> Headings =>
        [.. Figures.Select(static name => new FigureHeading(name, name, name, HasParts: false))];

    /// <summary>Number of neighbours and ball rule.</summary>
    public PrecisionRecallOptions Options { get; init; } = new();

    void IEveryNetworkMetric.ValidateOptions(Requirements check) => Options.Validate(check);

    /// <inheritdoc/>
    public IEnumerable<ProtocolEntry> Protocol(MetricContext context) =>
        [
            new(
                "precisionRecall",
                Options,
                "Neighbours",
                $"{Options.Neighbours}, "
                    + (Options.Rule == BallRule.Open ? "open balls (distance < radius)" : "closed balls (distance <= radius)")
            ),
        ];

    /// <inheritdoc/>
    public IEnumerable<Limitation> Limitations(MetricContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return from set in context.All
            from key in context.Networks.Select(static n => n.Protocol.Key)
            let suffix = key == FeatureNames.Inception ? "" : $" on {key}"
            from limitation in context.FewPictures(
                set,
                $"precision, recall, density and coverage{suffix}",
                [.. Figures.Select(figure => figure + FeatureNames.Suffix(key))]
            )
            select limitation;
    }

    /// <inheritdoc/>
    public IMetricPass Begin(MeasuredSet set) =>
        new FeaturePass(
            this,
            set,
            (network, own, reference) =>
            {
                var compared = PrecisionRecall.Between(own.Rows, reference!.Rows, Options, set.Context.Device, set.Context.Cancellation);
                var (images, real) = FeatureScores.PrecisionRecall(FeatureNames.Suffix(network.Key), compared, Options.Neighbours);
                return [images, real];
            }
        );
}
