using Retouch.Experiments.Phases;

namespace Retouch.Experiments.Ablations;

/// <summary>Job of an ablation, done by one process.</summary>
/// <param name="Id">Identifier of its claim.</param>
/// <param name="Title">Title, for output.</param>
/// <param name="IsArm">Whether it counts for <c>--arms</c>.</param>
/// <param name="IsDone">Whether its result exists.</param>
/// <param name="Needs">Jobs that must be done before.</param>
/// <param name="Run">Executes the job.</param>
internal sealed record AblationJob(
    string Id,
    string Title,
    bool IsArm,
    Func<bool> IsDone,
    IReadOnlyList<AblationJob> Needs,
    Action<PhaseConsole> Run
);

/// <summary>Derives jobs from a plan.</summary>
internal static class AblationJobs
{
    /// <summary>All jobs, in the order of a single process: every arm with the first seed, then with the next.</summary>
    public static IReadOnlyList<AblationJob> Of(AblationPlan plan, AblationFolder folder)
    {
        var data = plan.Data.ToDictionary(
            static d => d.Key,
            d => new AblationJob(
                $"data-{d.Key}",
                $"Pictures of {d.Size} pixels",
                false,
                () => AblationPictures.IsWhole(d, folder),
                [],
                console => AblationPictures.Prepare(d, folder, console)
            )
        );
        var pretrainings = new Dictionary<string, AblationJob>();
        foreach (var training in plan.Pretrainings)
        {
            var run = folder.Run(training);
            pretrainings[training.Key] = new AblationJob(
                $"pretraining-{training.Key}",
                $"Pre-training: {training.Name}",
                false,
                () => PhaseRecord.Read(run) is { Finished: true },
                [data[training.Data.Key], .. From(training)],
                console =>
                    console.Train($"Pre-training: {training.Name}", AblationWork.Options(training, folder, training.Options.Seed), run)
            );
        }

        List<AblationJob> jobs = [.. data.Values, .. pretrainings.Values];
        if (plan.Spec.Evaluation.Before)
        {
            foreach (var start in AblationWork.Starts(plan))
            {
                jobs.Add(
                    new AblationJob(
                        $"before-{start.Key}",
                        $"Initial model: {start.Name}",
                        false,
                        () => AblationWork.IsMeasured(folder, start.Folder, plan.Spec.Evaluation, start.Variants, start.Data),
                        [data[start.Data.Key], .. start.Training is { } t ? [pretrainings[t.Key]] : Array.Empty<AblationJob>()],
                        console => AblationWork.Measure(start, plan, folder, console)
                    )
                );
            }
        }

        foreach (var seed in plan.Spec.Seeds)
        {
            foreach (var arm in plan.Arms)
            {
                var variants = plan.Variants(arm);
                jobs.Add(
                    new AblationJob(
                        $"arm-{arm.Training.Key}-seed-{seed}",
                        $"{arm.Name}, seed {seed}",
                        true,
                        () =>
                            AblationWork.IsMeasured(
                                folder,
                                AblationFolder.ModelOf(arm, seed),
                                plan.Spec.Evaluation,
                                variants,
                                arm.Training.Data
                            ),
                        [data[arm.Training.Data.Key], .. From(arm.Training)],
                        console => AblationWork.Do(arm, seed, plan, folder, console)
                    )
                );
            }
        }

        return jobs;

        IEnumerable<AblationJob> From(PlannedTraining training) => training.From is { } parent ? [pretrainings[parent.Key]] : [];
    }
}
