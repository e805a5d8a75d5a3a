using System.CommandLine;
using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Experiments.Inspection;

namespace Retouch.Cli.Commands;

/// <summary><c>retouch inspect</c>: content of a file or folder, and the memory to train it. Weights are not read.</summary>
internal static class InspectCommand
{
    private static readonly Argument<string> Target = new("path")
    {
        Description = "Tensor file (.safetensors, .bin, .pth, .pt, .ckpt), a component, a pipeline, or the folder of a training run.",
    };
    private static readonly Option<int> Batch = SharedOptions.BatchSize(1, "Batch size for the memory estimate.");
    private static readonly Option<string?> Variant = new("--variant") { Description = "Variant of the weights, such as fp16." };

    private static readonly Option<bool> Taps = new("--taps")
    {
        Description =
            "Measure a pipeline's taps and estimates on pictures, and propose options for the latent perceptual loss (as 'study "
            + "taps' does).",
    };
    private static readonly StudyOptions Looks = new("With --taps: ");

    /// <summary>Creates the verb.</summary>
    public static Command Create()
    {
        var command = new Command("inspect", "Show the content of a file or folder, and the memory for training.")
        {
            Target,
            Batch,
            Variant,
            Taps,
        };
        foreach (var option in Looks.All)
            command.Add(option);
        command.SetAction(
            static (parsed, cancellation) =>
            {
                var taps = parsed.GetValue(Taps);
                if (
                    (taps ? [Batch, Variant] : Looks.All).FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false }) is
                    { } inert
                )
                    throw new UsageException(
                        taps ? $"{inert.Name} has no effect with --taps." : $"{inert.Name} has no effect without --taps."
                    );
                if (taps)
                {
                    StudyCommand.Taps(parsed, parsed.ModelAt(parsed.GetRequiredValue(Target)), Looks, cancellation);
                    return Task.FromResult(0);
                }

                var report = new Inspector(parsed.GetValue(Batch), parsed.GetValue(Variant)).Inspect(parsed.GetRequiredValue(Target));
                Output.For(parsed).Write(report, writer => Write(report, writer));
                return Task.FromResult(0);
            }
        );
        return command;
    }

    private static void Write(InspectReport report, TextWriter writer)
    {
        writer.WriteLine($"{report.Path}: {report.Kind}, {Figures.Bytes(report.BytesOnDisk)}");
        if (report.Tensors is { } tensors)
            Write(tensors, writer);
        if (report.Model is { } model)
            writer.WriteLine($"  of the model {model}");
        foreach (var problem in report.Problems)
            writer.WriteLine($"  ! {problem}");
        if (report.Run is { } run)
        {
            var loss = run.LastLoss is { } value ? $", loss {Figures.Significant(value)}" : "";
            writer.WriteLine(
                $"  last step {run.LastStep?.ToString(CultureInfo.InvariantCulture) ?? "none"}{loss}; checkpoints: "
                    + $"{string.Join(", ", run.Checkpoints.DefaultIfEmpty(0))}"
            );
        }

        foreach (var component in report.Components)
            Write(component, writer);
        if (report.Scheduler is { } scheduler)
            writer.WriteLine(
                $"scheduler: {scheduler.Class}, predicts {scheduler.Prediction}, {Figures.Count(scheduler.TrainSteps, "step")}"
            );
        if (report.Training is { } training)
            Write(training, writer);
        if (report.Scheduler is not null)
            writer.WriteLine(
                $"for statistics of the taps and proposed options: retouch inspect {report.Path} --taps --data PICTURES --output REPORT"
            );
    }

    private static void Write(TensorFileReport tensors, TextWriter writer)
    {
        writer.WriteLine(
            $"  {Figures.Count(tensors.Count, "tensor")}, {Figures.Count(tensors.Elements, "element")} ({Types(tensors.Types)})"
        );
        if (tensors.LoraRanks is { } ranks)
            writer.WriteLine($"  low-rank pairs: {string.Join(", ", ranks.Select(static r => $"{r.Value} of rank {r.Key}"))}");
        foreach (var tensor in tensors.Largest)
            writer.WriteLine($"  {tensor}");
    }

    private static void Write(ComponentReport component, TextWriter writer)
    {
        writer.WriteLine(
            $"{component.Name}: {component.Class}, {Figures.Count(component.Parameters, "parameter")} ({Types(component.Types)}), "
                + $"{Figures.Bytes(component.BytesOnDisk)} in {component.Files} files"
        );
        foreach (var tap in component.Taps)
            writer.WriteLine($"  tap {tap.Index}  {tap.Name, -24} {tap.Channels, 5} channels, {tap.Scale}x the latent");
        foreach (var problem in component.Problems)
            writer.WriteLine($"  ! {problem}");
    }

    private static void Write(TrainingMemory training, TextWriter writer)
    {
        writer.WriteLine($"training {training.Trained} with {training.OptimiserName}, batch size {training.Batch}:");
        void Line(string name, long bytes, string more = "") => writer.WriteLine($"  {name, -14}{Figures.Bytes(bytes), 12}{more}");
        Line("weights", training.Weights, "  all networks");
        Line("gradients", training.Gradients);
        var others = training.OptimiserStates.Where(s => s.Value != training.Optimiser).OrderBy(static s => s.Value);
        Line("optimiser", training.Optimiser, $"  ({string.Join(", ", others.Select(static s => $"{s.Key} {Figures.Bytes(s.Value)}"))})");
        Line("average", training.Averages);
        var recomputed = training.EstimatedRecomputed is { } less ? $" ({Figures.Bytes(less)} with model.checkpointActivations)" : "";
        Line("activations", training.EstimatedActivations, $"  estimated from layer sizes{recomputed}; measured by train --dry-run");
        Line("total", training.Total);
        Fit("main memory", training.AvailableMainMemory, training.FitsMainMemory);
        Fit("GPU", training.AvailableGpuMemory, training.FitsGpu);

        void Fit(string name, long? available, bool? fits)
        {
            if (available is { } bytes)
                writer.WriteLine($"  {name}: {Figures.Bytes(bytes)} free, {(fits == true ? "enough" : "not enough")}");
        }
    }

    private static string Types(IReadOnlyDictionary<string, long> types) =>
        types.Count == 0 ? "no weights" : string.Join(", ", types.Keys.Order(StringComparer.Ordinal));
}
