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

/// <summary>One arm in a result.</summary>
/// <param name="Name">Which.</param>
/// <param name="Model">Its pipeline, in the diffusers layout.</param>
/// <param name="Seconds">Training, all in all.</param>
/// <param name="SecondsPerStep">Median.</param>
/// <param name="PeakBytes">The most resident memory while it trained.</param>
public sealed record DemoArmResult(string Name, string Model, double Seconds, double SecondsPerStep, long PeakBytes);

/// <summary>What a demo found.</summary>
/// <param name="Verdict">The report's first sentence.</param>
/// <param name="Report">The page.</param>
/// <param name="Json">The report's numbers.</param>
/// <param name="Seconds">This start of the demo, all in all.</param>
/// <param name="Arms">The arms.</param>
/// <param name="Evaluation">The arms' figures; differences are to the latent loss alone.</param>
/// <param name="Before">The model before post-training.</param>
/// <param name="Reconstruction">The held-out pictures through the autoencoder.</param>
public sealed record DemoResult(
    string Verdict,
    string Report,
    string Json,
    double Seconds,
    IReadOnlyList<DemoArmResult> Arms,
    EvaluationResult Evaluation,
    SetResult Before,
    SetResult Reconstruction
);

/// <summary>The demo from its settings to its report. Each part is skipped where an earlier start has finished it.</summary>
public static class DemoRun
{
    /// <summary>Runs it.</summary>
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
            $"Drawing {settings.Samples} pictures from the model before post-training",
            folder.Base,
            folder.Samples(DemoArm.Base.Key),
            settings,
            console
        );
        foreach (var run in runs)
            DemoSampling.Draw(
                $"Drawing {settings.Samples} pictures: {run.Arm.Name}",
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
            measured.Reconstruction
        );
    }

    /// <summary>Encodes the pictures once for all arms, so that no arm's seconds contain it.</summary>
    private static void Encode(TrainingOptions options, PhaseConsole console)
    {
        if (options.Data.Cache is null)
            return;
        console.Heading("Encoding the pictures to train on, once for all arms");
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
            // Scenes beyond those that the steps see would be encoded for nothing.
            var scenes = options["data"]!["sceneCount"]!.GetValue<int>();
            options["data"]!["sceneCount"] = (int)Math.Max(settings.Batch, Math.Min(scenes, settings.Steps * settings.Batch));
        }
        else
        {
            // Encoding everything once pays only where the steps see more than everything.
            options["data"]!["cacheLatents"] = settings.Steps * settings.Batch >= Data.ImageFolder.Open(folder.TrainingPictures).Count;
        }

        if (options["data"]!["cacheLatents"]!.GetValue<bool>())
            options["data"]!["cache"] = folder.Latents;
        return DemoRecipes.Bind(options, "post-training");
    }
}
