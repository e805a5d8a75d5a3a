using System.CommandLine;
using Retouch.Cli.Terminal;
using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Pictures;
using Retouch.Experiments.Measuring;
using Retouch.Torch;
using Retouch.Training.Distributed;

namespace Retouch.Cli.Commands;

/// <summary><c>retouch statistics</c>: saves mean and covariance of a folder's features for later comparisons.</summary>
internal static class StatisticsCommand
{
    /// <summary>Result of the verb.</summary>
    private sealed record Saved(string File, int Pictures, string Preparation, FeatureProtocol Protocol);

    /// <summary>Creates the verb.</summary>
    public static Command Create()
    {
        var images = new Option<string>("--images") { Description = "Folder of the pictures.", Required = true };
        var output = new Option<string>("--output")
        {
            Description = "Output file (.npz with mu and sigma, in pytorch-fid's format).",
            Required = true,
        };
        var preparing = new PreparationOptions();
        var batch = SharedOptions.BatchSize(new EvaluationOptions().BatchSize);
        var networks = new NetworkOptions();
        var processes = ProcessFlag.Create(
            "Extract the features with this number of processes on this machine, which take the batches in turn. See docs/scaling.md for "
                + "other launchers."
        );
        var command = new Command("statistics", "Save the mean and covariance of a folder's features, for 'evaluate --statistics'.")
        {
            images,
            output,
            batch,
            SharedOptions.Device,
            processes,
        };
        preparing.AddTo(command);
        networks.AddNetworksTo(command);
        command.SetAction(
            (parsed, cancellation) =>
                ProcessFlag.Run(
                    parsed,
                    processes,
                    world =>
                    {
                        List<IDisposable> opened = [];
                        try
                        {
                            var where = parsed.GetDevice(world);
                            var network = networks.Networks(parsed, where, opened) is [var only]
                                ? only
                                : throw new UsageException(
                                    "Give the weights of one feature network: --inception FILE, --squeezenet FILE, --clip FOLDER or "
                                        + "--retouch-features FOLDER."
                                );
                            var set = ImageSet.Open(parsed.GetValue(images)!, preparing.Read(parsed));
                            using var rows = Extract(parsed, set, network, parsed.GetValue(batch), where, world, cancellation);
                            if (world is not { IsMain: false })
                                Save(parsed, rows, parsed.GetValue(output)!, set, network.Protocol, where);
                        }
                        finally
                        {
                            opened.ForEach(static o => o.Dispose());
                        }
                    },
                    cancellation
                )
        );
        return command;
    }

    private static FeatureRows Extract(
        ParseResult parsed,
        ImageSet set,
        IFeatureExtractor network,
        int batchSize,
        Device device,
        World? world,
        CancellationToken cancellation
    )
    {
        using var progress = world is { IsMain: false }
            ? null
            : new EvaluationProgressLine(
                parsed.InvocationConfiguration.Error,
                TerminalFacts.OfStandardError().IsTerminal,
                TimeProvider.System
            );
        return FeatureRows.Of(set, network, batchSize, device, p => progress?.Report(p), world, cancellation);
    }

    private static void Save(ParseResult parsed, FeatureRows rows, string file, ImageSet set, FeatureProtocol protocol, Device device)
    {
        FrechetStatistics.Of(rows, protocol, set.Preparation, device).Save(file);
        Output
            .For(parsed)
            .Write(
                new Saved(file, set.Count, set.Preparation, protocol),
                writer =>
                    writer.WriteLine(
                        $"{file}: mean and covariance of {protocol.Width} features of {set.Count} pictures ({protocol.Network})"
                    )
            );
    }
}
