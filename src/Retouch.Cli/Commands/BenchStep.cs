using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Denoisers.Dit;
using Retouch.Objectives;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Training;
using Retouch.Training.Options;

namespace Retouch.Cli.Commands;

/// <summary>
/// <c>retouch bench step</c>: time and memory of a training step with synthetic weights, of a DiT by its sizes or of any network by its
/// <c>config.json</c>.
/// </summary>
internal sealed class BenchStep
{
    private readonly Option<string> _objective = new("--objective")
    {
        Description = "latent, lpl or pixel (the last two in addition to the diffusion loss).",
        DefaultValueFactory = static _ => "latent",
    };
    private readonly Option<int> _steps = SharedOptions.Number("--steps", 20, new() { AtLeast = 1 }, "Timed steps.");
    private readonly Option<int> _warmUp = SharedOptions.Number("--warmup", 3, new() { AtLeast = 0 }, "Untimed warm-up steps.");
    private readonly Option<int> _hidden = SharedOptions.Number("--hidden", 256, new() { AtLeast = 4 }, "Width of the denoiser's tokens.");
    private readonly Option<int> _heads = SharedOptions.Number("--heads", 4, new() { AtLeast = 1 }, "Attention heads of the denoiser.");
    private readonly Option<int> _blocks = SharedOptions.Number("--blocks", 6, new() { AtLeast = 1 }, "Blocks of the denoiser.");
    private readonly Option<int> _patch = SharedOptions.Number("--patch", 2, new() { AtLeast = 1 }, "Patch side of the denoiser.");
    private readonly Option<int> _latent = SharedOptions.Number("--latent", 16, new() { AtLeast = 1 }, "Side of the latents.");
    private readonly Option<int> _channels = SharedOptions.Number(
        "--latent-channels",
        4,
        new() { AtLeast = 1 },
        "Channels of the latents."
    );
    private readonly Option<int> _classes = SharedOptions.Number("--classes", 10, new() { AtLeast = 1 }, "Classes.");
    private readonly Option<int> _layers = SharedOptions.Number(
        "--ae-layers",
        2,
        new() { AtLeast = 1 },
        "Layers per level of the autoencoder."
    );
    private readonly Option<int> _groups = SharedOptions.Number(
        "--ae-groups",
        32,
        new() { AtLeast = 1 },
        "Groups of the autoencoder's normalisations."
    );
    private readonly Option<string> _widths = new("--ae-channels")
    {
        Description = "Channels of the autoencoder's levels, from the image's resolution downwards.",
        DefaultValueFactory = static _ => "32,64,64,64",
    };
    private readonly Option<string?> _denoiser = new("--denoiser")
    {
        Description = "A denoiser's config.json, instead of the sizes of a DiT; needs --autoencoder.",
    };
    private readonly Option<string?> _autoencoder = new("--autoencoder") { Description = "The config.json of its autoencoder." };
    private readonly Option<int?> _side = new Option<int?>("--side")
    {
        Description = "With --denoiser: side of the pictures in pixels; default: the denoiser's native size.",
    }.Within(new() { AtLeast = 8 });
    private readonly Option<string> _prediction = new("--prediction")
    {
        Description = "Prediction of the denoiser: epsilon, v_prediction or flow.",
        DefaultValueFactory = static _ => "v_prediction",
    };
    private readonly Option<int> _tokens = SharedOptions.Number("--tokens", 77, new() { AtLeast = 1 }, "Tokens of a prompt.");
    private readonly Option<int?> _rank = new Option<int?>("--lora-rank")
    {
        Description = "Train low-rank adapters of this rank instead of all weights.",
    }.Within(new() { AtLeast = 1 });
    private readonly Option<bool> _checkpoint = new("--checkpoint-activations")
    {
        Description = "Recompute activations of the denoiser, and of the decoder, in the backward pass.",
    };
    private readonly Option<int> _batch = SharedOptions.BatchSize(8, SharedOptions.SamplesPerStep);
    private readonly Option<int?> _decodeBatch = new Option<int?>("--decode-batch")
    {
        Description = "Samples decoded at a time; all by default.",
    }.Within(new() { AtLeast = 1 });
    private readonly Option<int?> _crop = new Option<int?>("--decode-crop")
    {
        Description = "Decode a random window with this side in pixels; whole pictures by default.",
    }.Within(new() { AtLeast = 2 });
    private readonly Option<int?> _halo = new Option<int?>("--decode-halo")
    {
        Description = "With --decode-crop: pixels on each side that are decoded, but not compared.",
    }.Within(new() { AtLeast = 0 });
    private readonly Option<string> _precision = SharedOptions.Precision();
    private readonly Option<ulong> _seed = new("--seed") { Description = "Seed of weights, latents and noise." };

    /// <summary>Creates the verb.</summary>
    public Command Create()
    {
        _objective.AcceptOnlyFromAmong("latent", "lpl", "pixel");
        _prediction.AcceptOnlyFromAmong("epsilon", "v_prediction", "flow");
        var command = new Command("step", "Measure a training step with random weights: time, memory, and time by part.");
        Option[] all =
        [
            _objective,
            _steps,
            _warmUp,
            .. Sizes,
            _denoiser,
            _autoencoder,
            _side,
            _prediction,
            _tokens,
            _rank,
            _checkpoint,
            _batch,
            _decodeBatch,
            _crop,
            _halo,
            SharedOptions.Device,
            _precision,
            _seed,
            BenchCommand.Threads,
        ];
        foreach (var option in all)
            command.Add(option);
        command.SetAction(
            (parsed, cancellation) =>
            {
                BenchCommand.UseThreads(parsed);
                var networks = parsed.GetValue(_denoiser) is { } denoiser ? Files(parsed, denoiser) : Dit(parsed);
                var options = Options(parsed, networks);
                options.Validate();
                var cost = StepBenchmark.Run(
                    parsed.GetValue(_objective)!,
                    options,
                    networks,
                    parsed.GetValue(_warmUp),
                    TimeProvider.System,
                    cancellation
                );
                Output.For(parsed).Write(cost, cost.Print);
                return Task.FromResult(0);
            }
        );
        return command;
    }

    private Option[] Sizes => [_hidden, _heads, _blocks, _patch, _latent, _channels, _classes, _widths, _layers, _groups];

    private TrainingOptions Options(ParseResult parsed, StepNetworks networks)
    {
        var name = parsed.GetValue(_objective);
        var decodes = name != "latent";
        var device = parsed.GetDevice();
        return new TrainingOptions
        {
            Seed = parsed.GetValue(_seed),
            Steps = parsed.GetValue(_steps),
            Device = device.ToString(),
            Precision = parsed.GetPrecision(_precision, device).Name(),
            Batch = new() { Size = parsed.GetValue(_batch) },
            // The source of networks and pictures is irrelevant here, but options are validated as a whole.
            Model = new() { Path = "random", CheckpointActivations = parsed.GetValue(_checkpoint) },
            Data = new() { Size = parsed.GetValue(_side) ?? StepBenchmark.NativeSide(networks) },
            Lora = parsed.GetValue(_rank) is { } rank ? new() { Rank = rank, Alpha = rank } : null,
            Objective = new ObjectiveOptions
            {
                Perceptual = name == "lpl" ? new() : null,
                Pixel = name == "pixel" ? new() : null,
                DecodeBatch = parsed.GetValue(_decodeBatch),
                DecodeCrop = parsed.GetValue(_crop),
                DecodeHalo = parsed.GetValue(_halo),
                CheckpointDecoder = decodes && parsed.GetValue(_checkpoint),
            },
        };
    }

    private StepNetworks Files(ParseResult parsed, string denoiser)
    {
        if (Sizes.FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false }) is { } inert)
            throw new UsageException($"{inert.Name} is a size of the built-in DiT; it has no effect with --denoiser.");
        var autoencoder =
            parsed.GetValue(_autoencoder)
            ?? throw new UsageException("--denoiser needs --autoencoder: the config.json of its autoencoder.");
        return new(
            ConfigDocument.Read(autoencoder).Json,
            ConfigDocument.Read(denoiser).Json,
            parsed.GetValue(_prediction)!,
            parsed.GetValue(_tokens)
        );
    }

    private StepNetworks Dit(ParseResult parsed)
    {
        Option[] ofFiles = [_autoencoder, _side, _prediction, _tokens];
        if (ofFiles.FirstOrDefault(option => parsed.GetResult(option) is { Implicit: false }) is { } inert)
            throw new UsageException($"{inert.Name} has no effect without --denoiser.");
        if (parsed.GetValue(_hidden) % parsed.GetValue(_heads) != 0)
            throw new UsageException($"--hidden {parsed.GetValue(_hidden)} is not divisible by --heads {parsed.GetValue(_heads)}.");
        var autoencoder = new AutoencoderKlConfig
        {
            LatentChannels = parsed.GetValue(_channels),
            BlockOutChannels = Widths(parsed.GetValue(_widths)!),
            LayersPerBlock = parsed.GetValue(_layers),
            NormNumGroups = parsed.GetValue(_groups),
            UseQuantConv = false,
            UsePostQuantConv = false,
        };
        var denoiser = new DiTConfig
        {
            NumAttentionHeads = parsed.GetValue(_heads),
            AttentionHeadDim = parsed.GetValue(_hidden) / parsed.GetValue(_heads),
            InChannels = parsed.GetValue(_channels),
            NumLayers = parsed.GetValue(_blocks),
            SampleSize = parsed.GetValue(_latent),
            PatchSize = parsed.GetValue(_patch),
            NumEmbedsAdaNorm = parsed.GetValue(_classes),
        };
        return new(autoencoder.ToJson(), denoiser.ToJson());
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
