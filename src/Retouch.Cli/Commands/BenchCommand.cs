using System.CommandLine;
using System.Globalization;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Denoisers.Dit;
using Retouch.Objectives;
using Retouch.Torch;
using Retouch.Torch.Diagnostics;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Cli.Commands;

/// <summary><c>retouch bench</c>: cost of operator calls and training steps on this machine.</summary>
internal static class BenchCommand
{
    private static readonly Option<int> Threads = SharedOptions.Number(
        "--threads",
        0,
        new() { AtLeast = 0 },
        "CPU threads of operators; 0: one per core."
    );

    public static Command Create() =>
        new("bench", "Measure the cost of calls into libtorch and of training steps.")
        {
            CreateOps(),
            CreateStep(),
            BenchDistances.Create(),
            BenchAttention.Create(),
            BenchLoad.CreateWeights(),
            BenchLoad.CreateLoad(),
        };

    private static Command CreateOps()
    {
        var calls = SharedOptions.Number("--calls", 20_000, new() { AtLeast = 1 }, "Number of calls per round.");
        var rounds = SharedOptions.Number("--rounds", 15, new() { AtLeast = 1 }, "Number of rounds per side, in alternation.");
        var command = new Command("ops", "Measure operator calls from C#, compared with the same boxed calls in a C++ loop.")
        {
            calls,
            rounds,
            Threads,
        };
        command.SetAction(parsed =>
        {
            UseThreads(parsed);
            var results = CallOverhead.Measure(parsed.GetValue(calls), parsed.GetValue(rounds));
            Output
                .For(parsed)
                .Write(
                    results,
                    writer =>
                    {
                        foreach (var r in results)
                            writer.WriteLine(
                                string.Create(
                                    CultureInfo.InvariantCulture,
                                    $"{r.Operator, -32} C# {r.ManagedNanoseconds, 7:0} ns, C++ {r.NativeNanoseconds, 7:0} ns, "
                                        + $"ratio {r.Ratio:0.00}"
                                )
                            );
                    }
                );
            return 0;
        });
        return command;
    }

    private static Command CreateStep()
    {
        var objective = new Option<string>("--objective")
        {
            Description = "latent, lpl or pixel (the last two in addition to the diffusion loss).",
            DefaultValueFactory = static _ => "latent",
        };
        objective.AcceptOnlyFromAmong("latent", "lpl", "pixel");
        var steps = SharedOptions.Number("--steps", 20, new() { AtLeast = 1 }, "Timed steps.");
        var warmUp = SharedOptions.Number("--warmup", 3, new() { AtLeast = 0 }, "Untimed warm-up steps.");
        var hidden = SharedOptions.Number("--hidden", 256, new() { AtLeast = 4 }, "Width of the denoiser's tokens.");
        var heads = SharedOptions.Number("--heads", 4, new() { AtLeast = 1 }, "Attention heads of the denoiser.");
        var blocks = SharedOptions.Number("--blocks", 6, new() { AtLeast = 1 }, "Blocks of the denoiser.");
        var patch = SharedOptions.Number("--patch", 2, new() { AtLeast = 1 }, "Patch side of the denoiser.");
        var latent = SharedOptions.Number("--latent", 16, new() { AtLeast = 1 }, "Side of the latents.");
        var channels = SharedOptions.Number("--latent-channels", 4, new() { AtLeast = 1 }, "Channels of the latents.");
        var classes = SharedOptions.Number("--classes", 10, new() { AtLeast = 1 }, "Classes.");
        var layers = SharedOptions.Number("--ae-layers", 2, new() { AtLeast = 1 }, "Layers per level of the autoencoder.");
        var groups = SharedOptions.Number("--ae-groups", 32, new() { AtLeast = 1 }, "Groups of the autoencoder's normalisations.");
        var batch = SharedOptions.BatchSize(8, SharedOptions.SamplesPerStep);
        var decodeBatch = new Option<int?>("--decode-batch") { Description = "Samples decoded at a time; all by default." }.Within(
            new() { AtLeast = 1 }
        );
        var widths = new Option<string>("--ae-channels")
        {
            Description = "Channels of the autoencoder's levels, from the image's resolution downwards.",
            DefaultValueFactory = static _ => "32,64,64,64",
        };
        var precision = SharedOptions.Precision();
        var seed = new Option<ulong>("--seed") { Description = "Seed of weights, latents and noise." };
        var command = new Command("step", "Measure a training step with random weights: time, memory, and time by part.")
        {
            objective,
            steps,
            warmUp,
            hidden,
            heads,
            blocks,
            patch,
            latent,
            channels,
            classes,
            widths,
            layers,
            groups,
            batch,
            decodeBatch,
            SharedOptions.Device,
            precision,
            seed,
            Threads,
        };
        command.SetAction(
            (parsed, cancellation) =>
            {
                UseThreads(parsed);
                if (parsed.GetValue(hidden) % parsed.GetValue(heads) != 0)
                    throw new UsageException($"--hidden {parsed.GetValue(hidden)} is not divisible by --heads {parsed.GetValue(heads)}.");
                var name = parsed.GetValue(objective)!;
                var options = new TrainingOptions
                {
                    Seed = parsed.GetValue(seed),
                    Steps = parsed.GetValue(steps),
                    Device = parsed.GetDevice().ToString(),
                    Precision = DTypes.FindPrecision(parsed.GetValue(precision)!)!.Value.Name(),
                    Batch = new() { Size = parsed.GetValue(batch) },
                    Optimiser = new() { LearningRate = 1e-4 },
                    // The source of networks and pictures is irrelevant here, but options are validated as a whole.
                    Model = new() { Path = "random" },
                    Data = new() { Size = 64 },
                    Objective = new ObjectiveOptions
                    {
                        Perceptual = name == "lpl" ? new() : null,
                        Pixel = name == "pixel" ? new() : null,
                        DecodeBatch = parsed.GetValue(decodeBatch),
                    },
                };
                options.Validate();
                var autoencoder = new AutoencoderKlConfig
                {
                    LatentChannels = parsed.GetValue(channels),
                    BlockOutChannels = Widths(parsed.GetValue(widths)!),
                    LayersPerBlock = parsed.GetValue(layers),
                    NormNumGroups = parsed.GetValue(groups),
                    UseQuantConv = false,
                    UsePostQuantConv = false,
                };
                var denoiser = new DiTConfig
                {
                    NumAttentionHeads = parsed.GetValue(heads),
                    AttentionHeadDim = parsed.GetValue(hidden) / parsed.GetValue(heads),
                    InChannels = parsed.GetValue(channels),
                    NumLayers = parsed.GetValue(blocks),
                    SampleSize = parsed.GetValue(latent),
                    PatchSize = parsed.GetValue(patch),
                    NumEmbedsAdaNorm = parsed.GetValue(classes),
                };
                var cost = StepBenchmark.Run(
                    name,
                    options,
                    autoencoder,
                    denoiser,
                    parsed.GetValue(warmUp),
                    TimeProvider.System,
                    cancellation
                );
                Output.For(parsed).Write(cost, cost.Print);
                return Task.FromResult(0);
            }
        );
        return command;
    }

    private static void UseThreads(ParseResult parsed)
    {
        if (parsed.GetValue(Threads) is > 0 and var n)
            TorchRuntime.Threads = n;
    }

    private static int[] Widths(string text)
    {
        var parts = text.Split(',', StringSplitOptions.TrimEntries);
        var widths = new int[parts.Length];
        for (var k = 0; k < parts.Length; k++)
        {
            if (!int.TryParse(parts[k], NumberStyles.None, CultureInfo.InvariantCulture, out widths[k]) || widths[k] < 1)
                throw new UsageException($"--ae-channels '{text}': expected integers separated by commas, as in 32,64,64,64.");
        }

        return widths;
    }
}
