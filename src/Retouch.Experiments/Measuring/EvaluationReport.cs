using Retouch.Conditioning;
using Retouch.Core.Formatting;
using Retouch.Evaluation.Frequency;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Pictures;
using Retouch.Evaluation.Reports;
using Retouch.Evaluation.Statistics;
using Retouch.Images;
using Retouch.Torch;
using PictureGrid = Retouch.Evaluation.Reports.PictureGrid;
using Said = Retouch.Evaluation.Statistics.Verdict;

namespace Retouch.Experiments.Measuring;

/// <summary>Builds the report of <c>evaluate</c> and <c>compare</c>.</summary>
public static class EvaluationReport
{
    private const int ShownPictures = 12;
    private const int ColumnsOfPictures = 6;

    /// <summary>Builds the report.</summary>
    /// <param name="result">Result of the evaluation.</param>
    /// <param name="reference">Reference pictures; null for saved statistics only.</param>
    /// <param name="sets">Sets, in the order of the result.</param>
    /// <param name="origin">Command and machine.</param>
    public static ReportDocument Build(
        EvaluationResult result,
        ImageSet? reference,
        IReadOnlyList<ImageSet> sets,
        IReadOnlyList<ReportSection> origin
    )
    {
        var names = ShortPaths.Of([.. result.Sets.Select(static set => set.Name)]);
        string Named(string path) =>
            path == result.Reference.Name ? "the real pictures"
            : result.Sets.Select(static s => s.Name).ToList().IndexOf(path) is >= 0 and var k ? names[k]
            : path;
        List<ReportBlock> figures = [];
        if (result.Warnings.Count > 0)
            figures.Add(new Prose([.. ProtocolText.Warnings(result.Warnings, Named).Select(static w => $"**Mind:** {w}")]));
        figures.AddRange([
            .. EvaluationTables.Quality(result, names, byBand: false),
            .. EvaluationTables.Differences(result, names),
            .. EvaluationTables.Quality(result, names, byBand: true),
        ]);
        var spectra = Spectra(result, names).ToArray();
        ReportSection?[] sections =
        [
            new("Figures", figures),
            spectra.Length > 0 ? new("Spectra", spectra) : null,
            new("Pictures", [.. Pictures(reference, sets, names)]),
            new("Protocol", new KeyValues(null, [.. ProtocolText.Of(result)])),
            .. origin,
        ];
        return new ReportDocument(
            sets.Count == 1 ? $"Measured: {names[0]}" : $"Compared: {string.Join(", ", names)}",
            [.. sections.OfType<ReportSection>()]
        )
        {
            Subtitle =
                $"{string.Join(", ", result.Sets.Select(static s => s.Count).Distinct())} pictures per set, {result.Protocol.Width} "
                + $"x {result.Protocol.Height} pixels; reference: {result.Reference.Count} of {result.Reference.Name}",
            Verdict = Verdict(result, names),
            Arms = [.. names.Select((name, k) => new ReportArm(name, sets[k].Origin ?? result.Sets[k].Name))],
        };
    }

    /// <summary>Figures as TensorBoard runs.</summary>
    public static IReadOnlyList<FigureRun> Runs(EvaluationResult result) =>
        [
            .. result.Sets.Select(static set => new FigureRun(
                set.Name,
                0,
                [.. set.Figures.Select(static f => (f.Name, f.Value, f.Interval))]
            )),
        ];

    private static Retouch.Evaluation.Reports.Verdict? Verdict(EvaluationResult result, IReadOnlyList<string> names)
    {
        var whole = result.Differences.Where(static d => !FigureNames.IsPart(d.Figure)).ToArray();
        if (whole.Length == 0)
            return null;
        List<string> parts = [];
        for (var k = 1; k < result.Sets.Count; k++)
        {
            string Of(Said said) =>
                string.Join(
                    ", ",
                    whole.Where(d => d.Set == result.Sets[k].Name && d.Verdict == said).Select(static d => FigureNames.Header(d.Figure))
                );
            var (better, worse) = (Of(Said.Better), Of(Said.Worse));
            parts.Add(
                $"{names[k]} "
                    + (
                        better.Length + worse.Length == 0
                            ? Of(Said.Negligible) is { Length: > 0 } alike
                                ? $"shows no relevant difference in {alike}"
                                : whole.Any(d => d.Set == result.Sets[k].Name && d.Verdict == Said.Void)
                                    ? "has no verdict: a warning voids the intervals"
                                    : "shows no significant difference"
                            : "is "
                                + string.Join(
                                    " and ",
                                    (
                                        (string[])
                                            [better.Length > 0 ? $"better in {better}" : "", worse.Length > 0 ? $"worse in {worse}" : ""]
                                    ).Where(static s => s.Length > 0)
                                )
                    )
            );
        }

        var (some, others) = (whole.Any(static d => d.Verdict == Said.Better), whole.Any(static d => d.Verdict == Said.Worse));
        return new Retouch.Evaluation.Reports.Verdict(
            some && others ? VerdictTone.Mixed
                : some == others ? VerdictTone.Unclear
                : some ? VerdictTone.Better
                : VerdictTone.Worse,
            $"Compared with {names[0]}: {string.Join("; ", parts)}.",
            "By the intervals over pictures, for each figure. Models are compared by one training each: another training seed may change "
                + $"the verdict. Differences below {Figures.Percent(result.Protocol.SmallestDifference)} count as negligible."
        );
    }

    private static IEnumerable<ReportBlock> Spectra(EvaluationResult result, IReadOnlyList<string> names)
    {
        if (result.Reference.Profile is not { } real || result.Sets.Any(static s => s.Profile is null))
            yield break;
        double[] rings = [.. Enumerable.Range(1, real.Count).Select(static k => (double)k)];
        yield return new BlockRow(
            new LineChart(
                "Radial power spectra",
                new ChartAxis("frequency, cycles per picture", Log: true),
                new ChartAxis("power", Log: true),
                [
                    new ChartSeries("real", rings, real) { IsReference = true },
                    .. result.Sets.Select((set, k) => new ChartSeries(names[k], rings, set.Profile!)),
                ]
            )
            {
                Note = "Mean over the pictures of a set.",
            },
            new LineChart(
                "Spectrum relative to real pictures",
                new ChartAxis("frequency, cycles per picture"),
                new ChartAxis("log₁₀ of the ratio"),
                [.. result.Sets.Select((set, k) => new ChartSeries(names[k], rings, SpectrumError.LogRatio(set.Profile!, real)))]
            )
            {
                Note = "0: equal to the real spectrum; −0.3: half its power.",
            }
        );
        if (result.Sets.All(static s => s.SpectrumMap is not null))
        {
            static byte[] Drawn(double[,] map, double range) => PictureFile.Encode(SpectrumMap.Draw(map, range), PictureFormat.Png);
            var first = result.Sets[0].SpectrumMap!;
            var compares = result.Sets.Count > 1;
            yield return new PictureGrid(
                "Power spectra in two dimensions",
                ["relative to real pictures", .. compares ? [$"relative to {names[0]}"] : Array.Empty<string>()],
                [
                    .. result.Sets.Select(
                        (set, k) =>
                            new PictureColumn(
                                names[k],
                                [
                                    Drawn(set.SpectrumMap!, SpectrumMap.Range),
                                    .. compares
                                        ? [Drawn(SpectrumMap.Difference(set.SpectrumMap!, first), SpectrumMap.DifferenceRange)]
                                        : Array.Empty<byte[]>(),
                                ]
                            )
                    ),
                ]
            )
            {
                Note =
                    "log₁₀ of the ratio of mean powers, frequency 0 in the centre. White: equal power; red: "
                    + "more; blue: less; saturated at a factor of ten"
                    + (compares ? $" (relative to {names[0]}: two)." : "."),
            };
        }
    }

    private static IEnumerable<PictureGrid> Pictures(ImageSet? reference, IReadOnlyList<ImageSet> sets, IReadOnlyList<string> names)
    {
        var count = Math.Min(ShownPictures, sets.Min(static s => s.Count));
        var paired = sets.All(set => set.PairsWith(sets[0]));
        var withReal = reference?.PairsWith(sets[0]) == true;
        var real = reference is null || withReal ? null : SameClasses(reference, sets[0], count);
        string[] samples = [.. Enumerable.Range(0, count).Select(k => paired ? sets[0].Id(k) : $"picture {k + 1}")];
        for (var from = 0; from < sets.Count; from += ColumnsOfPictures)
        {
            List<PictureColumn> columns =
            [
                .. sets.Skip(from).Take(ColumnsOfPictures).Select((set, k) => new PictureColumn(names[from + k], Read(set, count))),
            ];
            if (reference is not null && reference.Count >= count)
                columns.Add(
                    new PictureColumn("real", real is null ? Read(reference, count) : [.. real.SelectMany(k => Read(reference, 1, k))])
                );
            yield return new PictureGrid(paired ? "Pictures of the same names" : "The first pictures of each set", samples, columns)
            {
                Note =
                    $"The first pictures, not "
                    + $"selected.{(paired ? "" : " Pictures of a row are unrelated.")}"
                    + (
                        reference is null ? ""
                        : withReal ? " Real pictures have the same names."
                        : real is not null ? $" Real pictures are of the class of {names[0]}'s picture, and otherwise unrelated."
                        : " Real pictures are unrelated."
                    ),
            };
        }
    }

    /// <summary>Real pictures of the same classes, none twice if there are enough; null if a class is unknown or missing.</summary>
    private static int[]? SameClasses(ImageSet reference, ImageSet set, int count)
    {
        var byClass = Enumerable
            .Range(0, reference.Count)
            .Where(k => reference.ClassOf(k) is not null)
            .ToLookup(k => ClassNames.Tidy(reference.ClassOf(k)!), StringComparer.Ordinal);
        var used = new Dictionary<string, int>(StringComparer.Ordinal);
        var chosen = new int[count];
        for (var k = 0; k < count; k++)
        {
            if (set.ClassOf(k) is not { } given)
                return null;
            // A model's name may list synonyms: "tench, Tinca tinca".
            var name = given.Split(',').Prepend(given).Select(ClassNames.Tidy).FirstOrDefault(byClass.Contains);
            if (name is null)
                return null;
            int[] fitting = [.. byClass[name]];
            var turn = used.GetValueOrDefault(name);
            used[name] = turn + 1;
            chosen[k] = fitting[turn % fitting.Length];
        }

        return chosen;
    }

    private static byte[][] Read(ImageSet set, int count, int start = 0)
    {
        using var scope = TensorScope.Enter();
        return
        [
            .. PictureTensors
                .ToPictures((set.Read(start, count) * 2) - 1)
                .Select(static picture => PictureFile.Encode(picture, PictureFormat.Png)),
        ];
    }
}
