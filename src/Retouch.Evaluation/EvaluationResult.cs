using System.Text.Json.Serialization;
using Retouch.Evaluation.Features;

namespace Retouch.Evaluation;

/// <summary>
/// Everything that decides the figures beside the pictures themselves; two results are comparable when their protocols are equal.
/// </summary>
public sealed record EvaluationProtocol
{
    /// <summary>Pixels in a row.</summary>
    public required int Width { get; init; }

    /// <summary>Rows.</summary>
    public required int Height { get; init; }

    /// <summary>What was measured.</summary>
    public required IReadOnlyList<string> Metrics { get; init; }

    /// <summary>How wavelet packets were taken, where they were.</summary>
    public WaveletPlan? Fwd { get; init; }

    /// <summary>How spectra were taken, where they were.</summary>
    public SpectrumOptions? Spectrum { get; init; }

    /// <summary>The networks whose features were compared, where any were, each with its weights' hash.</summary>
    public IReadOnlyList<FeatureProtocol>? Networks { get; init; }

    /// <summary>The network of LPIPS, where it was used.</summary>
    public PerceptualProtocol? Perceptual { get; init; }

    /// <summary>How CLIPScore was taken, where it was.</summary>
    public ClipScoreProtocol? ClipScore { get; init; }

    /// <summary>How the sliced Wasserstein distance was taken, where it was.</summary>
    public SlicedWassersteinOptions? SlicedWasserstein { get; init; }

    /// <summary>How precision, recall, density and coverage were taken, where they were.</summary>
    public PrecisionRecallOptions? PrecisionRecall { get; init; }

    /// <summary>How kernel distances were taken, where they were.</summary>
    public KernelDistanceOptions? Kernel { get; init; }

    /// <summary>The saved statistics that FID compared with, where it did.</summary>
    public SavedStatistics? Statistics { get; init; }

    /// <summary>How intervals were made.</summary>
    public required BootstrapOptions Bootstrap { get; init; }

    /// <summary>The smallest difference worth naming, as a share of the baseline's figure.</summary>
    public double SmallestDifference { get; init; } = VerdictRule.Smallest;

    /// <summary>What the intervals hold: the sets are drawn anew, the reference is taken as fixed.</summary>
    public string Intervals { get; } =
        "percentile bootstrap over the pictures of a set, reference fixed; distances of distributions (fwd, fid, fd, kid, kd, "
        + "swd) by their influence functions; "
        + "recall and coverage over the pictures of the reference";

    internal static EvaluationProtocol Of(ImageSet first, ImageSet? reference, WaveletPlan? plan, EvaluationOptions options)
    {
        T? Where<T>(Metrics any, T value)
            where T : class => options.Asks(any) ? value : null;
        var size = reference ?? first;
        return new EvaluationProtocol
        {
            Width = size.Width,
            Height = size.Height,
            Metrics =
            [
                .. Enum.GetValues<Metrics>()
                    .Where(m => m != Evaluation.Metrics.None && options.Metrics.HasFlag(m))
                    .Select(static m => m.ToString().ToLowerInvariant()),
            ],
            Fwd = plan,
            Spectrum = Where(Evaluation.Metrics.Spectrum, options.Spectrum),
            Networks = options.Networks.Count > 0 ? [.. options.Networks.Select(static n => n.Protocol)] : null,
            Perceptual = options.Perceptual?.Protocol,
            ClipScore = options.ClipScore?.Protocol,
            SlicedWasserstein = Where(Evaluation.Metrics.Swd, options.SlicedWasserstein),
            PrecisionRecall = Where(Evaluation.Metrics.Prdc, options.PrecisionRecall),
            Kernel = Where(Evaluation.Metrics.Kid, options.Kernel),
            Statistics = options.Statistics is { } saved
                ? new(options.StatisticsName ?? "", saved.Count, saved.Protocol, saved.Preparation)
                : null,
            Bootstrap = options.Bootstrap,
            SmallestDifference = options.SmallestDifference,
        };
    }
}

/// <summary>Saved statistics that a set was compared with.</summary>
/// <param name="Name">The file.</param>
/// <param name="Count">Pictures; null where the file does not say.</param>
/// <param name="Protocol">What decided the features; null where the file does not say.</param>
/// <param name="Preparation">What was done to the pictures; null where the file does not say.</param>
public sealed record SavedStatistics(string Name, long? Count, FeatureProtocol? Protocol, string? Preparation);

/// <summary>A figure of a set.</summary>
/// <param name="Name">As in tables: <c>fwd</c>, <c>spectrum.high</c>.</param>
/// <param name="Value">The figure.</param>
/// <param name="Interval">Where it would lie for other pictures of the same origin.</param>
/// <param name="Better">Which way is better.</param>
/// <param name="Reference">The same figure of the reference, where it has one of its own.</param>
public sealed record Figure(string Name, double Value, Interval Interval, Preference Better, double? Reference = null)
{
    /// <summary>Whether a warning voids the interval: nothing follows from it.</summary>
    public bool IsVoid { get; init; }
}

/// <summary>What was found of a set.</summary>
/// <param name="Name">The set.</param>
/// <param name="Count">Pictures.</param>
/// <param name="Preparation">What was done to them.</param>
/// <param name="Figures">The figures.</param>
/// <param name="Profile">The mean radial power spectrum, ring 1 first, where it was asked for.</param>
public sealed record SetResult(string Name, int Count, string Preparation, IReadOnlyList<Figure> Figures, IReadOnlyList<double>? Profile)
{
    /// <summary>
    /// log₁₀ of the ratio of the mean power spectrum to the reference's, [height, width], frequency 0 in the middle, where spectra were
    /// asked for.
    /// </summary>
    [JsonIgnore]
    public double[,]? SpectrumMap { get; init; }

    /// <summary>
    /// Each figure's value for every resample of the pictures, figures in their order: sets whose pictures belong together are resampled
    /// alike.
    /// </summary>
    [JsonIgnore]
    public IReadOnlyList<IReadOnlyList<double>> Replicates { get; init; } = [];
}

/// <summary>A figure of a set less that of the baseline, the first set.</summary>
/// <param name="Set">The set.</param>
/// <param name="Baseline">The first set.</param>
/// <param name="Figure">The figure's name.</param>
/// <param name="Value">The difference.</param>
/// <param name="Interval">Where it would lie for other pictures of the same origin.</param>
/// <param name="Paired">Whether pictures of both sets belong together by name and were drawn together.</param>
/// <param name="Verdict">What is said of it, by <see cref="VerdictRule"/>.</param>
public sealed record Difference(string Set, string Baseline, string Figure, double Value, Interval Interval, bool Paired, Verdict Verdict);

/// <summary>The reference; where there are only saved statistics, those.</summary>
/// <param name="Name">The set.</param>
/// <param name="Count">Pictures.</param>
/// <param name="Preparation">What was done to them.</param>
/// <param name="Profile">The mean radial power spectrum, where it was asked for.</param>
public sealed record ReferenceResult(string Name, int Count, string Preparation, IReadOnlyList<double>? Profile);

/// <summary>What an evaluation found.</summary>
/// <param name="Protocol">What decides the figures.</param>
/// <param name="Reference">The real pictures.</param>
/// <param name="Sets">The sets, in the order given.</param>
/// <param name="Differences">Every other set against the first.</param>
/// <param name="Warnings">What limits the figures; whole sentences.</param>
public sealed record EvaluationResult(
    EvaluationProtocol Protocol,
    ReferenceResult Reference,
    IReadOnlyList<SetResult> Sets,
    IReadOnlyList<Difference> Differences,
    IReadOnlyList<string> Warnings
);

/// <summary>How far an evaluation is.</summary>
/// <param name="Done">Pictures read, over all passes.</param>
/// <param name="Total">Pictures to read in all.</param>
public readonly record struct EvaluationProgress(long Done, long Total);
