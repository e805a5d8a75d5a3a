using System.CommandLine;
using Retouch.Cli.Terminal;
using Retouch.Core.Errors;
using Retouch.Evaluation.Features;
using Retouch.Evaluation.Measuring;
using Retouch.Evaluation.Pictures;
using Retouch.Experiments.Measuring;
using Retouch.Torch;

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
        var command = new Command("statistics", "Save the mean and covariance of a folder's features, for 'evaluate --statistics'.")
        {
            images,
            output,
            batch,
            SharedOptions.Device,
        };
        preparing.AddTo(command);
        networks.AddNetworksTo(command);
        command.SetAction(
            (parsed, cancellation) =>
            {
                List<IDisposable> opened = [];
                try
                {
                    var where = parsed.GetDevice();
                    var network = networks.Networks(parsed, where, opened) is [var only]
                        ? only
                        : throw new UsageException(
                            "Give the weights of one feature network: --inception FILE, --squeezenet FILE, --clip FOLDER or "
                                + "--retouch-features FOLDER."
                        );
                    var set = ImageSet.Open(parsed.GetValue(images)!, preparing.Read(parsed));
                    using var progress = new EvaluationProgressLine(
                        parsed.InvocationConfiguration.Error,
                        TerminalFacts.OfStandardError().IsTerminal,
                        TimeProvider.System
                    );
                    using var rows = FeatureRows.Of(set, network, parsed.GetValue(batch), where, progress.Report, cancellation);
                    var file = parsed.GetValue(output)!;
                    FrechetStatistics.Of(rows, network.Protocol, set.Preparation, where).Save(file);
                    Output
                        .For(parsed)
                        .Write(
                            new Saved(file, set.Count, set.Preparation, network.Protocol),
                            writer =>
                                writer.WriteLine(
                                    $"{file}: mean and covariance of {network.Protocol.Width} features of {set.Count} pictures "
                                        + $"({network.Protocol.Network})"
                                )
                        );
                }
                finally
                {
                    opened.ForEach(static o => o.Dispose());
                }

                return Task.CompletedTask;
            }
        );
        return command;
    }
}
