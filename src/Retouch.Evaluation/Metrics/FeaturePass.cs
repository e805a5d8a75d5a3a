using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Statistics;

namespace Retouch.Evaluation.Metrics;

/// <summary>Compares a set's features with the reference's.</summary>
/// <param name="network">Protocol of the network.</param>
/// <param name="own">Features of the set.</param>
/// <param name="reference">Features of the reference; null without a pass over the reference.</param>
public delegate IEnumerable<ImageScores> FeatureComparison(FeatureProtocol network, SetFeatures own, SetFeatures? reference);

/// <summary>Pass of a metric of feature distributions, network by network.</summary>
public sealed class FeaturePass : MetricPass<FeaturePass>
{
    private readonly (FeatureProtocol Network, SetFeatures Features)[] _networks;
    private readonly CancellationToken _cancellation;
    private readonly FeatureComparison _compare;

    /// <param name="metric">Metric; determines the networks.</param>
    /// <param name="set">Set of the pass.</param>
    /// <param name="compare">Scores under one network.</param>
    public FeaturePass(IMetric metric, MeasuredSet set, FeatureComparison compare)
    {
        ArgumentNullException.ThrowIfNull(metric);
        ArgumentNullException.ThrowIfNull(set);
        _networks = [.. set.Context.Networks.Where(n => metric.Uses(n.Protocol.Key)).Select(n => (n.Protocol, set.Features(n)))];
        _cancellation = set.Context.Cancellation;
        _compare = compare;
    }

    /// <inheritdoc/>
    public override void Add(MetricBatch batch) { }

    /// <inheritdoc/>
    protected override IEnumerable<ImageScores> Scores(FeaturePass? reference)
    {
        List<ImageScores> scores = [];
        for (var k = 0; k < _networks.Length; k++)
        {
            _cancellation.ThrowIfCancellationRequested();
            scores.AddRange(_compare(_networks[k].Network, _networks[k].Features, reference?._networks[k].Features));
        }

        return scores;
    }

    /// <summary>Checks that a metric has at least one network.</summary>
    /// <param name="metric">The metric.</param>
    /// <param name="networks">Networks of the evaluation.</param>
    /// <param name="check">Receives the problem if the metric uses none of the networks.</param>
    /// <param name="problem">Error message, without a full stop.</param>
    internal static void Require(IMetric metric, IReadOnlyList<IFeatureExtractor> networks, Requirements check, string problem) =>
        check.That(networks.Any(n => metric.Uses(n.Protocol.Key)), problem);
}
