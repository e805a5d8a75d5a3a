using System.Collections.Immutable;
using Retouch.Core.Errors;

namespace Retouch.Evaluation.Metrics;

/// <summary>The metrics by name. To add one: a file with its record and a line here, or a call of <see cref="Register"/>.</summary>
public static class MetricCatalog
{
    private static ImmutableList<IMetric> _metrics =
    [
        new WaveletDistanceMetric(),
        new FrechetInceptionMetric(),
        new FrechetFeatureMetric(),
        new KernelDistanceMetric(),
        new PrecisionRecallMetric(),
        new SlicedWassersteinMetric(),
        new SpectrumMetric(),
        new SharpnessMetric(),
        new SaturationMetric(),
        new PsnrMetric(),
        new SsimMetric(),
        new LpipsMetric(),
        new ClipScoreMetric(),
    ];

    /// <summary>All metrics with their default options, in the order of their figures.</summary>
    public static IReadOnlyList<IMetric> All => _metrics;

    /// <summary>Names of the metrics measured by default.</summary>
    public static IReadOnlyList<string> Usual { get; } = ["fwd", "spectrum", "sharpness", "saturation"];

    /// <summary>Adds a metric of another assembly.</summary>
    /// <param name="metric">The metric with its default options.</param>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    public static void Register(IMetric metric)
    {
        ArgumentNullException.ThrowIfNull(metric);
        ImmutableInterlocked.Update(
            ref _metrics,
            static (known, added) =>
                known.Exists(m => m.Name == added.Name)
                    ? throw new ArgumentException($"A metric '{added.Name}' exists already.", nameof(metric))
                    : known.Add(added),
            metric
        );
    }

    /// <summary>Metrics of the given names with their default options, in the order of <see cref="All"/>, without duplicates.</summary>
    /// <param name="names">Names.</param>
    /// <exception cref="UsageException">A name is unknown.</exception>
    public static IReadOnlyList<IMetric> Of(params IReadOnlyList<string> names)
    {
        ArgumentNullException.ThrowIfNull(names);
        return names.FirstOrDefault(static name => !All.Any(m => m.Name.Equals(name, StringComparison.OrdinalIgnoreCase))) is { } unknown
            ? throw new UsageException($"Unknown metric '{unknown}'; known: {Listed(static _ => true, "and")}.")
            : [.. All.Where(m => names.Contains(m.Name, StringComparer.OrdinalIgnoreCase))];
    }

    /// <summary>Names as a list in a sentence: <c>fid, kid and prdc</c>.</summary>
    /// <param name="which">Filter.</param>
    /// <param name="conjunction">Word before the last name, or null for a comma.</param>
    public static string Listed(Func<IMetric, bool> which, string? conjunction = null)
    {
        string[] names = [.. All.Where(which).Select(static m => m.Name)];
        return conjunction is null || names.Length < 2
            ? string.Join(", ", names)
            : $"{string.Join(", ", names[..^1])} {conjunction} {names[^1]}";
    }

    /// <summary>Heading of a figure; null if its name is the heading.</summary>
    /// <param name="figure">Name of the figure, up to its first point.</param>
    public static FigureHeading? Heading(string figure) =>
        All.SelectMany(static m => m.Headings).FirstOrDefault(heading => heading.Figure == figure);
}
