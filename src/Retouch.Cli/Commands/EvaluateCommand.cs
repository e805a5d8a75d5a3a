using System.CommandLine;
using Retouch.Cli.Terminal;
using Retouch.Core.Errors;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Pictures;
using Retouch.Experiments.Machine;
using Retouch.Experiments.Measuring;
using Retouch.Pipelines.Diffusers;
using Retouch.Training.Distributed;

namespace Retouch.Cli.Commands;

/// <summary><c>retouch evaluate</c>: one folder of pictures, or an autoencoder's reconstructions, against reference pictures.</summary>
internal static class EvaluateCommand
{
    /// <summary>Creates the verb.</summary>
    public static Command Create()
    {
        var images = new Option<string?>("--images") { Description = "Folder of pictures." };
        var autoencoder = new Option<string?>("--autoencoder")
        {
            Description =
                "Instead of --images: the folder of an autoencoder or of its pipeline; its reconstructions of the reference are measured.",
        };
        var measuring = new MeasuringOptions();
        var command = new Command("evaluate", "Measure pictures, or the reconstructions of an autoencoder, against real pictures.")
        {
            images,
            autoencoder,
        };
        measuring.AddTo(command);
        command.SetAction(
            (parsed, cancellation) =>
                ProcessFlag.Run(
                    parsed,
                    measuring.Processes,
                    world =>
                    {
                        switch (parsed.GetValue(images), parsed.GetValue(autoencoder))
                        {
                            case ({ } folder, null):
                                RunFolder(parsed, measuring, folder, world, cancellation);
                                break;
                            case (null, { } folder):
                                RunAutoencoder(parsed, measuring, folder, world, cancellation);
                                break;
                            default:
                                throw new UsageException("Give either --images or --autoencoder.");
                        }
                    },
                    cancellation
                )
        );
        return command;
    }

    private static void RunFolder(
        ParseResult parsed,
        MeasuringOptions measuring,
        string folder,
        World? world,
        CancellationToken cancellation
    ) =>
        With(
            parsed,
            measuring,
            world,
            options =>
                Run(
                    parsed,
                    measuring,
                    measuring.Reference(parsed),
                    [ImageSet.Open(folder, measuring.Preparation(parsed))],
                    options,
                    cancellation
                )
        );

    private static void RunAutoencoder(
        ParseResult parsed,
        MeasuringOptions measuring,
        string folder,
        World? world,
        CancellationToken cancellation
    ) =>
        With(
            parsed,
            measuring,
            world,
            options =>
            {
                var originals =
                    measuring.Reference(parsed)
                    ?? throw new UsageException("--autoencoder needs --reference FOLDER: the pictures to reconstruct.");
                using var network = ComponentFolder.LoadAutoencoder(parsed.ModelAt(folder), options.Device);
                Run(parsed, measuring, originals, [new ReconstructedImages(originals, network, options.Device)], options, cancellation);
            }
        );

    /// <summary>Runs an action with the options of the command line, and disposes of the opened networks.</summary>
    internal static void With(ParseResult parsed, MeasuringOptions measuring, World? world, Action<EvaluationOptions> action)
    {
        List<IDisposable> opened = [];
        try
        {
            action(measuring.Evaluation(parsed, world, opened));
        }
        finally
        {
            opened.ForEach(static o => o.Dispose());
        }
    }

    /// <summary>Evaluates sets and writes the results, in rank 0; the first set is the baseline.</summary>
    internal static void Run(
        ParseResult parsed,
        MeasuringOptions measuring,
        ImageSet? reference,
        IReadOnlyList<ImageSet> sets,
        EvaluationOptions options,
        CancellationToken cancellation
    )
    {
        if (options.Peers is { IsMain: false })
        {
            Evaluator.Assist(reference, sets, options, cancellation);
            return;
        }

        var error = parsed.InvocationConfiguration.Error;
        var load = ReportOrigin.LoadAverage();
        EvaluationResult result;
        using (var progress = new EvaluationProgressLine(error, TerminalFacts.OfStandardError().IsTerminal, TimeProvider.System))
            result = Evaluator.Evaluate(reference, sets, options, progress.Report, cancellation);
        measuring.SaveMaps(parsed, result);
        var written = measuring.Report.Write(parsed, result, reference, sets, load);
        foreach (var warning in result.Warnings)
            error.WriteLine("warning: " + warning);
        Output
            .For(parsed)
            .Write(
                result,
                writer =>
                {
                    EvaluationText.Write(result, writer, TerminalFacts.OfStandardOutput());
                    foreach (var (name, path) in written)
                        writer.WriteLine($"{name}: {path}");
                }
            );
    }
}
