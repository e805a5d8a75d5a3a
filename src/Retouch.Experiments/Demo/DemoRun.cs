using System.Text.Json.Nodes;
using Retouch.Core.Formatting;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Reports;
using Retouch.Evaluation.Statistics;
using Retouch.Experiments.Machine;
using Retouch.Experiments.Phases;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Experiments.Demo;

/// <summary>Arm in a result.</summary>
/// <param name="Name">Name of the arm.</param>
/// <param name="Model">Folder of its pipeline, in the diffusers layout.</param>
/// <param name="Seconds">Training time.</param>
/// <param name="SecondsPerStep">Median time per step.</param>
/// <param name="PeakBytes">Peak resident memory during training.</param>
public sealed record DemoArmResult(string Name, string Model, double Seconds, double SecondsPerStep, long PeakBytes);

/// <summary>Result of a demo.</summary>
/// <param name="Verdict">Headline of the report.</param>
/// <param name="Report">Page.</param>
/// <param name="Json">JSON of the report.</param>
/// <param name="Seconds">Wall-clock time of this start.</param>
/// <param name="Arms">Arms.</param>
/// <param name="Evaluation">Figures of the arms; differences are to the arm with the diffusion loss only.</param>
/// <param name="Before">Figures of the initial model.</param>
/// <param name="Reconstruction">Held-out pictures, encoded and decoded.</param>
/// <param name="Decisive">Name of the decisive figure.</param>
public sealed record DemoResult(
    string Verdict,
    string Report,
    string Json,
    double Seconds,
    IReadOnlyList<DemoArmResult> Arms,
    EvaluationResult Evaluation,
    SetResult Before,
    SetResult Reconstruction,
    string Decisive
);

/// <summary>The demo, from settings to report. Parts completed by an earlier start are reused.</summary>
public static class DemoRun
{
    /// <summary>Runs the demo.</summary>
    public static DemoResult Run(DemoSettings settings, DemoFolder folder, PhaseConsole console)
    {
        var start = console.Time.GetTimestamp();
        var load = ReportOrigin.LoadAverage();
        DemoPictures.Prepare(settings, folder, console);
        DemoPretraining.Prepare(settings, folder, console);
        TrainingOptions[] options = [.. DemoArm.All.Select(arm => Options(arm, settings, folder))];
        if (DemoArm.All.Any(arm => PhaseRecord.Read(folder.Run("arms", arm.Key)) is not { Finished: true }))
            Encode(options[0], console);
        List<ArmRun> runs = [];
        foreach (var arm in DemoArm.All)
        {
            var run = folder.Run("arms", arm.Key);
            var phase = console.Train(
                $"Post-training, arm {runs.Count + 1} of {DemoArm.All.Count}: {arm.Name} ({arm.Summary})",
                options[runs.Count],
                run
            );
            runs.Add(ArmRun.Read(arm, run, phase));
        }

        DemoSampling.Draw(
            $"Sampling {settings.Samples} pictures: initial model",
            folder.Base,
            folder.Samples(DemoArm.Base.Key),
            settings,
            console
        );
        foreach (var run in runs)
            DemoSampling.Draw(
                $"Sampling {settings.Samples} pictures: {run.Arm.Name}",
                PhaseConsole.ModelOf(run.Folder),
                folder.Samples(run.Arm.Key),
                settings,
                console
            );
        var measured = DemoMeasurement.Take(settings, folder, console);
        var document = DemoReport.Build(settings, folder, runs, measured, ReportOrigin.Machine(load));
        var files = ReportWriter.Write(document, folder.Path);
        var seconds = console.Time.GetElapsedTime(start).TotalSeconds;
        console.Heading($"Done in {Figures.Duration(TimeSpan.FromSeconds(seconds))}");
        return new DemoResult(
            document.Verdict!.Headline,
            files.Html,
            files.Json,
            seconds,
            [
                .. runs.Select(static run => new DemoArmResult(
                    run.Arm.Name,
                    PhaseConsole.ModelOf(run.Folder),
                    run.Phase.Seconds,
                    run.StepSeconds,
                    run.Phase.PeakBytes
                )),
            ],
            measured.Arms,
            measured.AgainstBefore.Sets[0],
            measured.Reconstruction,
            measured.Decisive
        );
    }

    /// <summary>Encodes the pictures once for all arms, so that no arm's time includes it.</summary>
    private static void Encode(TrainingOptions options, PhaseConsole console)
    {
        if (options.Data.Cache is null)
            return;
        console.Heading("Encoding the training pictures, once for all arms");
        using var run = TrainingRun.Start(options, null, console.Time);
        using var progress = console.Progress();
        run.FillCache(progress, console.Cancellation);
    }

    private static TrainingOptions Options(DemoArm arm, DemoSettings settings, DemoFolder folder)
    {
        var options = DemoRecipes.Read("post-training");
        DemoRecipes.SetData(options, settings, folder);
        OptionsFile.Set(options, "model.path", JsonValue.Create(folder.Base));
        OptionsFile.Set(options, "seed", JsonValue.Create(settings.Seed));
        OptionsFile.Set(options, "steps", JsonValue.Create(settings.Steps));
        OptionsFile.Set(options, "batch.size", JsonValue.Create(settings.Batch));
        options["objective"] = JsonNode.Parse(arm.Objective);
        if (settings.Data is null)
        {
            // Encoding is limited to the scenes used by the steps.
            var scenes = options["data"]!["sceneCount"]!.GetValue<int>();
            options["data"]!["sceneCount"] = (int)Math.Max(settings.Batch, Math.Min(scenes, settings.Steps * settings.Batch));
        }
        else
        {
            // Encoding all pictures pays off only if the steps use each more than once.
            options["data"]!["cacheLatents"] = settings.Steps * settings.Batch >= Data.ImageFolder.Open(folder.TrainingPictures).Count;
        }

        if (options["data"]!["cacheLatents"]!.GetValue<bool>())
            options["data"]!["cache"] = folder.Latents;
        return DemoRecipes.Bind(options, "post-training");
    }
}
