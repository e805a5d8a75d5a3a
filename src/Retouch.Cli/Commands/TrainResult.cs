using Retouch.Cli.Diagnosis;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Cli.Commands;

/// <summary>What <c>train</c> prints after a completed run.</summary>
internal static class TrainResult
{
    /// <summary>Prints steps, loss, models and the next command.</summary>
    public static void Write(Output output, TrainingRun run, TrainingOutcome outcome) =>
        output.Write(
            outcome,
            writer =>
            {
                writer.WriteLine($"{outcome.Steps} steps in {outcome.Seconds:0.#} s; final loss {outcome.LastLoss:G4}.");
                if (outcome.Validation is { } validation)
                    writer.WriteLine(validation);
                foreach (var model in outcome.Models)
                    writer.WriteLine($"model: {model}");
                if (Next(run, outcome) is { } next)
                    writer.WriteLine($"next: {next}");
            }
        );

    /// <summary>The command that shows or measures the result; null for an autoencoder.</summary>
    private static string? Next(TrainingRun run, TrainingOutcome outcome)
    {
        var options = run.Options;
        // An average, if there is one, samples better than the last weights.
        var model = Shown(outcome.Models[^1]);
        if (options.Task == TrainingTaskKind.Autoencoder)
            return null;
        if (run.TakesPrompts)
            return $"retouch sample --model {model} --prompt \"…\" --output samples";
        return options is { Model.Path: { } start, Data.Folder: { } pictures }
            ? $"retouch compare {Shown(start)} {model} --reference {Shown(pictures)} --size {options.Data.Side}"
            : $"retouch sample --model {model} --output samples";
    }

    private static string Shown(string path)
    {
        var relative = Path.GetRelativePath(Environment.CurrentDirectory, path);
        return CommandText.Quoted(relative.StartsWith("..", StringComparison.Ordinal) ? path : relative);
    }
}
