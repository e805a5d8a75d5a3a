using System.Globalization;
using System.Text;
using Retouch.Core.Formatting;
using Retouch.Evaluation.Reports;
using Retouch.Experiments.Measuring;
using Retouch.Experiments.Phases;

namespace Retouch.Experiments.Demo;

/// <summary>Builds the report of a demo.</summary>
public static class DemoReport
{
    /// <summary>Builds the report.</summary>
    /// <param name="settings">Settings.</param>
    /// <param name="folder">Folder of the demo.</param>
    /// <param name="runs">Trained arms.</param>
    /// <param name="measured">Measurements.</param>
    /// <param name="machine">Section on the machine.</param>
    public static ReportDocument Build(
        DemoSettings settings,
        DemoFolder folder,
        IReadOnlyList<ArmRun> runs,
        DemoMeasurement measured,
        ReportSection machine
    )
    {
        var recorded = RecordedResult.ReadAll();
        RecordedResult[] shown = [.. recorded.Where((r, k) => k > 0 || r.IsOf(settings))];
        List<ReportBlock> losses =
        [
            DemoCharts.LatentLoss(runs),
            new BlockRow([.. DemoCharts.DecodedLosses(runs)]),
            new BlockRow([.. DemoCharts.Shares(runs)]),
        ];
        if (DemoCharts.GradientRatio(runs) is { } ratio)
            losses.Add(ratio);
        return new ReportDocument(
            "Post-training through the decoder: a comparison",
            [
                new ReportSection("Pictures", DemoGrid.Read(settings, folder)),
                new ReportSection("Setup", Compared(settings, runs, measured)),
                new ReportSection(
                    "Figures",
                    [
                        DemoTables.Quality(measured),
                        DemoTables.Differences(measured),
                        .. shown.Select(static r => r.Table()),
                        DemoTables.Bands(measured),
                        DemoTables.Cost(runs),
                    ]
                ),
                new ReportSection(
                    "Spectra",
                    new BlockRow(DemoCharts.Spectra(measured), DemoCharts.SpectrumRatio(measured)),
                    DemoCharts.SpectrumBands(measured)
                ),
                new ReportSection("Training", losses),
                new ReportSection("Reproduction", Again(settings, folder, runs)),
                machine,
            ]
        )
        {
            Subtitle = Subtitle(settings, runs),
            Verdict = DemoVerdict.Of(measured),
            Highlights = [.. Highlights(runs, measured), .. shown.SelectMany(static r => r.Highlights())],
            Arms =
            [
                .. DemoArm.All.Select(static arm => new ReportArm(arm.Name, arm.Summary)),
                new ReportArm(DemoArm.Base.Name, DemoArm.Base.Summary),
            ],
        };
    }

    private static string Subtitle(DemoSettings settings, IReadOnlyList<ArmRun> runs)
    {
        var data = settings.Data is { } folder ? $"the pictures of {folder}" : "procedural scenes";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{data} at {settings.Size} pixels; {runs.Count} arms of {settings.Steps} steps at batch {settings.Batch}; "
                + $"{settings.Samples} pictures each, {settings.SamplerSteps} sampler steps, guidance {settings.Guidance}"
        );
    }

    private static IEnumerable<Highlight> Highlights(IReadOnlyList<ArmRun> runs, DemoMeasurement measured)
    {
        foreach (var set in measured.Arms.Sets)
        {
            var figure = set.Of(measured.Decisive);
            yield return new Highlight(
                $"{set.Name}: {FigureNames.Header(measured.Decisive)}",
                Figures.Significant(figure.Value, 3),
                $"{Figures.Significant(figure.Interval.Low, 3)} to {Figures.Significant(figure.Interval.High, 3)}; "
                    + $"{Figures.Duration(TimeSpan.FromSeconds(runs.First(run => run.Arm.Name == set.Name).StepSeconds))} per step"
            );
        }
    }

    private static Prose[] Compared(DemoSettings settings, IReadOnlyList<ArmRun> runs, DemoMeasurement measured) =>
        [
            new Prose(
                $"A small latent diffusion model was post-trained for {Figures.Count(settings.Steps, "step")} with "
                    + $"{runs.Count} objectives, "
                    + $"from the same initial weights, with the same pictures, noise and timesteps. "
                    + "Only the loss differs. Samples of all models use the same seeds and classes and are "
                    + "evaluated against held-out real pictures.",
                $"**{FigureNames.Header(measured.Decisive)}** is the decisive figure, chosen in advance. The "
                    + "Fréchet distance compares mean and covariance of the features of a small classifier trained on the "
                    + "classes of the pictures, the wavelet distance those of wavelet packets; **spectrum error** compares the "
                    + "radial power spectra. Lower is better for all."
            ),
        ];

    private static List<ReportBlock> Again(DemoSettings settings, DemoFolder folder, IReadOnlyList<ArmRun> runs)
    {
        var root = folder.Shown.TrimEnd('/');
        var commands = new StringBuilder();
        foreach (var run in runs)
        {
            var model = $"again/{run.Arm.Key}/{Path.GetFileName(PhaseConsole.ModelOf(run.Folder))}";
            commands.Append(CultureInfo.InvariantCulture, $"# {run.Arm.Name}\n");
            commands.Append(
                CultureInfo.InvariantCulture,
                $"retouch train --options {root}/arms/{run.Arm.Key}/options.json --output again/{run.Arm.Key}\n"
            );
            commands.Append(
                CultureInfo.InvariantCulture,
                $"retouch sample --model {model} --output again/{run.Arm.Key}-pictures --count {settings.Samples} --seed "
                    + $"{DemoSampling.FirstSeed} --steps {settings.SamplerSteps} --guidance {settings.Guidance} --size "
                    + $"{settings.Size}\n\n"
            );
        }

        var all = string.Join(' ', DemoArm.All.Select(static arm => $"again/{arm.Key}-pictures"));
        commands.Append(
            CultureInfo.InvariantCulture,
            $"# the figures\nretouch compare {all} --reference {root}/held-out --seed {settings.Seed}\n"
        );
        List<ReportBlock> blocks = [new CodeBlock("Commands", commands.ToString())];
        blocks.AddRange(runs.Select(static run => new CodeBlock($"Options of {run.Arm.Name}", run.Options, Collapsed: true)));
        return blocks;
    }
}
