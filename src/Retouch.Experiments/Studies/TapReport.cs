using System.Text.Json.Nodes;
using Retouch.Core.Formatting;
using Retouch.Core.Io;
using Retouch.Core.Json;
using Retouch.Evaluation.Reports;
using Retouch.Evaluation.Studies;

namespace Retouch.Experiments.Studies;

/// <summary>Analysis of taps and estimates before post-training, as a report with proposed options.</summary>
public static class TapReport
{
    private const string OptionsName = "options.json";

    /// <summary>Result of the study.</summary>
    /// <param name="Study">Statistics by tap and noise level.</param>
    /// <param name="Proposal">Proposed options.</param>
    /// <param name="Options">The proposal as command-line options.</param>
    public sealed record Result(TapStudyResult Study, TapProposal Proposal, string Options);

    /// <summary>Measures, builds the report, and writes the options into a file next to it.</summary>
    public static (ReportDocument Document, Result Result, Action<TextWriter> Text) Build(
        StudyMaterial material,
        int levels,
        ulong seed,
        string output,
        CancellationToken cancellation
    )
    {
        double[] times = [.. Enumerable.Range(0, levels).Select(k => (k + 0.5) / levels)];
        var study = TapStudy.Measure(
            material.Images,
            material.Condition(),
            material.Pipeline!,
            times,
            seed,
            material.Device,
            cancellation: cancellation
        );
        var proposal = TapProposal.Of(study);
        var options = Fragment(proposal).ToJsonString(JsonStyles.DatasetDocument);
        var file = Path.Combine(output, OptionsName);
        AtomicFile.WriteText(file, options + "\n");
        var document = new ReportDocument(
            "Taps and estimates before post-training",
            [
                new ReportSection(
                    "Proposed options",
                    new Prose([.. proposal.Reasons]),
                    new CodeBlock("Options", options),
                    new CodeBlock("Command", $"retouch train --options {file} --model MODEL --data PICTURES --output RUN")
                ),
                new ReportSection("Taps", Taps(study)),
                new ReportSection("Estimates by noise level", Charts(study, proposal)),
                new ReportSection(
                    "Protocol",
                    material.Protocol([new("Noise levels", $"{levels}, equidistant in time; the same noise at each, seed {seed}")])
                ),
            ]
        )
        {
            Subtitle = material.Subtitle,
        };
        return (
            document,
            new Result(study, proposal, options),
            writer =>
            {
                var taps = new ColumnTable(
                    writer,
                    ("tap", -5),
                    ("channels", 10),
                    ("scale", 7),
                    ("magnitude", 12),
                    ("deviation", 12),
                    ("peak", 9),
                    ("outliers", 11),
                    ("their energy", 14),
                    ("constant", 10)
                );
                foreach (var t in study.Taps)
                    taps.Row(
                        $"{t.Tap}",
                        $"{t.Place.Channels}",
                        $"{t.Place.Scale}",
                        Figures.Significant(t.Magnitude, 3),
                        Figures.Significant(t.Deviation, 3),
                        Figures.Significant(t.Peak, 3),
                        Figures.Percent(t.Outliers),
                        Figures.Percent(t.OutlierEnergy),
                        Figures.Percent(t.Constant)
                    );
                writer.WriteLine();
                var levels = new ColumnTable(
                    writer,
                    ("sigma", -10),
                    ("latent error", 14),
                    ("alignment", 11),
                    ("  feature error by tap", -22)
                );
                foreach (var l in study.Levels)
                    levels.Row(
                        Figures.Significant(l.Sigma, 3),
                        Figures.Significant(l.LatentError, 3),
                        Figures.Significant(l.Alignment, 2),
                        "  " + string.Join("  ", l.FeatureErrors.Select(static e => Figures.Significant(e, 3)))
                    );
                writer.WriteLine();
                foreach (var reason in proposal.Reasons)
                    writer.WriteLine(reason);
                writer.WriteLine(options);
                writer.WriteLine($"options: {file}");
            }
        );
    }

    /// <summary>Proposal as training options.</summary>
    internal static JsonObject Fragment(TapProposal proposal) =>
        new()
        {
            ["objective"] = new JsonObject
            {
                ["perceptual"] = new JsonObject
                {
                    ["taps"] = new JsonArray([.. proposal.Taps.Select(static t => (JsonNode)t)]),
                    ["depthWeighting"] = "custom",
                    ["depthWeights"] = new JsonArray([.. proposal.Weights.Select(static w => (JsonNode)w)]),
                    ["threshold"] = proposal.Threshold,
                    ["weight"] = proposal.Weight,
                },
            },
        };

    private static ReportTable Taps(TapStudyResult study) =>
        new(
            "Features on real pictures",
            "tap",
            [
                new("channels"),
                new("scale (latent = 1)"),
                new("magnitude"),
                new("deviation"),
                new("peak, in standard deviations"),
                new("outliers") { Unit = "%" },
                new("their share of variance") { Unit = "%" },
                new("constant maps") { Unit = "%" },
            ],
            [
                .. study.Taps.Select(static t => new TableRow(
                    $"tap {t.Tap}",
                    t.Place.Channels,
                    t.Place.Scale,
                    t.Magnitude,
                    t.Deviation,
                    t.Peak,
                    100 * t.Outliers,
                    100 * t.OutlierEnergy,
                    100 * t.Constant
                )),
            ]
        )
        {
            Note = "Outliers by the rule of the loss, before its windows, in non-constant maps.",
        };

    private static ReportBlock[] Charts(TapStudyResult study, TapProposal proposal)
    {
        LevelFacts[] levels =
        [
            .. study.Levels.OrderBy(static l => l.Sigma).DistinctBy(static l => l.Sigma).Where(static l => double.IsFinite(l.Sigma)),
        ];
        double[] x = [.. levels.Select(static l => l.Sigma)];
        var axis = new ChartAxis("noise level σ", Log: true);
        ChartSeries Tap(int t, Func<LevelFacts, IReadOnlyList<double>> of) => new($"tap {t}", x, [.. levels.Select(l => of(l)[t])]);
        double[] Shares(LevelFacts l)
        {
            var weighted = proposal.Taps.Zip(proposal.Weights, (t, w) => l.Perceptual[t] * w).ToArray();
            return [.. weighted.Select(w => weighted.Sum() > 0 ? w / weighted.Sum() : 0)];
        }

        var shares = levels.Select(Shares).ToArray();
        string[] bands = ["low frequencies", "middle", "high"];
        return
        [
            new LineChart(
                "Error of the estimate, by noise level",
                axis,
                new ChartAxis("squared error over variance", Log: true),
                [
                    new ChartSeries("ẑ0", x, [.. levels.Select(static l => l.LatentError)]),
                    .. study.Taps.Select(t => Tap(t.Tap, static l => l.FeatureErrors)),
                ]
            )
            {
                Note = "1 is the error of a constant prediction of the mean. \"tap\" lines: decoder features of ẑ0.",
            },
            new LineChart(
                "Alignment of the latent perceptual loss with the diffusion loss",
                axis,
                new ChartAxis("cosine of the gradients"),
                [new ChartSeries("alignment", x, [.. levels.Select(static l => l.Alignment)])]
            )
            {
                Note = "1: the perceptual loss asks for the same correction of the estimate as the diffusion loss, and adds only weight.",
            },
            new LineChart(
                "Error of the decoded estimate, by frequency band",
                axis,
                new ChartAxis("relative power of the error", Log: true),
                [.. bands.Select((band, b) => new ChartSeries(band, x, [.. levels.Select(l => l.Bands[b])]))]
            ),
            new LineChart(
                "Latent perceptual loss by tap, unweighted",
                axis,
                new ChartAxis("loss", Log: true),
                [.. study.Taps.Select(t => Tap(t.Tap, static l => l.Perceptual))]
            ),
            new LineChart(
                "Shares of the taps in the loss, with the proposed weights",
                axis,
                new ChartAxis("share"),
                [.. proposal.Taps.Select((t, k) => new ChartSeries($"tap {t}", x, [.. shares.Select(s => s[k])]))]
            )
            {
                Stacked = true,
            },
        ];
    }
}
