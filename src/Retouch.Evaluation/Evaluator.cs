using Retouch.Core.Errors;

namespace Retouch.Evaluation;

/// <summary>Measures sets of pictures against real ones, and against each other.</summary>
public static class Evaluator
{
    /// <summary>Fewer pictures than this make distances of distributions depend on the number.</summary>
    public const int FewPictures = 2048;

    /// <summary>
    /// Measures every set, and the difference of every other set to the first. Reads each set once, and once more for the intervals of the
    /// wavelet distance; memory depends on the size of the pictures, not on their number, but for a few hundred bytes a picture.
    /// </summary>
    /// <param name="reference">Real pictures; for PSNR, the originals. Null where only FID against saved statistics is asked for, and what
    /// needs no reference.</param>
    /// <param name="sets">One or more; the first is the baseline.</param>
    /// <param name="options">What is measured, and how.</param>
    /// <param name="progress">Told after each batch, on the caller's thread.</param>
    /// <param name="cancellation">Ends the evaluation after a batch.</param>
    /// <exception cref="UsageException">An option is out of range or does not fit the pictures.</exception>
    /// <exception cref="InputException">Sizes differ, a picture cannot be read, or PSNR finds no partner.</exception>
    public static EvaluationResult Evaluate(
        ImageSet? reference,
        IReadOnlyList<ImageSet> sets,
        EvaluationOptions options,
        Action<EvaluationProgress>? progress = null,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(sets);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        if (sets.Count == 0)
            throw new ArgumentException("There is nothing to evaluate.", nameof(sets));
        EvaluationChecks.Check(reference, sets, options);

        var plan = options.Metrics.HasFlag(Metrics.Fwd)
            ? WaveletPlan.For(reference!.Width, reference.Height, options.WaveletLevel, options.WaveletLogarithm)
            : null;
        var passes = plan is null ? 1 : 2;
        long done = 0,
            total = (reference?.Count ?? 0) + sets.Sum(set => (long)set.Count * passes);
        void Tick(int count)
        {
            cancellation.ThrowIfCancellationRequested();
            progress?.Invoke(new EvaluationProgress(done += count, total));
        }

        var limits = EvaluationChecks.Limitations(reference, sets, plan, options);
        using var real = reference is null ? null : SetMeasurement.Of(reference, plan, null, options, Tick, isReference: true);
        List<SetResult> results = [];
        List<Difference> differences = [];
        List<double[][]> baseline = [];
        List<string> notes = [];
        foreach (var set in sets)
        {
            using var measured = SetMeasurement.Of(set, plan, options.Asks(EvaluationOptions.Paired) ? reference : null, options, Tick);
            var scores = measured.Scores(real, Tick, cancellation);
            notes.AddRange(scores.SelectMany(static s => s.Notes).Select(note => $"'{set.Name}': {note}."));
            var paired = results.Count == 0 || set.PairsWith(sets[0]);
            var replicates = scores.ConvertAll(s => Bootstrap.Replicates(s, options.Bootstrap, Stream(s, paired, results.Count)));
            results.Add(Result(measured, scores, replicates, real, options.Bootstrap.Confidence, limits));
            if (results.Count == 1)
                baseline = replicates;
            else
                differences.AddRange(Differences(results[0], results[^1], scores, replicates, baseline, paired, options));
        }

        return new EvaluationResult(
            EvaluationProtocol.Of(sets[0], reference, plan, options),
            Reference(reference, real, options),
            results,
            differences,
            [.. limits.Select(static l => l.Text).Concat(notes).Distinct(StringComparer.Ordinal)]
        );
    }

    // Pairs are drawn together. The reference's pictures are the same for every set, and drawn apart from any set's.
    private static ulong Stream(ImageScores scores, bool paired, int set) =>
        scores.OfReference ? ulong.MaxValue
        : paired ? 0UL
        : (ulong)set;

    private static ReferenceResult Reference(ImageSet? reference, SetMeasurement? real, EvaluationOptions options) =>
        reference is not null ? new ReferenceResult(reference.Name, reference.Count, reference.Preparation, real?.Spectra?.MeanProfile())
        : options.Statistics is { } saved
            ? new ReferenceResult(
                options.StatisticsName ?? "saved statistics",
                (int)Math.Min(saved.Count ?? 0, int.MaxValue),
                saved.Preparation ?? "saved statistics; how they were made is not said",
                null
            )
        : new ReferenceResult("none", 0, "no metric needs one", null);

    private static SetResult Result(
        SetMeasurement measured,
        List<ImageScores> scores,
        List<double[][]> replicates,
        SetMeasurement? real,
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
                        $"{name} of '{measured.Set.Name}' is not finite: its pictures, or those of the reference, are too few "
                            + "or too much alike for it. Leave it out with --metrics, or give other pictures."
                    );
                }

                var own = name == "sharpness" ? real?.Sharpness : null;
                figures.Add(
                    new Figure(name, values[k], Bootstrap.Percentiles(replicate, k, confidence), score.Names[k].Better, own)
                    {
                        IsVoid = limits.Any(limit => limit.IsAbout(measured.Set, name)),
                    }
                );
            }
        }

        return new SetResult(measured.Set.Name, measured.Set.Count, measured.Set.Preparation, figures, measured.Spectra?.MeanProfile())
        {
            Replicates =
            [
                .. scores
                    .Zip(replicates)
                    .SelectMany(static p =>
                        Enumerable.Range(0, p.First.Names.Count).Select(k => (double[])[.. p.Second.Select(r => r[k])])
                    ),
            ],
            SpectrumMap =
                measured.Spectra is { } spectra && real?.Spectra is { } reference
                    ? SpectrumMap.LogRatio(spectra.MeanMap(), reference.MeanMap())
                    : null,
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
