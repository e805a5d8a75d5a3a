using System.CommandLine;
using System.Globalization;
using Retouch.Cli.Terminal;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Data.Scenes;
using Retouch.Evaluation.Features;
using Retouch.Perception;
using Retouch.Torch;

namespace Retouch.Cli.Commands;

/// <summary><c>retouch features</c>: trains a feature network on the user's classes, as an alternative to published networks.</summary>
internal static class FeaturesCommand
{
    /// <summary>Result of the verb.</summary>
    private sealed record Made(string Folder, FeatureNetworkConfig Network);

    private const int DefaultScenes = 6000;

    /// <summary>Creates the verb.</summary>
    public static Command Create()
    {
        var defaults = new FeatureTrainingOptions();
        var data = new Option<string?>("--data")
        {
            Description = "Folder with one subfolder of pictures per class. Default: procedural scenes.",
        };
        var scenes = new Option<int?>("--scene-count") { Description = $"Number of procedural scenes. Default: {DefaultScenes}." };
        var output = new Option<string>("--output") { Description = "Output folder.", Required = true };
        var epochs = new Option<int>("--epochs") { Description = "Epochs.", DefaultValueFactory = _ => defaults.Epochs };
        var batch = SharedOptions.BatchSize(defaults.BatchSize, SharedOptions.SamplesPerStep);
        var rate = new Option<double>("--learning-rate")
        {
            Description = "Maximum learning rate.",
            DefaultValueFactory = _ => defaults.LearningRate,
        };
        var size = new Option<int>("--size")
        {
            Description = "Input side of the network in pixels.",
            DefaultValueFactory = _ => defaults.Size,
        };
        var channels = new Option<int>("--channels")
        {
            Description = "Channels of the first stage; features have eight times this width.",
            DefaultValueFactory = _ => defaults.Channels,
        };
        var seed = new Option<ulong>("--seed") { Description = "Seed of all random choices." };
        var command = new Command("features", "Train a small feature network on your own classes, for 'evaluate --retouch-features'.")
        {
            data,
            scenes,
            output,
            epochs,
            batch,
            rate,
            size,
            channels,
            seed,
            SharedOptions.Device,
        };
        command.SetAction(
            (parsed, cancellation) =>
            {
                var options = new FeatureTrainingOptions
                {
                    Epochs = parsed.GetValue(epochs),
                    BatchSize = parsed.GetValue(batch),
                    LearningRate = parsed.GetValue(rate),
                    Size = parsed.GetValue(size),
                    Channels = parsed.GetValue(channels),
                    Seed = parsed.GetValue(seed),
                    Device = parsed.GetDevice(),
                };
                var (error, folder) = (parsed.InvocationConfiguration.Error, parsed.GetValue(output)!);
                var pictures = Open(parsed.GetValue(data), parsed.GetValue(scenes), options);
                Notes.Write(pictures.Notes, error);
                if (pictures.Classes.Count > 0)
                    Notes.Write([$"Classes: {string.Join(", ", pictures.Classes)}."], error);
                var network = FeatureTraining.Run(
                    pictures,
                    folder,
                    options,
                    p =>
                        error.WriteLine(
                            string.Create(CultureInfo.InvariantCulture, $"epoch {p.Epoch} of {p.Epochs}: loss {p.Loss:0.0000}")
                        ),
                    cancellation
                );
                Output
                    .For(parsed)
                    .Write(
                        new Made(folder, network),
                        writer =>
                            writer.WriteLine(
                                string.Create(
                                    CultureInfo.InvariantCulture,
                                    $"{folder}: {network.Width} features from {network.Pictures} pictures of "
                                        + $"{network.Classes.Count} classes; accuracy on held-out pictures {network.Accuracy:0.000}"
                                )
                            )
                    );
                return Task.CompletedTask;
            }
        );
        return command;
    }

    private static IPictureSource Open(string? folder, int? scenes, FeatureTrainingOptions options)
    {
        options.Validate();
        if (folder is null)
            return new ProceduralScenes(options.Seed, options.Size, scenes ?? DefaultScenes);
        return scenes is null
            ? ImageFolder.OpenSplit(folder, split: null)
            : throw new UsageException("--scene-count sets the number of procedural scenes and has no effect with --data.");
    }
}
