using System.Globalization;
using System.Text;
using Retouch.Core.Formatting;
using Retouch.Data;
using Retouch.Evaluation.Reports;
using Retouch.Experiments.Measuring;
using Retouch.Training.Options;

namespace Retouch.Experiments.Ablations;

/// <summary>Puts the report of an ablation together.</summary>
public static class AblationReport
{
    private const int ShownPictures = 12;
    private const int ColumnsOfPictures = 6;

    /// <summary>The report.</summary>
    /// <param name="plan">What was asked for.</param>
    /// <param name="folder">Where everything is.</param>
    /// <param name="figures">What was measured.</param>
    /// <param name="outcome">What is done, and what failed.</param>
    /// <param name="machine">What is to be said of the machine.</param>
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
                        AblationCharts.Training(plan, folder, "loss/latent/raw", "The diffusion loss in latent space", "loss"),
                        AblationCharts.Training(
                            plan,
                            folder,
                            "loss/lpl/share",
                            "Share of the latent perceptual loss in the total",
                            "share"
                        ),
                        AblationCharts.Training(
                            plan,
                            folder,
                            "lpl/gradient_ratio",
                            "Pull of the perceptual loss, relative to the latent loss",
                            "ratio of gradient norms"
                        ),
                        AblationCharts.Training(plan, folder, "loss/pixel/share", "Share of the pixel loss in the total", "share"),
                        .. AblationCharts.Preferences(plan, folder),
                    ]
            ).OfType<LineChart>(),
        ];
        ReportSection?[] sections =
        [
            new("What was compared", Compared(plan, outcome)),
            new("Figures", tables),
            curves.Count > 0 ? new("Curves", curves) : null,
            new("Pictures", pictures),
            training.Length > 0 ? new("Training", [new Prose($"Of each arm with seed {plan.Spec.Seeds[0]}."), .. training]) : null,
            new("How it was measured", [.. figures.Rows.DistinctBy(static row => row.Data.Key).Select(row => Protocol(plan, row))]),
            new("How to do it again", Again(plan, folder)),
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

    /// <summary>What the intervals show of the figure that decides.</summary>
    public static Verdict Verdict(AblationPlan plan, AblationFigures figures)
    {
        var decisive = plan.Spec.Evaluation.Decisive;
        var name = FigureNames.Header(decisive);
        var differences = figures.Differences.Where(d => d.Figure == decisive).ToArray();
        if (differences.Length == 0)
            return new Verdict(
                VerdictTone.Unclear,
                "Nothing can be compared yet.",
                "No arm and the one it is compared with have a seed in common."
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
            $"In {name}, against {(against.Length == 1 ? against[0] : "the arm each is compared with")}: {string.Join(". ", parts)}.",
            plan.Spec.Seeds.Count == 1
                ? "One seed: the intervals hold the chance of which pictures were drawn, not that of another training. Two seeds or more "
                    + "make a verdict."
                : $"Shown is what both intervals say: over pictures and seeds, and over the {plan.Spec.Seeds.Count} seeds alone."
        );
    }

    private static List<ReportBlock> Compared(AblationPlan plan, AblationOutcome outcome)
    {
        var e = plan.Spec.Evaluation;
        List<string> prose = [.. plan.Spec.About];
        prose.Add(
            "Arms with the same seed saw the same pictures, noise and times at every step, and every model drew from the same "
                + "seeds and classes. They were measured against real pictures that no training saw. "
                + $"**{FigureNames.Header(e.Decisive)}** is the figure that decides; the spec names it."
        );
        if (outcome.Done < outcome.Total)
            prose.Add($"**{outcome.Done} of {outcome.Total} runs are done**; the rest is missing here.");
        prose.AddRange(outcome.Failed.Select(static f => $"**Failed:** {f}"));
        List<ReportBlock> blocks =
        [
            new Prose([.. prose]),
            new KeyValues("Arms", [.. plan.Arms.Select(arm => KeyValuePair.Create(arm.Name, Summary(arm)))]),
        ];
        if (plan.Pretrainings.Any())
            blocks.Add(
                new KeyValues(
                    "Trained once, for all arms that start from it",
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
            { Folder: { } split } => $"every {data.Every}th of {split}, which no training saw",
            _ => $"procedural scenes of the test split, seed {data.SceneSeed}",
        };
        return new KeyValues(
            $"{data.Size} pixels, against {origin}",
            [
                new(
                    "Drawn",
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{row.Measured[0].Count} pictures from each model and training seed, picture seeds from {e.FirstSeed} "
                            + $"on, classes in turn; the same of every model"
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
        return $"{(set.Length > 0 ? set : "the options that all share")}; {o.Steps} steps of "
            + $"{o.Batch.Size * o.Batch.Accumulate}{(arm.Training.From is { } from ? $", from {from.Name}" : "")}"
            + $"{(arm.Against == arm.Name ? "" : $"; compared with {arm.Against}")}";
    }

    private static IEnumerable<PictureGrid> Grids(IReadOnlyList<AblationRow> rows, AblationFolder folder)
    {
        var real = ImageFolder.Open(folder.HeldOut(rows[0].Data));
        // Of an arm that was drawn from in several ways, the last way.
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
            yield return new PictureGrid($"The same seeds and classes from every model, {rows[0].Data.Size} pixels", names, columns)
            {
                Note =
                    $"The first seeds, not chosen by looks; arms with training seed "
                    + $"{shown.SelectMany(static row => row.Seeds).FirstOrDefault()}. The real pictures have nothing in common with "
                    + $"them.",
            };
        }
    }

    private static List<ReportBlock> Again(AblationPlan plan, AblationFolder folder)
    {
        var commands = new StringBuilder();
        commands.Append(
            CultureInfo.InvariantCulture,
            $"# everything: the spec below as a file\nretouch ablate spec.json --output again\n\n# one arm by hand\n"
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
            new CodeBlock("The spec, with everything that was given beside it", OptionsFile.Write(plan.Spec), Collapsed: true),
        ];
        foreach (
            var training in plan
                .Pretrainings.Select(t => (t.Name, File: Path.Combine(folder.Run(t), "options.json")))
                .Concat(plan.Arms.Select(a => (a.Name, File: Path.Combine(folder.Run(a, seed), "options.json"))))
        )
        {
            if (File.Exists(training.File))
                blocks.Add(new CodeBlock($"Options of {training.Name}, as it ran", File.ReadAllText(training.File), Collapsed: true));
        }

        return blocks;
    }
}
