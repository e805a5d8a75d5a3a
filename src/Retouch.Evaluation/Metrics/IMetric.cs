using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Statistics;
using Retouch.Torch;

namespace Retouch.Evaluation.Metrics;

/// <summary>Inputs of a metric besides the pictures themselves.</summary>
[Flags]
public enum MetricNeeds
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>Reference pictures.</summary>
    Reference = 1,

    /// <summary>A reference picture of the same name for each picture.</summary>
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

/// <summary>Entry of the protocol: settings that determine a metric's figures.</summary>
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

    /// <summary>Short description, for help.</summary>
    string Title { get; }

    /// <summary>Inputs besides the pictures.</summary>
    MetricNeeds Needs { get; }

    /// <summary>Headings of figures whose name is not used as heading.</summary>
    IReadOnlyList<FigureHeading> Headings => [];

    /// <summary>Number of readings of a set, 1 or 2; the second is started by <see cref="MeasuredSet.ReadAgain"/>.</summary>
    int Readings => 1;

    /// <summary>Whether passes read the pictures, besides the features of networks.</summary>
    bool ReadsPictures => true;

    /// <summary>Replacement of the reference pictures given by the options, or null.</summary>
    ReferenceResult? StandIn => null;

    /// <summary>Whether the features of a network are used.</summary>
    /// <param name="network">Key of the network, as <see cref="FeatureProtocol.Key"/>.</param>
    bool Uses(string network) => false;

    /// <summary>Checks the options and the networks.</summary>
    /// <param name="networks">Feature networks of the evaluation.</param>
    /// <param name="check">Receives the problems: options out of range, missing networks.</param>
    /// <exception cref="InputException">A file named by an option is unsuitable.</exception>
    void Validate(IReadOnlyList<IFeatureExtractor> networks, Requirements check) { }

    /// <summary>Checks the pictures.</summary>
    /// <param name="context">Sets, size and networks.</param>
    /// <exception cref="UsageException">The size of the pictures is unsuitable.</exception>
    void Check(MetricContext context) { }

    /// <summary>Settings that determine the figures, without those of networks and of the bootstrap.</summary>
    /// <param name="context">Sets, size and networks.</param>
    IEnumerable<ProtocolEntry> Protocol(MetricContext context) => [];

    /// <summary>Limitations of the figures due to the number of pictures or the options.</summary>
    /// <param name="context">Sets, size and networks.</param>
    IEnumerable<Limitation> Limitations(MetricContext context) => [];

    /// <summary>Starts a pass over a set; null if the metric does not read the set (a paired metric the reference).</summary>
    /// <param name="set">Set; features are requested here.</param>
    IMetricPass? Begin(MeasuredSet set);
}

/// <summary>Batch of pictures.</summary>
/// <param name="Start">Index of the first picture in its set.</param>
/// <param name="Images">[batch, 3, height, width] in [0, 1], on the evaluation's device.</param>
/// <param name="Originals">Reference pictures of the same names and shape; null unless a metric needs pairs.</param>
public sealed record MetricBatch(int Start, Tensor Images, Tensor? Originals);

/// <summary>Statistics of one set under one metric, accumulated by batch.</summary>
public interface IMetricPass : IDisposable
{
    /// <summary>Adds a batch.</summary>
    /// <param name="batch">Pictures in the order of the set.</param>
    void Add(MetricBatch batch);

    /// <summary>Scores of the set, after the last batch.</summary>
    /// <param name="reference">Pass of the same metric over the reference, or null.</param>
    IEnumerable<ImageScores> Scores(IMetricPass? reference);
}

/// <summary>Pass whose counterpart over the reference has the same type.</summary>
/// <typeparam name="T">Derived type.</typeparam>
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
    /// <param name="disposing">True in all calls.</param>
    protected virtual void Dispose(bool disposing) { }
}
