using System.CommandLine;
using Retouch.Cli.Terminal;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Evaluation.Measuring;
using Retouch.Experiments.Demo;
using Retouch.Experiments.Measuring;
using Retouch.Torch;

namespace Retouch.Cli.Commands;

/// <summary><c>retouch demo</c>: post-trains a small model with three objectives, compares them, and writes a report.</summary>
internal static class DemoCommand
{
    private static readonly DemoSettings Defaults = new();
    private static readonly Option<string?> OutputPath = new("--output")
    {
        Description = "Folder of the demo; new or empty. Default: runs/demo- and the time.",
    };
    private static readonly Option<bool> Resume = new("--resume")
    {
        Description = "Resume the demo in --output; completed parts are kept.",
    };
    private static readonly Option<string?> Data = new("--data")
    {
        Description =
            "Pictures instead of procedural scenes: autoencoder and denoiser are trained on them first. Subfolders are "
            + "classes; every 10th picture is held out.",
    };
    private static readonly Option<int> Size = new("--size")
    {
        Description = "Side of the pictures in pixels, divisible by 8.",
        DefaultValueFactory = static _ => Defaults.Size,
    };
    private static readonly Option<double?> Minutes = new("--minutes")
    {
        Description =
            "Time limit in minutes for training the networks, with --data (default 15) or --retrain (default: the complete recipes).",
    };
    private static readonly Option<bool> Retrain = new("--retrain")
    {
        Description = "Retrain the pretrained networks with the recipes in demo/. Takes about an hour.",
    };
    private static readonly Option<string?> Model = new("--model")
    {
        Description = "Initial pipeline (diffusers layout) instead of the bundled one; with --data only its autoencoder is used.",
    };
    private static readonly Option<long> Steps = new("--steps")
    {
        Description = "Post-training steps per arm.",
        DefaultValueFactory = static _ => Defaults.Steps,
    };
    private static readonly Option<int> Batch = SharedOptions.BatchSize(Defaults.Batch, SharedOptions.SamplesPerStep);
    private static readonly Option<int> Samples = new("--samples")
    {
        Description = "Sampled pictures per model, and reference pictures.",
        DefaultValueFactory = static _ => Defaults.Samples,
    };
    private static readonly Option<int> SamplerSteps = new("--sampler-steps")
    {
        Description = "Sampler steps.",
        DefaultValueFactory = static _ => Defaults.SamplerSteps,
    };
    private static readonly Option<double> Guidance = new("--guidance")
    {
        Description = "Scale of classifier-free guidance; 1: none.",
        DefaultValueFactory = static _ => Defaults.Guidance,
    };
    private static readonly Option<ulong> Seed = new("--seed")
    {
        Description = "Seed of all random choices.",
        DefaultValueFactory = static _ => Defaults.Seed,
    };

    private static readonly Option<string> Precision = SharedOptions.Precision();

    public static Command Create()
    {
        var command = new Command("demo", "Post-train a small model with three objectives, compare them, and write a report.")
        {
            OutputPath,
            Resume,
            Data,
            Size,
            Minutes,
            Retrain,
            Model,
            Steps,
            Batch,
            Samples,
            SamplerSteps,
            Guidance,
            Seed,
            SharedOptions.Device,
            Precision,
        };
        command.SetAction(
            (parsed, cancellation) =>
            {
                var time = TimeProvider.System;
                var (folder, settings) = parsed.GetValue(Resume) ? Open(parsed) : Start(parsed, time);
                var result = DemoRun.Run(settings, folder, Consoles.Create(parsed.InvocationConfiguration.Error, time, cancellation));
                Output.For(parsed).Write(result, writer => Write(result, writer));
                return Task.FromResult(0);
            }
        );
        return command;
    }

    private static (DemoFolder Folder, DemoSettings Settings) Start(ParseResult parsed, TimeProvider time)
    {
        var device = parsed.GetDevice();
        var settings = new DemoSettings
        {
            Data = parsed.GetValue(Data),
            Size = parsed.GetValue(Size),
            Minutes = parsed.GetValue(Minutes),
            Retrain = parsed.GetValue(Retrain),
            Model = parsed.ModelOf(Model),
            Steps = parsed.GetValue(Steps),
            Batch = parsed.GetValue(Batch),
            Samples = parsed.GetValue(Samples),
            SamplerSteps = parsed.GetValue(SamplerSteps),
            Guidance = parsed.GetValue(Guidance),
            Seed = parsed.GetValue(Seed),
            Device = device.ToString(),
            Precision = parsed.GetPrecision(Precision, device).Name(),
        };
        settings.Validate();
        return (
            DemoFolder.Create(
                parsed.GetValue(OutputPath) ?? Path.Combine("runs", "demo-" + time.GetLocalNow().ToString("yyyy-MM-dd-HHmmss")),
                settings
            ),
            settings
        );
    }

    private static (DemoFolder Folder, DemoSettings Settings) Open(ParseResult parsed)
    {
        if (parsed.GetValue(OutputPath) is not { } path)
            throw new UsageException("--resume needs --output: the folder of the demo.");
        Option[] fixedOnes =
        [
            Data,
            Size,
            Minutes,
            Retrain,
            Model,
            Steps,
            Batch,
            Samples,
            SamplerSteps,
            Guidance,
            Seed,
            SharedOptions.Device,
            Precision,
        ];
        var given = fixedOnes
            .Where(option => parsed.GetResult(option) is { Implicit: false })
            .Select(static option => option.Name)
            .ToArray();
        if (given.Length > 0)
            throw new UsageException($"--resume keeps the demo's options; {string.Join(", ", given)} cannot be combined with it.");
        return DemoFolder.Open(path);
    }

    private static void Write(DemoResult result, TextWriter writer)
    {
        writer.WriteLine(result.Verdict);
        writer.WriteLine();
        var table = new ColumnTable(
            writer,
            ("", -14),
            (FigureNames.Header(result.Decisive), -38),
            ("spectrum error", -28),
            ("s per step", -12),
            ("peak memory", -12)
        );
        string Text(SetResult set, string name)
        {
            var figure = set.Of(name);
            return $"{Figures.Significant(figure.Value, 3)} [{Figures.Significant(figure.Interval.Low, 3)}, "
                + $"{Figures.Significant(figure.Interval.High, 3)}]";
        }

        foreach (var set in result.Evaluation.Sets.Prepend(result.Before))
        {
            var arm = result.Arms.FirstOrDefault(a => a.Name == set.Name);
            table.Row(
                set.Name,
                Text(set, result.Decisive),
                Text(set, "spectrum"),
                arm is null ? "" : Figures.Significant(arm.SecondsPerStep, 3),
                arm is null ? "" : Figures.Bytes(arm.PeakBytes)
            );
        }

        writer.WriteLine();
        writer.WriteLine($"report: {result.Report}");
    }
}
