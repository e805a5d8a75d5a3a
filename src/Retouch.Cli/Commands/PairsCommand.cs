using System.CommandLine;
using Retouch.Cli.Terminal;
using Retouch.Data;
using Retouch.Data.Pairs;
using Retouch.Training;

namespace Retouch.Cli.Commands;

/// <summary><c>retouch pairs</c>: creates preference pairs from pictures, and evaluates models on pairs.</summary>
internal static class PairsCommand
{
    public static Command Create() =>
        new("pairs", "Create preference pairs from pictures, or evaluate a model on pairs.") { Make(), Measure() };

    private static Command Make()
    {
        var data = new Option<string>("--data") { Description = "Folder of pictures, the winners.", Required = true };
        var degrade = new Option<Degradation>("--degrade")
        {
            Description = "Degradation of the losers: blur, jpeg20 or alias.",
            Required = true,
        };
        var output = new Option<string>("--output") { Description = "Folder for the data set; new or empty.", Required = true };
        var size = new Option<int>("--size")
        {
            Description = "Side of the pictures in pixels, as in training.",
            DefaultValueFactory = static _ => 64,
        };
        var seed = new Option<ulong>("--seed") { Description = "Seed of all random choices.", DefaultValueFactory = static _ => 0 };
        var holdOut = new Option<int>("--hold-out")
        {
            Description = "One in this many pictures is held out, in held-out.jsonl; 0: none.",
            DefaultValueFactory = static _ => 0,
        };
        var command = new Command("make", "Create preference pairs whose losers are degraded winners.")
        {
            data,
            degrade,
            output,
            size,
            seed,
            holdOut,
        };
        command.SetAction(
            (parsed, cancellation) =>
            {
                var options = new DegradedPairsOptions
                {
                    Degradation = parsed.GetRequiredValue(degrade),
                    Size = parsed.GetValue(size),
                    Seed = parsed.GetValue(seed),
                    HoldOut = parsed.GetValue(holdOut),
                };
                var pictures = ImageFolder.Open(parsed.GetRequiredValue(data));
                Notes.Write(pictures.Notes, parsed.InvocationConfiguration.Error);
                var result = DegradedPairs.Write(pictures, options, Path.GetFullPath(parsed.GetRequiredValue(output)), cancellation);
                foreach (var reason in result.Unusable)
                    parsed.InvocationConfiguration.Error.WriteLine("warning: " + reason);
                Output
                    .For(parsed)
                    .Write(result, writer => writer.WriteLine($"{result.Pairs} pairs, {result.HeldOut} held out: {result.Folder}"));
                return Task.CompletedTask;
            }
        );
        return command;
    }

    private static Command Measure()
    {
        var model = new Option<string>("--model") { Description = "A pipeline in the diffusers layout.", Required = true };
        var reference = new Option<string>("--reference")
        {
            Description = "Reference model: the pipeline before training.",
            Required = true,
        };
        var pairs = new Option<string>("--pairs")
        {
            Description = "A list of pairs, or the folder with its metadata.jsonl.",
            Required = true,
        };
        var size = new Option<int>("--size") { Description = "Side of the pictures in pixels.", DefaultValueFactory = static _ => 64 };
        var draws = new Option<int>("--draws")
        {
            Description = "Number of draws of timestep and noise per pair.",
            DefaultValueFactory = static _ => 4,
        };
        var seed = new Option<ulong>("--seed") { Description = "Seed of the draws.", DefaultValueFactory = static _ => 0 };
        var command = new Command(
            "measure",
            "Evaluate a model on pairs, relative to the model before training: implicit accuracy, errors, drift."
        )
        {
            model,
            reference,
            pairs,
            size,
            draws,
            seed,
            SharedOptions.Device,
        };
        command.SetAction(
            (parsed, cancellation) =>
            {
                var result = PairMeasurement.Measure(
                    parsed.GetRequiredValue(model),
                    parsed.GetRequiredValue(reference),
                    PairSources.Open(parsed.GetRequiredValue(pairs)),
                    parsed.GetValue(size),
                    parsed.GetValue(draws),
                    parsed.GetValue(seed),
                    parsed.GetDevice(),
                    TimeProvider.System,
                    cancellation
                );
                Output.For(parsed).Write(result, result.Print);
                return Task.CompletedTask;
            }
        );
        return command;
    }
}
