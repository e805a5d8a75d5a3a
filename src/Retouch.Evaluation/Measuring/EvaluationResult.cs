using System.Text.Json.Serialization;
using Retouch.Evaluation.Frequency;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Statistics;

namespace Retouch.Evaluation.Measuring;

/// <summary>Figure of a set.</summary>
/// <param name="Name">As in tables: <c>fwd</c>, <c>spectrum.high</c>.</param>
/// <param name="Value">The figure.</param>
/// <param name="Interval">Confidence interval over pictures of the same origin.</param>
/// <param name="Better">Direction.</param>
/// <param name="Reference">The same figure of the reference; null if it has none of its own.</param>
public sealed record Figure(string Name, double Value, Interval Interval, Preference Better, double? Reference = null)
{
    /// <summary>Whether a limitation voids the interval.</summary>
    public bool IsVoid { get; init; }
}

/// <summary>Result of a set.</summary>
/// <param name="Name">The set.</param>
/// <param name="Count">Number of pictures.</param>
/// <param name="Preparation">Preparation of the pictures.</param>
/// <param name="Figures">The figures.</param>
/// <param name="Profile">Mean radial power spectrum, ring 1 first; null without the metric.</param>
public sealed record SetResult(string Name, int Count, string Preparation, IReadOnlyList<Figure> Figures, IReadOnlyList<double>? Profile)
{
    /// <summary>
    /// log₁₀ of the mean power spectrum over the reference's, [height, width], frequency 0 in the middle; null without the metric.
    /// </summary>
    [JsonIgnore]
    public double[,]? SpectrumMap { get; init; }

    /// <summary>
    /// Replicates of each figure, [figures][resamples]; paired sets are resampled alike.
    /// </summary>
    [JsonIgnore]
    public IReadOnlyList<IReadOnlyList<double>> Replicates { get; init; } = [];
}

/// <summary>Difference of a figure to the baseline, the first set.</summary>
/// <param name="Set">The set.</param>
/// <param name="Baseline">The first set.</param>
/// <param name="Figure">The figure's name.</param>
/// <param name="Value">The difference.</param>
/// <param name="Interval">Confidence interval over pictures of the same origin.</param>
/// <param name="Paired">Whether the pictures of both sets have the same names and were resampled together.</param>
/// <param name="Verdict">Verdict by <see cref="VerdictRule"/>.</param>
public sealed record Difference(string Set, string Baseline, string Figure, double Value, Interval Interval, bool Paired, Verdict Verdict);

/// <summary>Result of an evaluation.</summary>
/// <param name="Protocol">Settings that decide the figures.</param>
/// <param name="Reference">The reference.</param>
/// <param name="Sets">The sets, in the order given.</param>
/// <param name="Differences">Differences of every other set to the first.</param>
/// <param name="Warnings">Limitations of the figures; whole sentences.</param>
public sealed record EvaluationResult(
    EvaluationProtocol Protocol,
    ReferenceResult Reference,
    IReadOnlyList<SetResult> Sets,
    IReadOnlyList<Difference> Differences,
    IReadOnlyList<string> Warnings
);
