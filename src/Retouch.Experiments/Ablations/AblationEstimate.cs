using Retouch.Core.Formatting;
using Retouch.Experiments.Phases;
using Retouch.Pipelines.Diffusers;
using Retouch.Samplers;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Experiments.Ablations;

/// <summary>Cost of one training.</summary>
/// <param name="Name">Name of the training.</param>
/// <param name="Runs">Remaining runs, one per seed.</param>
/// <param name="Steps">Steps per run.</param>
/// <param name="SecondsPerStep">Measured over three steps.</param>
/// <param name="TrainingSeconds">Training time per run.</param>
/// <param name="DrawingSeconds">Sampling time of all pictures per run, from a measured sampler step.</param>
public sealed record EstimatedTraining(
    string Name,
    int Runs,
    long Steps,
    double SecondsPerStep,
    double TrainingSeconds,
    double DrawingSeconds
);

/// <summary>Estimated cost of an ablation.</summary>
/// <param name="Trainings">Costs by training.</param>
/// <param name="Left">Remaining runs of arms.</param>
/// <param name="Total">All runs of arms.</param>
/// <param name="Seconds">Total remaining time on this machine in one process, without encoding pictures and measuring.</param>
public sealed record AblationEstimate(IReadOnlyList<EstimatedTraining> Trainings, int Left, int Total, double Seconds)
{
    /// <summary>Measures three steps of each training and two sampler steps of each model.</summary>
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
            // The result of a pre-training does not exist yet: its initial weights have the same cost.
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
            // A step on cached latents does not depend on the pictures: a few suffice for the measurement.
            if (options.Data is { IsScenes: true })
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

    /// <summary>Prints the estimate as text.</summary>
    public void Print(TextWriter writer)
    {
        var table = new ColumnTable(
            writer,
            ("", -34),
            ("runs left", 10),
            ("steps", 8),
            ("per step", 10),
            ("training", 12),
            ("sampling", 12)
        );
        foreach (var t in Trainings)
        {
            table.Row(t.Name, $"{t.Runs}", $"{t.Steps}", Text(t.SecondsPerStep), Text(t.TrainingSeconds), Text(t.DrawingSeconds));
        }

        writer.WriteLine();
        writer.WriteLine($"{Left} of {Total} runs remain: about {Text(Seconds)} on this machine, without encoding pictures and measuring.");
        static string Text(double seconds) => Figures.Duration(TimeSpan.FromSeconds(seconds));
    }
}
