using Retouch.Core.Errors;
using Retouch.Evaluation.Features;

namespace Retouch.Evaluation.Metrics;

/// <summary>Kernel distance of features, see <see cref="KernelDistance"/>: <c>kid</c> on Inception features, <c>kd.</c> and the key on
/// those of other networks.</summary>
public sealed record KernelDistanceMetric : IEveryNetworkMetric
{
    /// <inheritdoc/>
    public string Name => "kid";

    /// <inheritdoc/>
    public string Title => "kernel distance on the features of every network";

    /// <inheritdoc/>
    public MetricNeeds Needs => MetricNeeds.Reference | MetricNeeds.Network;

    /// <inheritdoc/>
    public IReadOnlyList<FigureHeading> Headings => [new("kd", "kd", "kernel distance", HasParts: false)];

    /// <summary>Subsets and seed.</summary>
    public KernelDistanceOptions Options { get; init; } = new();

    void IEveryNetworkMetric.ValidateOptions(Requirements check) => Options.Validate(check);

    /// <inheritdoc/>
    public IEnumerable<ProtocolEntry> Protocol(MetricContext context) =>
        [
            new(
                "kernel",
                Options,
                "Kernel",
                $"{Options.Kernel}: {Options.Subsets} subsets of up to {Options.SubsetSize}, seed {Options.Seed}"
            ),
        ];

    /// <inheritdoc/>
    public IMetricPass Begin(MeasuredSet set) =>
        new FeaturePass(
            this,
            set,
            (network, own, reference) =>
                [
                    FeatureScores.Kernel(
                        FeatureNames.Kernel(network.Key),
                        own.Rows,
                        reference!.Rows,
                        Options,
                        set.Context.Device,
                        set.Context.Cancellation
                    ),
                ]
        );
}
