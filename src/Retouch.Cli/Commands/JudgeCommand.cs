using System.CommandLine;
using System.Globalization;
using Retouch.Cli.Terminal;
using Retouch.Core.Errors;
using Retouch.Evaluation.Judging;
using Retouch.Experiments.Sampling;
using Retouch.Training.Telemetry;

namespace Retouch.Cli.Commands;

/// <summary><c>retouch judge</c>: makes preference pairs of candidates by an automatic measure.</summary>
internal static class JudgeCommand
{
    private static readonly Argument<string[]> Candidates = new("candidates")
    {
        Description =
            "Folders of pictures with their prompts or classes, as 'retouch sample' writes them; pictures of one prompt are "
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

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var command = new Command("judge", "Make preference pairs of candidates by an automatic measure.")
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
        name switch
        {
            "best-worst" => JudgedPairing.BestWorst,
            "all" => JudgedPairing.All,
            _ => throw new UsageException($"--pairs is '{name}'; there are best-worst and all."),
        };

    private static ICandidateMeasure Open(ParseResult parsed)
    {
        var (by, clip, model, device) = (parsed.GetRequiredValue(By), parsed.GetValue(Clip), parsed.GetValue(Model), parsed.GetDevice());
        if (clip is not null && by != "clipscore")
            throw new UsageException("--clip is for --by clipscore; leave it out.");
        if (model is not null && by != "reconstruction")
            throw new UsageException("--model is for --by reconstruction; leave it out.");
        if (by == "sharpness" && parsed.GetValue(SharedOptions.Device) is not null)
            throw new UsageException("--device is for judges with a network; sharpness has none. Leave it out.");
        return by switch
        {
            "sharpness" => new SharpnessMeasure(),
            "clipscore" => ClipScoreMeasure.Open(
                clip ?? throw new UsageException("--by clipscore needs a CLIP model with its tokenizer: give its folder (--clip FOLDER)."),
                device
            ),
            "reconstruction" => ReconstructionMeasure.Open(
                model
                    ?? throw new UsageException(
                        "--by reconstruction needs an autoencoder: give a pipeline or its vae folder (--model FOLDER)."
                    ),
                device
            ),
            _ => throw new UsageException($"--by is '{by}'; there are clipscore, sharpness and reconstruction."),
        };
    }

    private static void Write(Judgement result, TextWriter writer)
    {
        void Line(string name, ScoreDistribution d) =>
            writer.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{name} {d.Lowest:G5} to {d.Highest:G5}, median {d.Median:G5}, half of them {d.Quarter:G5} to {d.ThreeQuarters:G5}"
                )
            );
        writer.WriteLine($"{result.Pairs} pairs by {result.Judge.Judge}, {result.Ties} ties left out: {result.Folder}");
        writer.WriteLine(
            $"{result.Candidates} candidates of {result.Prompts} "
                + $"prompts{(result.Alone > 0 ? $", {result.Alone} of which have a single one" : "")}"
        );
        Line("Scores ", result.Scores);
        Line("Margins", result.Margins);
        writer.WriteLine("A program judged these pairs, no person; README.md there says so.");
    }
}
