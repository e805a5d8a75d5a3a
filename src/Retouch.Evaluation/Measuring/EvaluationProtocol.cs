using System.Text.Json.Serialization;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Statistics;

namespace Retouch.Evaluation.Measuring;

/// <summary>Settings that determine the figures besides the pictures; results of equal protocols are comparable.</summary>
public sealed record EvaluationProtocol
{
    /// <summary>Width in pixels.</summary>
    public required int Width { get; init; }

    /// <summary>Height in pixels.</summary>
    public required int Height { get; init; }

    /// <summary>Names of the metrics.</summary>
    public required IReadOnlyList<string> Metrics { get; init; }

    /// <summary>Feature networks, each with the hash of its weights; null without any.</summary>
    public IReadOnlyList<FeatureProtocol>? Networks { get; init; }

    /// <summary>Bootstrap of the intervals.</summary>
    public required BootstrapOptions Bootstrap { get; init; }

    /// <summary>Smallest relevant difference, as a share of the baseline's figure.</summary>
    public double SmallestDifference { get; init; } = VerdictRule.Smallest;

    /// <summary>Types of the intervals, by figure.</summary>
    public string Intervals { get; } =
        "percentile bootstrap over the pictures of a set, reference fixed; distances of distributions (fwd, fid, fd, kid, kd, "
        + "swd) by their influence functions; "
        + "recall and coverage over the pictures of the reference";

    /// <summary>Settings of each metric.</summary>
    [JsonIgnore]
    public IReadOnlyList<ProtocolEntry> Entries { get; init; } = [];

    /// <summary>Entries by their member of the protocol's JSON.</summary>
    [JsonExtensionData]
    public IDictionary<string, object> Members { get; init; } = new Dictionary<string, object>();

    /// <summary>Settings of a type, or null if no metric has them.</summary>
    /// <typeparam name="T">Type of a <see cref="ProtocolEntry.Value"/>.</typeparam>
    public T? Of<T>()
        where T : class => Entries.Select(static e => e.Value).OfType<T>().FirstOrDefault();

    internal static EvaluationProtocol Of(MetricContext context, EvaluationOptions options)
    {
        ProtocolEntry[] entries = [.. context.Metrics.SelectMany(metric => metric.Protocol(context))];
        return new EvaluationProtocol
        {
            Width = context.Width,
            Height = context.Height,
            Metrics = [.. context.Metrics.Select(static m => m.Name)],
            Networks = context.Networks.Count > 0 ? [.. context.Networks.Select(static n => n.Protocol)] : null,
            Bootstrap = options.Bootstrap,
            SmallestDifference = options.SmallestDifference,
            Entries = entries,
            Members = entries.ToDictionary(static e => e.Member, static e => e.Value),
        };
    }
}
