using Retouch.Core.Formatting;
using Retouch.Experiments.Phases;
using Retouch.Pipelines.Diffusers;
using Retouch.Samplers;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Experiments.Ablations;

/// <summary>What one training takes.</summary>
/// <param name="Name">Which.</param>
/// <param name="Runs">How often it is left to be done: its seeds.</param>
/// <param name="Steps">Steps each.</param>
/// <param name="SecondsPerStep">Measured over three steps.</param>
/// <param name="TrainingSeconds">Of one run.</param>
/// <param name="DrawingSeconds">Of one run: all its pictures, from a measured sampler step.</param>
public sealed record EstimatedTraining(
    string Name,
    int Runs,
    long Steps,
    double SecondsPerStep,
    double TrainingSeconds,
    double DrawingSeconds
);

/// <summary>What an ablation would do.</summary>
/// <param name="Trainings">The trainings.</param>
/// <param name="Left">Runs of arms that are left.</param>
/// <param name="Total">Runs of arms in all.</param>
/// <param name="Seconds">Everything that is left, on this machine one after the other; without encoding pictures and measuring.</param>
public sealed record AblationEstimate(IReadOnlyList<EstimatedTraining> Trainings, int Left, int Total, double Seconds)
{
    /// <summary>Measures: three steps of each training, two sampler steps of each model.</summary>
    public static AblationEstimate Measure(AblationPlan plan, AblationFolder? folder, PhaseConsole console)
    {
        List<EstimatedTraining> trainings = [];
        Dictionary<string, double> steps = [];
        foreach (var training in plan.Pretrainings)
            trainings.Add(Of(training, folder is not null && PhaseRecord.Read(folder.Run(training)) is { Finished: true } ? 0 : 1, 0));
        foreach (var arm in plan.Arms)
        {
            var left = plan.Spec.Seeds.Count(seed =>
                folder is null
                || !AblationWork.IsMeasured(
                    folder,
                    AblationFolder.ModelOf(arm, seed),
                    plan.Spec.Evaluation,
                    plan.Variants(arm),
                    arm.Training.Data
                )
            );
            trainings.Add(
                Of(
                    arm.Training,
                    left,
                    plan.Variants(arm).Sum(static v => v.Steps * (v.Guidance == 1 ? 1 : 2)) * (double)plan.Spec.Evaluation.Samples
                )
            );
        }

        var runs = trainings.Skip(plan.Pretrainings.Count()).Sum(static t => t.Runs);
        return new AblationEstimate(
            trainings,
            runs,
            plan.Arms.Count * plan.Spec.Seeds.Count,
            trainings.Sum(static t => t.Runs * (t.TrainingSeconds + t.DrawingSeconds))
        );

        EstimatedTraining Of(PlannedTraining training, int runs, double passes)
        {
            console.Cancellation.ThrowIfCancellationRequested();
            // What is trained first is not there yet: its own start costs the same.
            var root = training;
            while (root.From is { } parent)
                root = parent;
            var options = training.Options with
            {
                Model = training.From is null
                    ? training.Options.Model
                    : root.Options.Model with
                    {
                        CheckpointActivations = training.Options.Model.CheckpointActivations,
                    },
            };
            // A step on cached latents does not depend on the pictures: a few do for measuring, without encoding everything.
            if (options.Data is { Folder: null, Shards: null })
                options = options with
                {
                    Data = options.Data with
                    {
                        SceneCount = Math.Min(options.Data.SceneCount ?? int.MaxValue, Math.Max(16, options.Batch.Size)),
                    },
                };
            double step;
            using (var run = TrainingRun.Start(options, null, console.Time))
                step = run.Plan(console.Cancellation).SecondsPerStep;
            var sampler = options.Model.Path is { } path && passes > 0 ? PassSeconds(path, options) : 0;
            return new EstimatedTraining(
                training.Name,
                runs,
                training.Options.Steps,
                step,
                training.Options.Steps * step,
                passes * sampler
            );
        }

        double PassSeconds(string model, TrainingOptions options)
        {
            var key = $"{model} {options.Data.Side}";
            if (steps.TryGetValue(key, out var known))
                return known;
            const int Pictures = 8,
                Steps = 2;
            var device = Device.Parse(options.Device).Require();
            using var pipeline = LatentDiffusionPipeline.Load(model, device);
            var start = console.Time.GetTimestamp();
            _ = PipelineSampler.Sample(
                pipeline,
                new PipelineSampling
                {
                    Seeds = PipelineSampling.SeedsFrom(0, Pictures),
                    Width = options.Data.Side,
                    Height = options.Data.Side,
                    Steps = Steps,
                    Guidance = new(1),
                    BatchSize = Pictures,
                },
                device,
                cancellation: console.Cancellation
            );
            return steps[key] = console.Time.GetElapsedTime(start).TotalSeconds / (Pictures * Steps);
        }
    }

    /// <summary>Prints the estimate for people.</summary>
    public void Print(TextWriter writer)
    {
        var table = new ColumnTable(writer, ("", -34), ("runs left", 10), ("steps", 8), ("a step", 10), ("training", 12), ("drawing", 12));
        foreach (var t in Trainings)
        {
            table.Row(t.Name, $"{t.Runs}", $"{t.Steps}", Text(t.SecondsPerStep), Text(t.TrainingSeconds), Text(t.DrawingSeconds));
        }

        writer.WriteLine();
        writer.WriteLine(
            $"{Left} of {Total} runs are left: about {Text(Seconds)} on this machine, without encoding pictures and measuring."
        );
        static string Text(double seconds) => Figures.Duration(TimeSpan.FromSeconds(seconds));
    }
}
