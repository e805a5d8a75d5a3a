using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Statistics;
using Retouch.Torch;

namespace Retouch.Evaluation.Metrics;

/// <summary>Input of a metric besides the pictures themselves.</summary>
[Flags]
public enum MetricNeeds
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>Reference pictures.</summary>
    Reference = 1,

    /// <summary>For each picture, the reference's picture of the same name.</summary>
    Pairs = 2,

    /// <summary>A caption for each picture.</summary>
    Captions = 4,

    /// <summary>A feature network, see <see cref="IMetric.Uses"/>.</summary>
    Network = 8,
}

/// <summary>Heading of a figure in the tables of reports.</summary>
/// <param name="Figure">Name of the figure, up to its first point: <c>fwd</c>.</param>
/// <param name="Title">Heading of the figure without a suffix.</param>
/// <param name="Prefix">Heading before a suffix.</param>
/// <param name="HasParts">Whether a suffix names a part of the figure, such as a frequency band, rather than a network.</param>
public sealed record FigureHeading(string Figure, string Title, string Prefix, bool HasParts);

/// <summary>Entry of the protocol: settings that decide a metric's figures.</summary>
/// <param name="Member">Member of the JSON protocol, in camel case.</param>
/// <param name="Value">Settings, serialised under <paramref name="Member"/>.</param>
/// <param name="Heading">Heading in text.</param>
/// <param name="Text">Settings in words.</param>
public sealed record ProtocolEntry(string Member, object Value, string Heading, string Text);

/// <summary>
/// Metric of a set of pictures: by itself, against reference pictures, or picture by picture against originals. A metric is a record with
/// its options; <see cref="MetricCatalog"/> lists the metrics by name. An evaluation reads each set once for all metrics
/// (<see cref="IMetricPass"/>) and extracts the features of a network once for all metrics that use it
/// (<see cref="MeasuredSet.Features"/>).
/// </summary>
public interface IMetric
{
    /// <summary>Name in <c>--metrics</c>, in <c>evaluation.metrics</c> of an ablation and in the protocol.</summary>
    string Name { get; }

    /// <summary>Quantity in a few words, for help.</summary>
    string Title { get; }

    /// <summary>Input besides the pictures.</summary>
    MetricNeeds Needs { get; }

    /// <summary>Headings of figures whose name is no heading by itself.</summary>
    IReadOnlyList<FigureHeading> Headings => [];

    /// <summary>Readings of a set, 1 or 2; the second by <see cref="MeasuredSet.ReadAgain"/>.</summary>
    int Readings => 1;

    /// <summary>Stand-in for the reference pictures where the options hold one; null otherwise.</summary>
    ReferenceResult? StandIn => null;

    /// <summary>Whether the features of a network are used.</summary>
    /// <param name="network">Key of the network, as <see cref="FeatureProtocol.Key"/>.</param>
    bool Uses(string network) => false;

    /// <summary>Checks the options and that the networks are given.</summary>
    /// <param name="networks">Feature networks of the evaluation.</param>
    /// <param name="check">Receives the problems: an option is out of range, or a network is missing.</param>
    /// <exception cref="InputException">A file named by an option does not fit.</exception>
    void Validate(IReadOnlyList<IFeatureExtractor> networks, Requirements check) { }

    /// <summary>Checks the pictures.</summary>
    /// <param name="context">Sets, size and networks.</param>
    /// <exception cref="UsageException">The pictures' size does not fit.</exception>
    void Check(MetricContext context) { }

    /// <summary>Settings that decide the figures; those of networks and of the bootstrap are the evaluation's.</summary>
    /// <param name="context">Sets, size and networks.</param>
    IEnumerable<ProtocolEntry> Protocol(MetricContext context) => [];

    /// <summary>Limitations of the figures, by the number of pictures or by the options.</summary>
    /// <param name="context">Sets, size and networks.</param>
    IEnumerable<Limitation> Limitations(MetricContext context) => [];

    /// <summary>Starts a pass over a set; null where the metric does not look at the set (a paired metric at the reference).</summary>
    /// <param name="set">The set; features are asked for here.</param>
    IMetricPass? Begin(MeasuredSet set);
}

/// <summary>Pictures of a batch.</summary>
/// <param name="Start">Index of the first picture in its set.</param>
/// <param name="Images">[batch, 3, height, width] in [0, 1], on the evaluation's device.</param>
/// <param name="Originals">Reference pictures of the same names, of the same shape; null unless a metric needs pairs.</param>
public sealed record MetricBatch(int Start, Tensor Images, Tensor? Originals);

/// <summary>Statistics of one set under one metric, accumulated batch by batch.</summary>
public interface IMetricPass : IDisposable
{
    /// <summary>Adds a batch.</summary>
    /// <param name="batch">Pictures in the order of the set.</param>
    void Add(MetricBatch batch);

    /// <summary>Scores of the set, after its last batch.</summary>
    /// <param name="reference">Pass of the same metric over the reference; null without one.</param>
    IEnumerable<ImageScores> Scores(IMetricPass? reference);
}

/// <summary>Pass whose reference is of the same type.</summary>
/// <typeparam name="T">The deriving type.</typeparam>
public abstract class MetricPass<T> : IMetricPass
    where T : MetricPass<T>
{
    /// <inheritdoc/>
    public abstract void Add(MetricBatch batch);

    /// <inheritdoc cref="IMetricPass.Scores"/>
    protected abstract IEnumerable<ImageScores> Scores(T? reference);

    IEnumerable<ImageScores> IMetricPass.Scores(IMetricPass? reference) => Scores((T?)reference);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the statistics.</summary>
    /// <param name="disposing">Always true.</param>
    protected virtual void Dispose(bool disposing) { }
}
