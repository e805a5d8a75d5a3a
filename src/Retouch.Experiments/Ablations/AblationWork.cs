using Retouch.Data;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Pictures;
using Retouch.Experiments.Phases;
using Retouch.Experiments.Sampling;
using Retouch.Samplers;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Experiments.Ablations;

/// <summary>Initial model of arms, evaluated like them.</summary>
/// <param name="Key">Name of its folder.</param>
/// <param name="Name">Name in tables.</param>
/// <param name="Training">Its pre-training; null for a given pipeline.</param>
/// <param name="Model">Given pipeline.</param>
/// <param name="Arms">Arms that start from the model.</param>
/// <param name="Data">Reference pictures.</param>
/// <param name="Variants">Sampling options; the decay is irrelevant.</param>
internal sealed record StartModel(
    string Key,
    string Name,
    PlannedTraining? Training,
    string? Model,
    IReadOnlyList<PlannedArm> Arms,
    PlannedData Data,
    IReadOnlyList<Variant> Variants
)
{
    /// <summary>Relative folder.</summary>
    public string Folder => $"before/{Key}";
}

/// <summary>Training, sampling and evaluation of arms. Existing results are reused.</summary>
internal static class AblationWork
{
    private const int DrawnTogether = 32;

    /// <summary>Initial models, one for each set of reference pictures.</summary>
    public static IReadOnlyList<StartModel> Starts(AblationPlan plan) =>
        [
            .. plan
                .Arms.Where(static arm =>
                    arm.Training.From is not null || arm.Training.Options.Model is { Path: not null, Scheduler: null }
                )
                .GroupBy(static arm => $"{arm.Training.From?.Key ?? arm.Training.Options.Model.Path}|{arm.Training.Data.Key}")
                .Select(group =>
                {
                    var arm = group.First();
                    var from = arm.Training.From;
                    Variant[] variants = [.. plan.Variants(arm).Select(static v => v with { Decay = 0 }).Distinct()];
                    return new StartModel(
                        $"{from?.Key ?? "model"}-{AblationPlan.Hash(group.Key)}",
                        from is null ? "before" : $"before ({from.Name})",
                        from,
                        from is null ? arm.Training.Options.Model.Path : null,
                        [.. group],
                        arm.Training.Data,
                        variants
                    );
                }),
        ];

    /// <summary>Whether all measurements exist.</summary>
    public static bool IsMeasured(
        AblationFolder folder,
        string model,
        AblationEvaluation evaluation,
        IReadOnlyList<Variant> variants,
        PlannedData data
    ) => variants.All(v => File.Exists(AblationFolder.Figures(folder.Pictures(model, v, evaluation), data, evaluation)));

    /// <summary>Options of a training run.</summary>
    public static TrainingOptions Options(PlannedTraining training, AblationFolder folder, ulong seed)
    {
        var options = training.Options with { Seed = seed };
        if (training.From is { } parent)
            options = options with { Model = options.Model with { Path = PhaseConsole.ModelOf(folder.Run(parent)) } };
        if (training.Data.Splits)
            options = options with { Data = options.Data with { Folder = folder.Train(training.Data) } };
        // Arms with the same pictures and autoencoder share the encoded pictures.
        return options.Data is { CacheLatents: true, Cache: null }
            ? options with
            {
                Data = options.Data with { Cache = folder.Latents(training) },
            }
            : options;
    }

    /// <summary>Trains, samples and evaluates an arm with one seed.</summary>
    public static void Do(PlannedArm arm, ulong seed, AblationPlan plan, AblationFolder folder, PhaseConsole console)
    {
        var run = folder.Run(arm, seed);
        console.Train($"Post-training: {arm.Name}, seed {seed}", Options(arm.Training, folder, seed), run);
        var variants = plan.Variants(arm);
        var target = AblationFolder.ModelOf(arm, seed);
        foreach (var variant in variants)
        {
            var model = RunFolder.Open(run).ModelFolder(variant.Decay > 0 ? variant.Decay : null);
            Draw(
                $"Sampling: {arm.Name}, seed {seed}",
                model,
                folder.Pictures(target, variant, plan.Spec.Evaluation),
                variant,
                arm.Training,
                plan,
                console
            );
        }

        Measure($"Measuring: {arm.Name}, seed {seed}", target, variants, arm.Training, plan, folder, console);
    }

    /// <summary>Samples and evaluates an initial model.</summary>
    public static void Measure(StartModel start, AblationPlan plan, AblationFolder folder, PhaseConsole console)
    {
        var model = start.Training is { } training ? PhaseConsole.ModelOf(folder.Run(training)) : start.Model!;
        foreach (var variant in start.Variants)
            Draw(
                $"Drawing: {start.Name}",
                model,
                folder.Pictures(start.Folder, variant, plan.Spec.Evaluation),
                variant,
                start.Arms[0].Training,
                plan,
                console
            );
        Measure($"Measuring: {start.Name}", start.Folder, start.Variants, start.Arms[0].Training, plan, folder, console);
    }

    private static void Draw(
        string title,
        string model,
        string target,
        Variant variant,
        PlannedTraining training,
        AblationPlan plan,
        PhaseConsole console
    )
    {
        if (SampledFolder.IsWhole(target))
            return;
        console.Heading($"{title}; {plan.Spec.Evaluation.Samples} pictures, {variant.Steps} sampler steps");
        var size = training.Options.Data.Side;
        var request = new PipelineSampling
        {
            Seeds = PipelineSampling.SeedsFrom(plan.Spec.Evaluation.FirstSeed, plan.Spec.Evaluation.Samples),
            Width = size,
            Height = size,
            Steps = variant.Steps,
            Guidance = new(variant.Guidance),
            BatchSize = DrawnTogether,
        };
        console.Sample(model, target, request, Device.Parse(training.Options.Device).Require());
    }

    private static void Measure(
        string title,
        string target,
        IReadOnlyList<Variant> variants,
        PlannedTraining training,
        AblationPlan plan,
        AblationFolder folder,
        PhaseConsole console
    )
    {
        if (IsMeasured(folder, target, plan.Spec.Evaluation, variants, training.Data))
            return;
        console.Heading(title);
        List<IDisposable> opened = [];
        try
        {
            var options = plan.Spec.Evaluation.Open(Device.Parse(training.Options.Device).Require(), opened);
            string[] pictures = [.. variants.Select(v => folder.Pictures(target, v, plan.Spec.Evaluation))];
            ImageSet[] sets = [.. pictures.Select(static p => ImageSet.From("drawn", ImageFolder.Open(p)))];
            using var progress = console.Measuring();
            var result = Evaluator.Evaluate(
                ImageSet.From("held-out", ImageFolder.Open(folder.HeldOut(training.Data))),
                sets,
                options,
                progress.Report,
                console.Cancellation
            );
            for (var k = 0; k < sets.Length; k++)
                MeasuredPictures.Of(result.Sets[k], result).Save(AblationFolder.Figures(pictures[k], training.Data, plan.Spec.Evaluation));
        }
        finally
        {
            opened.ForEach(static o => o.Dispose());
        }
    }
}
