using System.Globalization;
using System.Text;
using Retouch.Core.Formatting;
using Retouch.Data;
using Retouch.Evaluation.Reports;
using Retouch.Experiments.Measuring;
using Retouch.Training.Options;

namespace Retouch.Experiments.Ablations;

/// <summary>Builds the report of an ablation.</summary>
public static class AblationReport
{
    private const int ShownPictures = 12;
    private const int ColumnsOfPictures = 6;

    /// <summary>Builds the report.</summary>
    /// <param name="plan">Plan.</param>
    /// <param name="folder">Folder of the ablation.</param>
    /// <param name="figures">Measurements.</param>
    /// <param name="outcome">Completed and failed runs.</param>
    /// <param name="machine">Section on the machine.</param>
    public static ReportDocument Build(
        AblationPlan plan,
        AblationFolder folder,
        AblationFigures figures,
        AblationOutcome outcome,
        ReportSection machine
    )
    {
        List<ReportBlock> tables = [],
            curves = [],
            pictures = [];
        foreach (var group in figures.Rows.GroupBy(static row => row.Data.Key))
        {
            AblationRow[] rows = [.. group];
            tables.AddRange([.. AblationTables.Quality(plan, rows, byBand: false), .. AblationTables.Differences(plan, figures, rows)]);
            if (AblationTables.Pairs(plan, rows) is { } pairs)
                tables.Add(pairs);
            tables.AddRange(AblationTables.Quality(plan, rows, byBand: true));
            curves.AddRange(
                AblationCharts
                    .OverVariants(plan, rows)
                    .Prepend(AblationCharts.OverAxis(plan, rows))
                    .Append(AblationCharts.Spectra(rows))
                    .OfType<ReportBlock>()
            );
            pictures.AddRange(Grids(rows, folder));
        }

        ReportBlock[] training =
        [
            .. (
                (LineChart?[])
                    [
                        AblationCharts.Training(plan, folder, "loss/latent/raw", "Diffusion loss", "loss"),
                        AblationCharts.Training(
                            plan,
                            folder,
                            "loss/lpl/share",
                            "Share of the latent perceptual loss in the total loss",
                            "share"
                        ),
                        AblationCharts.Training(
                            plan,
                            folder,
                            "lpl/gradient_ratio",
                            "Gradient ratio of the latent perceptual loss",
                            "relative to the diffusion loss"
                        ),
                        AblationCharts.Training(
                            plan,
                            folder,
                            "loss/pixel/share",
                            "Share of the pixel-space loss in the total loss",
                            "share"
                        ),
                        .. AblationCharts.Preferences(plan, folder),
                    ]
            ).OfType<LineChart>(),
        ];
        ReportSection?[] sections =
        [
            new("Arms", Compared(plan, outcome)),
            new("Figures", tables),
            curves.Count > 0 ? new("Curves", curves) : null,
            new("Pictures", pictures),
            training.Length > 0 ? new("Training", [new Prose($"First seed of each arm ({plan.Spec.Seeds[0]})."), .. training]) : null,
            new("Protocol", [.. figures.Rows.DistinctBy(static row => row.Data.Key).Select(row => Protocol(plan, row))]),
            new("Reproduction", Again(plan, folder)),
            machine,
        ];
        return new ReportDocument(plan.Spec.Title, [.. sections.OfType<ReportSection>()])
        {
            Subtitle = string.Create(
                CultureInfo.InvariantCulture,
                $"{plan.Arms.Count} arms, {plan.Spec.Seeds.Count} {(plan.Spec.Seeds.Count == 1 ? "seed" : "seeds")}; "
                    + $"{plan.Spec.Evaluation.Samples} pictures each"
            ),
            Verdict = Verdict(plan, figures),
            Arms = [.. plan.Arms.Select(arm => new ReportArm(arm.Name, Summary(arm)))],
        };
    }

    /// <summary>Verdict on the decisive figure.</summary>
    public static Verdict Verdict(AblationPlan plan, AblationFigures figures)
    {
        var decisive = AblationFigures.Decisive(plan.Spec.Evaluation.Decisive, figures.Rows);
        var name = FigureNames.Header(decisive);
        var differences = figures.Differences.Where(d => d.Figure == decisive).ToArray();
        if (differences.Length == 0)
            return new Verdict(
                VerdictTone.Unclear,
                "No comparison is available yet.",
                "No arm has a seed in common with its comparison arm."
            );
        string Said(string verdict) =>
            string.Join(
                "; ",
                differences
                    .Where(d => d.Verdict == verdict)
                    .Select(d =>
                    {
                        var compared = figures.Rows.First(row => row.Name == d.Against).Find(decisive)!.Estimate.Value;
                        return $"{d.Row} ({Figures.Percent(Math.Abs(d.Estimate.Value / compared))} "
                            + $"{(d.Estimate.Value < 0 ? "lower" : "higher")})";
                    })
            );
        var (better, worse) = (Said(AblationVerdict.Better), Said(AblationVerdict.Worse));
        List<string> parts = [];
        if (better.Length > 0)
            parts.Add($"better: {better}");
        if (worse.Length > 0)
            parts.Add($"worse: {worse}");
        foreach (var (verdict, all, some) in AblationVerdict.Open)
        {
            var open = differences.Count(d => d.Verdict == verdict);
            if (open > 0)
                parts.Add(open == differences.Length ? all : $"{open} of {differences.Length} {some}");
        }

        var tone =
            better.Length > 0 && worse.Length > 0 ? VerdictTone.Mixed
            : better.Length > 0 ? VerdictTone.Better
            : worse.Length > 0 ? VerdictTone.Worse
            : VerdictTone.Unclear;
        var against = differences.Select(static d => d.Against).Distinct().Order(StringComparer.Ordinal).ToArray();
        return new Verdict(
            tone,
            $"{name}, compared with {(against.Length == 1 ? against[0] : "each arm's comparison arm")}: {string.Join(". ", parts)}.",
            plan.Spec.Seeds.Count == 1
                ? "One seed: the intervals cover the variation between pictures, not between trainings. A verdict requires at least "
                    + "two seeds."
                : "Verdicts require that both intervals agree: over pictures and seeds, and over the seeds alone."
        );
    }

    private static List<ReportBlock> Compared(AblationPlan plan, AblationOutcome outcome)
    {
        var e = plan.Spec.Evaluation;
        List<string> prose = [.. plan.Spec.About];
        prose.Add(
            "Arms with the same seed were trained on the same pictures, noise and timesteps, and all models were sampled with the same "
                + "seeds and classes. The reference pictures are held out from training. "
                + $"**{FigureNames.Header(e.Decisive)}** is the decisive figure, fixed in the specification."
        );
        if (outcome.Done < outcome.Total)
            prose.Add($"**{outcome.Done} of {outcome.Total} runs are complete**; the others are missing here.");
        prose.AddRange(outcome.Failed.Select(static f => $"**Failed:** {f}"));
        List<ReportBlock> blocks =
        [
            new Prose([.. prose]),
            new KeyValues("Arms", [.. plan.Arms.Select(arm => KeyValuePair.Create(arm.Name, Summary(arm)))]),
        ];
        if (plan.Pretrainings.Any())
            blocks.Add(
                new KeyValues(
                    "Pre-training, shared by arms",
                    [
                        .. plan.Pretrainings.Select(static t =>
                            KeyValuePair.Create(
                                t.Name,
                                $"{t.Options.Steps} steps of "
                                    + $"{t.Options.Batch.Size * t.Options.Batch.Accumulate}"
                                    + $"{(t.From is { } from ? $", from {from.Name}" : "")}"
                            )
                        ),
                    ]
                )
            );
        return blocks;
    }

    private static KeyValues Protocol(AblationPlan plan, AblationRow row)
    {
        var (e, data) = (plan.Spec.Evaluation, row.Data);
        var origin = data switch
        {
            { HeldOut: { } own } => $"from {own}",
            { Folder: { } split } => $"every {data.Every}th picture of {split}, held out from training",
            _ => $"procedural scenes of the test split, seed {data.SceneSeed}",
        };
        return new KeyValues(
            $"{data.Size} pixels, reference {origin}",
            [
                new(
                    "Drawn",
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{row.Measured[0].Count} pictures from each model and training seed, picture seeds from {e.FirstSeed} "
                            + $"on, classes in turn; the same for all models"
                    )
                ),
                new(
                    "Real",
                    $"{Figures.Count(row.Measured[0].References)} "
                        + $"pictures"
                        + (
                            data.Folder is null && data.HeldOut is null
                                ? ""
                                : $", shorter side to {data.Size} by Lanczos' filter as Pillow does it, cut from the middle, "
                                    + "written as PNG"
                        )
                ),
                .. row.Measured[0].Protocol ?? [],
            ]
        );
    }

    private static string Summary(PlannedArm arm)
    {
        var set = string.Join("; ", arm.Settings.Select(static s => $"{s.Key} = {s.Value?.ToJsonString() ?? "default"}"));
        var o = arm.Training.Options;
        return $"{(set.Length > 0 ? set : "shared options only")}; {o.Steps} steps of "
            + $"{o.Batch.Size * o.Batch.Accumulate}{(arm.Training.From is { } from ? $", from {from.Name}" : "")}"
            + $"{(arm.Against == arm.Name ? "" : $"; compared with {arm.Against}")}";
    }

    private static IEnumerable<PictureGrid> Grids(IReadOnlyList<AblationRow> rows, AblationFolder folder)
    {
        var real = ImageFolder.Open(folder.HeldOut(rows[0].Data));
        // The last variant of an arm with several.
        AblationRow[] shown = [.. rows.GroupBy(static row => row.Model).Select(static g => g.Last())];
        var count = Math.Min(ShownPictures, Math.Min(real.Count, shown[0].Measured[0].Count));
        string[] names =
        [
            .. Enumerable.Range(0, count).Select(static k => string.Create(CultureInfo.InvariantCulture, $"picture {k + 1}")),
        ];
        for (var from = 0; from < shown.Length; from += ColumnsOfPictures)
        {
            PictureColumn[] columns =
            [
                .. shown
                    .Skip(from)
                    .Take(ColumnsOfPictures)
                    .Select(row => new PictureColumn(
                        row.Model,
                        [
                            .. Enumerable
                                .Range(0, count)
                                .Select(k =>
                                    File.ReadAllBytes(
                                        Path.Combine(row.Pictures, string.Create(CultureInfo.InvariantCulture, $"{k:D5}.png"))
                                    )
                                ),
                        ]
                    )),
                new PictureColumn("real, held-out", [.. Enumerable.Range(0, count).Select(k => File.ReadAllBytes(real.FilePath(k)))]),
            ];
            yield return new PictureGrid($"Samples with the same seeds and classes, {rows[0].Data.Size} pixels", names, columns)
            {
                Note =
                    $"The first picture seeds, not selected; arms with training seed "
                    + $"{shown.SelectMany(static row => row.Seeds).FirstOrDefault()}. The real pictures are unrelated to "
                    + $"them.",
            };
        }
    }

    private static List<ReportBlock> Again(AblationPlan plan, AblationFolder folder)
    {
        var commands = new StringBuilder();
        commands.Append(
            CultureInfo.InvariantCulture,
            $"# everything, with the specification below as a file\nretouch ablate spec.json --output again\n\n# one arm, step by step\n"
        );
        var (arm, seed) = (plan.Arms[^1], plan.Spec.Seeds[0]);
        var run = Path.Combine(folder.Shown, AblationFolder.ModelOf(arm, seed), "run");
        var variant = plan.Variants(arm)[^1];
        var e = plan.Spec.Evaluation;
        var model = variant.Decay > 0 ? string.Create(CultureInfo.InvariantCulture, $"model-average-{variant.Decay}") : "model";
        commands.Append(CultureInfo.InvariantCulture, $"retouch train --options {run}/options.json --output again/run\n");
        commands.Append(
            CultureInfo.InvariantCulture,
            $"retouch sample --model again/run/{model} --output again/pictures --count {e.Samples} --seed {e.FirstSeed} --steps "
                + $"{variant.Steps} --guidance {variant.Guidance} --size {arm.Training.Data.Size}\n"
        );
        commands.Append(
            CultureInfo.InvariantCulture,
            $"retouch evaluate again/pictures --reference {folder.Shown}/data/{arm.Training.Data.Key}/held-out --metrics "
                + $"{string.Join(',', e.Metrics)}\n"
        );
        List<ReportBlock> blocks =
        [
            new CodeBlock("Commands", commands.ToString()),
            new CodeBlock("Specification, including options of the command line", OptionsFile.Write(plan.Spec), Collapsed: true),
        ];
        foreach (
            var training in plan
                .Pretrainings.Select(t => (t.Name, File: Path.Combine(folder.Run(t), "options.json")))
                .Concat(plan.Arms.Select(a => (a.Name, File: Path.Combine(folder.Run(a, seed), "options.json"))))
        )
        {
            if (File.Exists(training.File))
                blocks.Add(new CodeBlock($"Resolved options of {training.Name}", File.ReadAllText(training.File), Collapsed: true));
        }

        return blocks;
    }
}
