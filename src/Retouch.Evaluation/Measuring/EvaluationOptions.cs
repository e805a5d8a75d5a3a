using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Patches;
using Retouch.Evaluation.Pictures;
using Retouch.Evaluation.Statistics;
using Retouch.Torch;
using Retouch.Torch.Distributed;

namespace Retouch.Evaluation.Measuring;

/// <summary>Metrics, networks and intervals of an evaluation.</summary>
public sealed record EvaluationOptions
{
    /// <summary>Metrics with their options, in the order of their figures.</summary>
    public IReadOnlyList<IMetric> Metrics { get; init; } = MetricCatalog.Of(MetricCatalog.Usual);

    /// <summary>Feature networks; not disposed.</summary>
    public IReadOnlyList<IFeatureExtractor> Networks { get; init; } = [];

    /// <summary>Bootstrap of the intervals.</summary>
    public BootstrapOptions Bootstrap { get; init; } = new();

    /// <summary>Smallest relevant difference, as a share of the baseline's figure, in [0, 1).</summary>
    [Bounds(AtLeast = 0, Below = 1)]
    public double SmallestDifference { get; init; } = VerdictRule.Smallest;

    /// <summary>Pictures per batch, 1 to 4096; affects memory and time, not results.</summary>
    [Bounds(AtLeast = 1, AtMost = 4096)]
    public int BatchSize { get; init; } = 64;

    /// <summary>Device of the computation.</summary>
    public Device Device { get; init; } = Device.Cpu;

    /// <summary>Processes that extract features together (<see cref="Evaluator.Assist"/>), with the figures of a single one; null for a
    /// single one.</summary>
    public IPeers? Peers { get; init; }

    /// <summary>Checks whether the metrics have the reference pictures that they need, before sets are sampled or read.</summary>
    /// <param name="reference">Reference, or null.</param>
    /// <exception cref="UsageException">The reference is missing.</exception>
    public void Check(ImageSet? reference)
    {
        if (reference is null && Metrics.Any(static m => (m.Needs & (MetricNeeds.Reference | MetricNeeds.Pairs)) != MetricNeeds.None))
            throw new UsageException("The requested metrics need reference pictures: give them with --reference FOLDER.");
    }

    /// <summary>Checks the options.</summary>
    /// <exception cref="UsageException">An option is out of range, or a network is missing or unused.</exception>
    /// <exception cref="InputException">A file named by an option is unsuitable.</exception>
    public void Validate()
    {
        var check = Requirements.OfFlags(
            (nameof(KernelDistanceOptions.Subsets), "--kid-subsets"),
            (nameof(KernelDistanceOptions.SubsetSize), "--kid-subset-size"),
            (nameof(SlicedWassersteinOptions.Patches), "the number of patches")
        );
        check.Members(this);
        Bootstrap.Validate(check);
        check.That(Metrics.Count > 0, $"No metric is given; choose from {MetricCatalog.Listed(static _ => true, "and")}");
        foreach (var twice in Metrics.GroupBy(static m => m.Name).Where(static group => group.Count() > 1))
            check.That(false, $"The metric {twice.Key} is given {twice.Count()} times");
        foreach (var metric in Metrics)
            metric.Validate(Networks, check);
        foreach (var key in Networks.Select(static n => n.Protocol.Key).Where(key => !Metrics.Any(m => m.Uses(key))))
            check.That(
                false,
                $"{(key == FeatureNames.Inception ? "The Inception" : "A feature")} network is given, but no metric uses it; add "
                    + $"{MetricCatalog.Listed(m => m.Uses(key), "or")} (--metrics) or omit it"
            );
        check.Throw();
    }
}
