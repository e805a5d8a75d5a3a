using System.Text.Json.Serialization;
using Retouch.Evaluation.Frequency;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Statistics;

namespace Retouch.Evaluation.Measuring;

/// <summary>Figure of a set.</summary>
/// <param name="Name">Name in tables: <c>fwd</c>, <c>spectrum.high</c>.</param>
/// <param name="Value">The figure.</param>
/// <param name="Interval">Confidence interval over pictures from the same source.</param>
/// <param name="Better">Direction.</param>
/// <param name="Reference">The same figure for the reference; null if not applicable.</param>
public sealed record Figure(string Name, double Value, Interval Interval, Preference Better, double? Reference = null)
{
    /// <summary>Whether a limitation voids the interval.</summary>
    public bool IsVoid { get; init; }
}

/// <summary>Result of a set.</summary>
/// <param name="Name">Name of the set.</param>
/// <param name="Count">Number of pictures.</param>
/// <param name="Preparation">Preparation of the pictures.</param>
/// <param name="Figures">The figures.</param>
/// <param name="Profile">Mean radial power spectrum, ring 1 first; null without the metric.</param>
public sealed record SetResult(string Name, int Count, string Preparation, IReadOnlyList<Figure> Figures, IReadOnlyList<double>? Profile)
{
    /// <summary>
    /// log₁₀ of the mean power spectrum relative to the reference, [height, width], frequency 0 in the centre; null without the metric.
    /// </summary>
    [JsonIgnore]
    public double[,]? SpectrumMap { get; init; }

    /// <summary>
    /// Replicates of each figure, [figures][resamples]; paired sets share their resamples.
    /// </summary>
    [JsonIgnore]
    public IReadOnlyList<IReadOnlyList<double>> Replicates { get; init; } = [];
}

/// <summary>Difference of a figure to the baseline, the first set.</summary>
/// <param name="Set">Name of the set.</param>
/// <param name="Baseline">Name of the first set.</param>
/// <param name="Figure">Name of the figure.</param>
/// <param name="Value">The difference.</param>
/// <param name="Interval">Confidence interval over pictures from the same source.</param>
/// <param name="Paired">Whether the pictures of both sets have the same names and were resampled together.</param>
/// <param name="Verdict">Verdict by <see cref="VerdictRule"/>.</param>
public sealed record Difference(string Set, string Baseline, string Figure, double Value, Interval Interval, bool Paired, Verdict Verdict);

/// <summary>Result of an evaluation.</summary>
/// <param name="Protocol">Settings that determine the figures.</param>
/// <param name="Reference">The reference.</param>
/// <param name="Sets">Sets, in the given order.</param>
/// <param name="Differences">Differences of every other set to the first.</param>
/// <param name="Warnings">Limitations of the figures, as sentences.</param>
public sealed record EvaluationResult(
    EvaluationProtocol Protocol,
    ReferenceResult Reference,
    IReadOnlyList<SetResult> Sets,
    IReadOnlyList<Difference> Differences,
    IReadOnlyList<string> Warnings
);
