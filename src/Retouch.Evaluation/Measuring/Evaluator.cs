using Retouch.Core.Errors;
using Retouch.Evaluation.Frequency;
using Retouch.Evaluation.Metrics;
using Retouch.Evaluation.Pictures;
using Retouch.Evaluation.Statistics;
using Retouch.Torch;

namespace Retouch.Evaluation.Measuring;

/// <summary>Measures sets of pictures against reference pictures and against each other.</summary>
public static class Evaluator
{
    /// <summary>
    /// Measures every set, and the difference of every other set to the first. Each set is read once, or twice where a metric needs it
    /// (<see cref="IMetric.Readings"/>). Memory depends on the size of the pictures, not on their number, except for the rows per picture
    /// of some metrics. Several processes (<see cref="EvaluationOptions.Peers"/>) extract features together, batch by batch; rank 0
    /// evaluates, and reads a set itself only if a metric needs its pictures.
    /// </summary>
    /// <param name="reference">Reference pictures; for paired metrics, the originals. Null if no metric needs them.</param>
    /// <param name="sets">At least one set; the first is the baseline.</param>
    /// <param name="options">Metrics, networks and intervals.</param>
    /// <param name="progress">Called after each batch, on the caller's thread.</param>
    /// <param name="cancellation">Cancels between batches.</param>
    /// <exception cref="UsageException">An option is out of range or unsuitable for the pictures.</exception>
    /// <exception cref="InputException">Sizes differ, a picture cannot be read, or a paired metric finds no partner.</exception>
    /// <exception cref="EnvironmentException">Another process has failed, ended, or is late.</exception>
    /// <exception cref="ArgumentException">There is no set, or this process is not rank 0 of
    /// <see cref="EvaluationOptions.Peers"/>.</exception>
    public static EvaluationResult Evaluate(
        ImageSet? reference,
        IReadOnlyList<ImageSet> sets,
        EvaluationOptions options,
        Action<EvaluationProgress>? progress = null,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Peers is { IsMain: false })
            throw new ArgumentException("Rank 0 evaluates, the other processes assist.", nameof(options));
        using var scope = TensorScope.Enter();
        var context = Context(reference, sets, options, cancellation);
        var first = context.Peers is null ? 1 : SharedReadings(context);
        var readings = first + options.Metrics.Sum(static m => m.Readings - 1);
        long done = 0,
            total = ((long)(reference?.Count ?? 0) * first) + sets.Sum(set => (long)set.Count * readings);
        void Tick(int count)
        {
            cancellation.ThrowIfCancellationRequested();
            progress?.Invoke(new EvaluationProgress(done += count, total));
        }

        var limits = EvaluationChecks.Limitations(context);
        using var real = reference is null ? null : SetMeasurement.Of(reference, context, Tick, isReference: true);
        List<SetResult> results = [];
        List<Difference> differences = [];
        List<double[][]> baseline = [];
        List<string> notes = [];
        IReadOnlyList<double>? profile = null;
        foreach (var set in sets)
        {
            using var measured = SetMeasurement.Of(set, context, Tick);
            var scores = measured.Scores(real);
            profile ??= Spectra(scores)?.ReferenceProfile;
            notes.AddRange(scores.SelectMany(static s => s.Notes).Select(note => $"'{set.Name}': {note}."));
            var paired = results.Count == 0 || set.PairsWith(sets[0]);
            var replicates = scores.ConvertAll(s => Bootstrap.Replicates(s, options.Bootstrap, Stream(s, paired, results.Count)));
            results.Add(Result(set, scores, replicates, options.Bootstrap.Confidence, limits));
            if (results.Count == 1)
                baseline = replicates;
            else
                differences.AddRange(Differences(results[0], results[^1], scores, replicates, baseline, paired, options));
        }

        return new EvaluationResult(
            EvaluationProtocol.Of(context, options),
            Reference(context, profile),
            results,
            differences,
            [.. limits.Select(static l => l.Text).Concat(notes).Distinct(StringComparer.Ordinal)]
        );
    }

    /// <summary>Extracts features for the <see cref="Evaluate"/> of rank 0, in every other process, with the same arguments.</summary>
    /// <param name="reference">Reference pictures.</param>
    /// <param name="sets">Sets.</param>
    /// <param name="options">Options with <see cref="EvaluationOptions.Peers"/>.</param>
    /// <param name="cancellation">Cancels between batches.</param>
    /// <exception cref="UsageException">As by <see cref="Evaluate"/>.</exception>
    /// <exception cref="InputException">As by <see cref="Evaluate"/>.</exception>
    /// <exception cref="EnvironmentException">Another process has failed, ended, or is late.</exception>
    public static void Assist(
        ImageSet? reference,
        IReadOnlyList<ImageSet> sets,
        EvaluationOptions options,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Peers is not { IsMain: false })
            throw new ArgumentException("Only processes other than rank 0 assist.", nameof(options));
        using var scope = TensorScope.Enter();
        var context = Context(reference, sets, options, cancellation);
        if (reference is not null)
            SetMeasurement.Of(reference, context, Tick, isReference: true).Dispose();
        foreach (var set in sets)
            SetMeasurement.Of(set, context, Tick).Dispose();

        void Tick(int count) => cancellation.ThrowIfCancellationRequested();
    }

    private static MetricContext Context(
        ImageSet? reference,
        IReadOnlyList<ImageSet> sets,
        EvaluationOptions options,
        CancellationToken cancellation
    )
    {
        ArgumentNullException.ThrowIfNull(sets);
        options.Validate();
        if (sets.Count == 0)
            throw new ArgumentException("At least one set is required.", nameof(sets));
        var context = new MetricContext(options.Metrics, reference, sets, options.Networks, options.Device, options.BatchSize, cancellation)
        {
            Peers = options.Peers is { Size: > 1 } several ? several : null,
        };
        options.Check(reference);
        EvaluationChecks.Check(context);
        return context;
    }

    /// <summary>Readings of a set by several processes, without the second ones: for features, and for metrics of pictures.</summary>
    private static int SharedReadings(MetricContext context) =>
        (context.Networks.Count > 0 ? 1 : 0) + (context.Metrics.Any(static m => m.ReadsPictures) ? 1 : 0);

    // Pairs are resampled together. The resamples of the reference are the same for every set, and independent of those of the sets.
    private static ulong Stream(ImageScores scores, bool paired, int set) =>
        scores.OfReference ? ulong.MaxValue
        : paired ? 0UL
        : (ulong)set;

    private static ReferenceResult Reference(MetricContext context, IReadOnlyList<double>? profile) =>
        context.Reference is { } reference
            ? new ReferenceResult(reference.Name, reference.Count, reference.Preparation, profile)
            : context.Metrics.Select(static m => m.StandIn).FirstOrDefault(static s => s is not null)
                ?? new ReferenceResult("none", 0, "no metric needs one", null);

    private static MeanSpectra? Spectra(List<ImageScores> scores) =>
        scores.Select(static s => s.Spectra).FirstOrDefault(static s => s is not null);

    private static SetResult Result(
        ImageSet set,
        List<ImageScores> scores,
        List<double[][]> replicates,
        double confidence,
        List<Limitation> limits
    )
    {
        List<Figure> figures = [];
        foreach (var (score, replicate) in scores.Zip(replicates))
        {
            var values = score.Figures();
            for (var k = 0; k < values.Length; k++)
            {
                var name = score.Names[k].Name;
                if (!double.IsFinite(values[k]))
                {
                    throw new InputException(
                        $"{name} of '{set.Name}' is not finite: the set or the reference has too few pictures, "
                            + "or they are too similar. Omit the metric with --metrics, or use other pictures."
                    );
                }

                figures.Add(
                    new Figure(
                        name,
                        values[k],
                        Bootstrap.Percentiles(replicate, k, confidence),
                        score.Names[k].Better,
                        score.OwnOfReference?[k]
                    )
                    {
                        IsVoid = limits.Any(limit => limit.IsAbout(set, name)),
                    }
                );
            }
        }

        var spectra = Spectra(scores);
        return new SetResult(set.Name, set.Count, set.Preparation, figures, spectra?.Profile)
        {
            Replicates =
            [
                .. scores
                    .Zip(replicates)
                    .SelectMany(static p =>
                        Enumerable.Range(0, p.First.Names.Count).Select(k => (double[])[.. p.Second.Select(r => r[k])])
                    ),
            ],
            SpectrumMap = spectra?.LogRatio,
        };
    }

    private static IEnumerable<Difference> Differences(
        SetResult baseline,
        SetResult set,
        List<ImageScores> scores,
        List<double[][]> replicates,
        List<double[][]> baselineReplicates,
        bool paired,
        EvaluationOptions options
    )
    {
        for (int s = 0, at = 0; s < scores.Count; s++)
        {
            for (var k = 0; k < scores[s].Names.Count; k++, at++)
            {
                var interval = Bootstrap.DifferencePercentiles(replicates[s], baselineReplicates[s], k, options.Bootstrap.Confidence);
                var figure = set.Figures[at];
                var compared = baseline.Figures[at];
                var value = figure.Value - compared.Value;
                yield return new Difference(
                    set.Name,
                    baseline.Name,
                    figure.Name,
                    value,
                    interval,
                    paired || scores[s].OfReference,
                    VerdictRule.Of(
                        interval.Side,
                        value,
                        compared.Value,
                        figure.Better,
                        options.SmallestDifference,
                        figure.IsVoid || compared.IsVoid
                    )
                );
            }
        }
    }
}
