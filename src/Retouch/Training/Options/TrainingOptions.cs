using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Objectives;
using Retouch.Objectives.Autoencoder;
using Retouch.Torch.Optim;

namespace Retouch.Training.Options;

/// <summary>Network to train.</summary>
public enum TrainingTaskKind
{
    /// <summary>The denoiser, with a frozen autoencoder.</summary>
    Denoiser,

    /// <summary>The autoencoder.</summary>
    Autoencoder,
}

/// <summary>All options of a run. The run folder contains the resolved options as <c>options.json</c>.</summary>
public sealed partial record TrainingOptions
{
    /// <summary>Network to train: denoiser or autoencoder.</summary>
    public TrainingTaskKind Task { get; init; }

    /// <summary>Seed of everything random: data order, crops, noise, timesteps, dropout, initial weights.</summary>
    public ulong Seed { get; init; }

    /// <summary>Device: cpu, cuda, cuda:N, or auto: the first GPU that libtorch can use, else the CPU.</summary>
    public string Device { get; init; } = Torch.Device.Auto;

    /// <summary>
    /// Mixed precision: type of matrix products and convolutions, float32, bfloat16 or float16. Trained weights (unless
    /// optimiser.weights says otherwise) and statistics stay float32.
    /// </summary>
    public string Precision { get; init; } = "float32";

    /// <summary>Float32 arithmetic on a GPU.</summary>
    public ArithmeticOptions Arithmetic { get; init; } = new();

    /// <summary>Total optimiser steps, at least 1.</summary>
    [Bounds(AtLeast = 1)]
    public long Steps { get; init; } = 1000;

    /// <summary>Source of the networks.</summary>
    public ModelOptions Model { get; init; } = new();

    /// <summary>Training data.</summary>
    public DataOptions Data { get; init; } = new();

    /// <summary>Batch size and gradient accumulation.</summary>
    public BatchOptions Batch { get; init; } = new();

    /// <summary>Optimiser and learning rate.</summary>
    public OptimiserOptions Optimiser { get; init; } = new();

    /// <summary>Several processes.</summary>
    public DistributedOptions Distributed { get; init; } = new();

    /// <summary>Weight averages (EMA); samples are drawn from the first. Default: one with a memory of a tenth of the steps.</summary>
    public IReadOnlyList<WeightAverageOptions> Averages
    {
        get => field ?? [WeightAverageOptions.Fitting(Math.Max(Steps, 1))];
        init;
    }

    /// <summary>Losses of the denoiser; null for an autoencoder.</summary>
    public ObjectiveOptions? Objective { get; init; }

    /// <summary>Losses of the autoencoder; null for a denoiser.</summary>
    public AutoencoderLossOptions? AutoencoderLoss { get; init; }

    /// <summary>Low-rank adapters, trained instead of the denoiser's weights; null disables them.</summary>
    public LoraOptions? Lora { get; init; }

    /// <summary>Distribution of training timesteps.</summary>
    public TimeOptions Times { get; init; } = new();

    /// <summary>Conditioning of the denoiser.</summary>
    public ConditioningOptions Conditioning { get; init; } = new();

    /// <summary>Checkpoints.</summary>
    public CheckpointOptions Checkpoints { get; init; } = new();

    /// <summary>Sample grids during training.</summary>
    public SampleOptions Samples { get; init; } = new();

    /// <summary>Validation on held-out samples; null disables it.</summary>
    public ValidationOptions? Validation { get; init; }

    /// <summary>Logging.</summary>
    public LogOptions Log { get; init; } = new();

    /// <summary>
    /// Resolved options: absolute paths, and numeric defaults filled in, so that a run can be resumed from any folder and with a later
    /// version.
    /// </summary>
    /// <exception cref="RetouchException">Without a size, the model's configuration is missing or states none.</exception>
    public TrainingOptions Resolve() =>
        this with
        {
            Device = Torch.Device.Parse(Device).ToString(),
            Model = Model with
            {
                Path = Absolute(Model.Path),
                Autoencoder = Absolute(Model.Autoencoder),
                PromptsFrom = Absolute(Model.PromptsFrom),
            },
            Data = (
                !Data.IsScenes
                    ? Data with
                    {
                        Folder = Absolute(Data.Folder),
                        Pairs = Absolute(Data.Pairs),
                        Shards = Data.Shards is { } shards ? [.. shards.Select(System.IO.Path.GetFullPath)] : null,
                        Parquet = Data.Parquet is { } tables ? [.. tables.Select(System.IO.Path.GetFullPath)] : null,
                    }
                    : Data with
                    {
                        SceneCount = Data.SceneCount ?? DataOptions.DefaultScenes,
                        SceneSeed = Data.SceneSeed ?? 0,
                    }
            ) with
            {
                Cache = Absolute(Data.Cache),
                Prior = Data.Prior is { } prior ? prior with { Folder = Absolute(prior.Folder) } : null,
                Size = NativeSize.FillIn(this).Data.Size,
            },
            Optimiser = Optimiser.Resolve(Optimiser.LearningRate ?? LearningRates.Of(this)),
            Samples = Samples with { Every = Samples.Every ?? SampleOptions.Usual(Steps) },
            Objective = Objective?.Resolve(),
            Validation = Validation is null ? null : Validation with { Folder = Absolute(Validation.Folder) },
            Lora = Lora is null ? null : Lora with { Alpha = Lora.Alpha ?? Lora.Rank },
            AutoencoderLoss = Task == TrainingTaskKind.Autoencoder ? WithAbsolutePaths(AutoencoderLoss ?? new()) : null,
        };

    /// <summary>Notes on options that are valid but probably not intended, one sentence each.</summary>
    public IReadOnlyList<string> Remarks() =>
        [
            .. Averages
                .Where(a => a.Remainder(Steps) > 0.2)
                .Select(a =>
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{a.Remainder(Steps):P0} of the average with decay {a.Decay} will be the starting weights after {Steps} steps; "
                    )
                    + string.Create(CultureInfo.InvariantCulture, $"a decay of {WeightAverageOptions.Fitting(Steps).Decay} fits this run.")
                ),
            .. Optimiser is { Kind: OptimiserKind.Prodigy, LearningRate: { } rate and < 0.1 }
                ? [string.Create(CultureInfo.InvariantCulture, $"Prodigy multiplies its step by the learning rate, {rate:G}; 1 is usual.")]
                : Array.Empty<string>(),
        ];

    private static AutoencoderLossOptions WithAbsolutePaths(AutoencoderLossOptions loss) =>
        loss with
        {
            Perceptual = loss.Perceptual is not { } network
                ? null
                : network with
                {
                    Features = Absolute(network.Features),
                    Trunk = Absolute(network.Trunk),
                    Linear = Absolute(network.Linear),
                },
        };

    private static string? Absolute(string? path) => path is null ? null : System.IO.Path.GetFullPath(path);
}

/// <summary>Batch size and gradient accumulation.</summary>
public sealed record BatchOptions
{
    /// <summary>Samples per micro-batch, at least 1.</summary>
    [Bounds(AtLeast = 1)]
    public int Size { get; init; } = 8;

    /// <summary>With data.pairs, where size counts pairs: single samples per micro-batch from data.folder, at least 0.</summary>
    [Bounds(AtLeast = 0)]
    public int Extra { get; init; }

    /// <summary>Gradient accumulation: micro-batches per step over all processes, at least 1.</summary>
    [Bounds(AtLeast = 1)]
    public int Accumulate { get; init; } = 1;
}

/// <summary>Checkpoint options.</summary>
public sealed record CheckpointOptions
{
    /// <summary>Steps between checkpoints, at least 0; 0 writes only the last.</summary>
    [Bounds(AtLeast = 0)]
    public long Every { get; init; } = 500;

    /// <summary>Checkpoints to keep, at least 1.</summary>
    [Bounds(AtLeast = 1)]
    public int Keep { get; init; } = 2;

    /// <summary>Write checkpoints beside training, from a copy in main memory, if half of the free memory suffices for it. Default: on
    /// GPUs. Divided states are written while training waits.</summary>
    public bool? Background { get; init; }
}

/// <summary>Logging options.</summary>
public sealed record LogOptions
{
    /// <summary>Steps between records of metrics.jsonl and TensorBoard, at least 1.</summary>
    [Bounds(AtLeast = 1)]
    public long Every { get; init; } = 1;

    /// <summary>Write TensorBoard events.</summary>
    public bool TensorBoard { get; init; } = true;
}
