using System.CommandLine;
using Retouch.Data;
using Retouch.Data.Pairs;
using Retouch.Training;

namespace Retouch.Cli.Commands;

/// <summary><c>retouch pairs</c>: makes pairs of a winner and a loser out of pictures, and measures how a model judges pairs.</summary>
internal static class PairsCommand
{
    public static Command Create() =>
        new("pairs", "Pairs of a winner and a loser: make some out of pictures, or measure how a model judges them.") { Make(), Measure() };

    private static Command Make()
    {
        var data = new Option<string>("--data") { Description = "Folder of pictures, the winners.", Required = true };
        var degrade = new Option<Degradation>("--degrade")
        {
            Description = "How losers are made of them: blur, jpeg20 or alias.",
            Required = true,
        };
        var output = new Option<string>("--output") { Description = "Folder for the data set; new or empty.", Required = true };
        var size = new Option<int>("--size")
        {
            Description = "Side of the pictures in pixels, as in the training.",
            DefaultValueFactory = static _ => 64,
        };
        var seed = new Option<ulong>("--seed") { Description = "Decides what is drawn.", DefaultValueFactory = static _ => 0 };
        var holdOut = new Option<int>("--hold-out")
        {
            Description = "Every how many pictures one goes into held-out.jsonl instead; 0 for none.",
            DefaultValueFactory = static _ => 0,
        };
        var command = new Command("make", "Makes a data set whose losers are the winners, made worse in a known way.")
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
                var result = DegradedPairs.Write(
                    ImageFolder.Open(parsed.GetRequiredValue(data)),
                    options,
                    Path.GetFullPath(parsed.GetRequiredValue(output)),
                    cancellation
                );
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
        var reference = new Option<string>("--reference") { Description = "The pipeline that it came from.", Required = true };
        var pairs = new Option<string>("--pairs")
        {
            Description = "A list of pairs, or the folder with its metadata.jsonl.",
            Required = true,
        };
        var size = new Option<int>("--size") { Description = "Side of the pictures in pixels.", DefaultValueFactory = static _ => 64 };
        var draws = new Option<int>("--draws")
        {
            Description = "Times and noises drawn for each pair.",
            DefaultValueFactory = static _ => 4,
        };
        var seed = new Option<ulong>("--seed") { Description = "Decides them.", DefaultValueFactory = static _ => 0 };
        var command = new Command(
            "measure",
            "Measures how a model judges pairs, compared with the one it came from: implicit accuracy, errors, drift."
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
                    PairFolder.Open(parsed.GetRequiredValue(pairs)),
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
