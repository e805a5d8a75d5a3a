using System.CommandLine;
using System.Globalization;
using Retouch.Cli.Terminal;
using Retouch.Core.Errors;
using Retouch.Evaluation.Judging;
using Retouch.Experiments.Sampling;
using Retouch.Training.Telemetry;

namespace Retouch.Cli.Commands;

/// <summary><c>retouch judge</c>: creates preference pairs from candidates by an automatic measure.</summary>
internal static class JudgeCommand
{
    private static readonly Argument<string[]> Candidates = new("candidates")
    {
        Description =
            "Folders of pictures with prompts or classes, as written by 'retouch sample'; pictures of one prompt are "
            + "compared, also across folders.",
        Arity = ArgumentArity.OneOrMore,
    };

    private static readonly Option<string> By = new("--by")
    {
        Description =
            "clipscore (match with the prompt; needs --clip), sharpness, or reconstruction (error of an autoencoder; needs --model).",
        Required = true,
    };
    private static readonly Option<string> OutputFolder = new("--output")
    {
        Description = "Folder for the data set of pairs; new or empty.",
        Required = true,
    };
    private static readonly Option<string?> Clip = new("--clip")
    {
        Description = "For clipscore: folder of a CLIP model with its tokenizer (transformers' CLIPModel).",
    };
    private static readonly Option<string?> Model = new("--model")
    {
        Description = "For reconstruction: folder of a pipeline or of an autoencoder.",
    };
    private static readonly Option<string> Pairs = new("--pairs")
    {
        Description = "best-worst (one pair per prompt) or all (every pair of candidates).",
        DefaultValueFactory = static _ => "best-worst",
    };
    private static readonly Option<double> Margin = new("--margin")
    {
        Description = "Minimum margin of a winner, in the unit of the score; smaller margins are ties.",
    };
    private static readonly Option<bool> Link = new("--link") { Description = "Hard links instead of copies where possible." };
    private static readonly Option<int> Batch = SharedOptions.BatchSize(new JudgeOptions().BatchSize);

    /// <summary>Creates the verb.</summary>
    public static Command Create()
    {
        var command = new Command("judge", "Create preference pairs from candidates by an automatic measure.")
        {
            Candidates,
            By,
            OutputFolder,
            Clip,
            Model,
            Pairs,
            Margin,
            Link,
            Batch,
            SharedOptions.Device,
        };
        command.SetAction(
            (parsed, cancellation) =>
            {
                var options = new JudgeOptions
                {
                    Pairs = PairingOf(parsed.GetValue(Pairs)!),
                    Margin = parsed.GetValue(Margin),
                    Link = parsed.GetValue(Link),
                    BatchSize = parsed.GetValue(Batch),
                };
                options.Validate();
                SampledFolder.Check(parsed.GetRequiredValue(OutputFolder));
                using var measure = Open(parsed);
                Judgement result;
                using (
                    var progress = ProgressLines.Create(
                        TerminalFacts.OfStandardError(),
                        parsed.InvocationConfiguration.Error,
                        TimeProvider.System
                    )
                )
                {
                    result = CandidateJudge.Judge(
                        parsed.GetValue(Candidates)!,
                        measure,
                        options,
                        parsed.GetRequiredValue(OutputFolder),
                        (done, total) => progress.Report(new TrainingProgress(done, total) { Unit = "picture" }),
                        cancellation
                    );
                }

                Output.For(parsed).Write(result, writer => Write(result, writer));
                return Task.CompletedTask;
            }
        );
        return command;
    }

    private static JudgedPairing PairingOf(string name) =>
        name.ToLowerInvariant() switch
        {
            "best-worst" => JudgedPairing.BestWorst,
            "all" => JudgedPairing.All,
            _ => throw new UsageException($"--pairs '{name}' is neither best-worst nor all."),
        };

    private static ICandidateMeasure Open(ParseResult parsed)
    {
        var (by, clip, model, device) = (
            parsed.GetRequiredValue(By).ToLowerInvariant(),
            parsed.GetValue(Clip),
            parsed.ModelOf(Model),
            parsed.GetDevice()
        );
        if (clip is not null && by != "clipscore")
            throw new UsageException("--clip has an effect only with --by clipscore; omit it.");
        if (model is not null && by != "reconstruction")
            throw new UsageException("--model has an effect only with --by reconstruction; omit it.");
        if (by == "sharpness" && parsed.GetValue(SharedOptions.Device) is not null)
            throw new UsageException("--device has no effect with --by sharpness; omit it.");
        return by switch
        {
            "sharpness" => new SharpnessMeasure(),
            "clipscore" => ClipScoreMeasure.Open(
                clip
                    ?? throw new UsageException(
                        "--by clipscore needs a CLIP model with its tokenizer: give its folder with --clip FOLDER."
                    ),
                device
            ),
            "reconstruction" => ReconstructionMeasure.Open(
                model
                    ?? throw new UsageException(
                        "--by reconstruction needs an autoencoder: give a pipeline or its vae folder with --model FOLDER."
                    ),
                device
            ),
            _ => throw new UsageException($"--by '{by}' is not one of clipscore, sharpness, reconstruction."),
        };
    }

    private static void Write(Judgement result, TextWriter writer)
    {
        void Line(string name, ScoreDistribution d) =>
            writer.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{name} {d.Lowest:G5} to {d.Highest:G5}, median {d.Median:G5}, quartiles {d.Quarter:G5} and {d.ThreeQuarters:G5}"
                )
            );
        writer.WriteLine($"{result.Pairs} pairs by {result.Judge.Judge}, {result.Ties} ties excluded: {result.Folder}");
        writer.WriteLine(
            $"{result.Candidates} candidates of {result.Prompts} "
                + $"prompts{(result.Alone > 0 ? $", {result.Alone} with a single candidate" : "")}"
        );
        Line("Scores ", result.Scores);
        Line("Margins", result.Margins);
        writer.WriteLine("These pairs were judged automatically, not by people (see README.md in the folder).");
    }
}
