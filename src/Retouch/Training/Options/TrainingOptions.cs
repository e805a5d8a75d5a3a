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
public sealed record TrainingOptions
{
    /// <summary>Network to train: denoiser or autoencoder.</summary>
    public TrainingTaskKind Task { get; init; }

    /// <summary>Seed of everything random: data order, crops, noise, timesteps, dropout, initial weights.</summary>
    public ulong Seed { get; init; }

    /// <summary>Device: cpu, cuda, cuda:N, or auto: the first GPU that libtorch can use, else the CPU.</summary>
    public string Device { get; init; } = Torch.Device.Auto;

    /// <summary>
    /// Mixed precision: type of matrix products and convolutions, float32, bfloat16 or float16. Weights and statistics stay float32.
    /// </summary>
    public string Precision { get; init; } = "float32";

    /// <summary>Float32 arithmetic on a GPU.</summary>
    public ArithmeticOptions Arithmetic { get; init; } = new();

    /// <summary>Total optimiser steps, at least 1.</summary>
    public long Steps { get; init; } = 1000;

    /// <summary>Source of the networks.</summary>
    public ModelOptions Model { get; init; } = new();

    /// <summary>Training data.</summary>
    public DataOptions Data { get; init; } = new();

    /// <summary>Batch size and gradient accumulation.</summary>
    public BatchOptions Batch { get; init; } = new();

    /// <summary>Optimiser and learning rate.</summary>
    public OptimiserOptions Optimiser { get; init; } = new();

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
                Data.Folder is not null || Data.Shards is not null || Data.Pairs is not null
                    ? Data with
                    {
                        Folder = Absolute(Data.Folder),
                        Pairs = Absolute(Data.Pairs),
                        Shards = Data.Shards is { } shards ? [.. shards.Select(System.IO.Path.GetFullPath)] : null,
                    }
                    : Data with
                    {
                        SceneCount = Data.SceneCount ?? DataOptions.DefaultScenes,
                        SceneSeed = Data.SceneSeed ?? 0,
                    }
            ) with
            {
                Cache = Absolute(Data.Cache),
                Size = Data.Size ?? NativeSize.Of(this),
            },
            Objective = Objective is null ? null : Objective with { LatentWeight = Objective.DiffusionWeight },
            Lora = Lora is null ? null : Lora with { Alpha = Lora.Alpha ?? Lora.Rank },
            AutoencoderLoss = Task == TrainingTaskKind.Autoencoder ? AutoencoderLoss ?? new() : null,
        };

    private static string? FirstLine(string? text) => text?.Split('\n')[0].Trim();

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
        ];

    private static string? Absolute(string? path) => path is null ? null : System.IO.Path.GetFullPath(path);

    /// <summary>Validates all options and reports all problems at once.</summary>
    /// <exception cref="UsageException">An option is out of range or contradicts another.</exception>
    public void Validate()
    {
        List<string> problems = [];
        void Require(bool holds, string problem)
        {
            if (!holds)
                problems.Add(problem);
        }

        Require(Steps >= 1, $"steps is {Steps}; it must be at least 1");
        Require(Torch.DTypes.Precisions.ContainsKey(Precision), $"precision is '{Precision}'; it must be float32, bfloat16 or float16");
        Require(
            Data.Buckets is null || Task == TrainingTaskKind.Denoiser,
            "data.buckets is for denoisers; an autoencoder is trained on square pictures"
        );
        Require(Batch.Size >= 1, $"batch.size is {Batch.Size}; it must be at least 1");
        Require(Batch.Accumulate >= 1, $"batch.accumulate is {Batch.Accumulate}; it must be at least 1");
        Require(Checkpoints.Every >= 0, $"checkpoints.every is {Checkpoints.Every}; it must be at least 0");
        Require(Checkpoints.Keep >= 1, $"checkpoints.keep is {Checkpoints.Keep}; it must be at least 1");
        Require(Log.Every >= 1, $"log.every is {Log.Every}; it must be at least 1");
        Require(Averages.All(static a => a is not null), "averages: an entry is null");
        var averages = Averages.OfType<WeightAverageOptions>().ToArray();
        Require(averages.All(static a => a.Decay is >= 0 and < 1), "averages: each decay must lie in [0, 1)");
        Require(averages.Select(static a => a.Decay).Distinct().Count() == averages.Length, "averages: two have the same decay");
        foreach (var average in averages)
        {
            var usual = new WeightAverageOptions();
            Require(
                average.InverseGamma is > 0 and < double.PositiveInfinity && average.Power is > 0 and < double.PositiveInfinity,
                "averages: inverseGamma and power must be above 0"
            );
            Require(
                average.Warmup == AverageWarmup.Power || (average.InverseGamma == usual.InverseGamma && average.Power == usual.Power),
                "averages: inverseGamma and power have no effect unless warmup is power; leave them out"
            );
        }

        try
        {
            var device = Torch.Device.Parse(Device);
            // The availability of the device is checked elsewhere.
            var isThere = device.Type == Torch.DeviceType.Cpu || device.Index < Torch.Devices.CudaStatus.Read().Devices;
            var missing =
                isThere && Torch.DTypes.Precisions.TryGetValue(Precision, out var type) ? MixedPrecision.Missing(device, type) : null;
            Require(
                missing is null,
                $"precision {Precision} is not available on {device} with libtorch {Torch.TorchRuntime.Version} ({FirstLine(missing)}); "
                    + $"use {(Precision == "float16" ? "bfloat16 or float32, or a GPU" : "float32")}"
            );
            Require(
                Arithmetic == new ArithmeticOptions() || device.Type != Torch.DeviceType.Cpu,
                "arithmetic has no effect on the CPU; leave it out"
            );
        }
        catch (UsageException e)
        {
            problems.Add("device: " + e.Message);
        }

        Data.Validate(Require);
        Optimiser.Validate(Require);
        Samples.Validate(Require);
        Model.Validate(Task, Require);
        Pairs(Require);
        if (Task == TrainingTaskKind.Denoiser)
        {
            Require(AutoencoderLoss is null, "autoencoderLoss has no effect with task denoiser; leave it out");
            Require(Objective is not null, "objective is missing; give one with --objective, such as latent or lpl");
            problems.AddRange(Objective?.Validate("objective") ?? []);
            Conditioning.Validate(Require);
            Times.Validate(Require);
            Lora?.Validate(Require);
            Require(
                Lora is null || Model.Config is null,
                "lora needs an existing denoiser (model.path); with model.config there is no model for its adapters to belong to"
            );
        }
        else
        {
            Require(Objective is null, "objective has no effect with task autoencoder; leave it out");
            Require(Lora is null, "lora has no effect with task autoencoder; leave it out");
            Require(Times == new TimeOptions(), "times has no effect with task autoencoder; leave it out");
            Require(Conditioning == new ConditioningOptions(), "conditioning has no effect with task autoencoder; leave it out");
            Require(
                Samples == new SampleOptions { Every = Samples.Every, Count = Samples.Count },
                "samples.steps, guidance and seed have no effect with task autoencoder, whose grid shows reconstructions; leave them out"
            );
            Require(!Model.CheckpointActivations, "model.checkpointActivations has no effect with task autoencoder; leave it out");
            Require(
                !Data.CacheLatents && Data.Cache is null,
                "data.cacheLatents and data.cache are for denoisers; an autoencoder trains on pixels"
            );
            (AutoencoderLoss ?? new()).Validate(Require);
        }

        if (problems.Count > 0)
            throw new UsageException(
                $"Invalid options ({problems.Count} {(problems.Count == 1 ? "problem" : "problems")}):\n  "
                    + $"{string.Join("\n  ", problems)}"
            );
    }

    private void Pairs(Action<bool, string> require)
    {
        require(Batch.Extra >= 0, $"batch.extra is {Batch.Extra}; it must be at least 0");
        require(
            Data.Pairs is null || Task == TrainingTaskKind.Denoiser,
            "data.pairs is for denoisers; an autoencoder trains on single pictures"
        );
        require(
            Data.Pairs is null || Objective?.Preference is not null || Task != TrainingTaskKind.Denoiser,
            "data.pairs needs objective.preference; no other term uses losers"
        );
        require(
            Data.Pairs is not null || Objective?.Preference is null,
            "objective.preference needs pairs of a winner and a loser: give them with data.pairs"
        );
        require(
            Batch.Extra == 0 || (Data.Pairs is not null && Data.Folder is not null),
            "batch.extra is the number of single samples beside pairs: it needs data.pairs, and data.folder for their pictures"
        );
        require(
            Batch.Extra == 0 || Data.Buckets is null,
            "batch.extra does not support data.buckets: single samples must have the size of the batch's pairs"
        );
        require(
            Batch.Extra != 0 || Data.Pairs is null || Data.Folder is null,
            "data.folder beside data.pairs provides single samples; give their number per batch with batch.extra"
        );
        require(
            Batch.Extra <= 0 || Objective is not { Imitates: false },
            "batch.extra: no term uses single samples; give objective.latentWeight, or a perceptual or pixel loss"
        );
    }
}

/// <summary>Batch size and gradient accumulation.</summary>
public sealed record BatchOptions
{
    /// <summary>Samples per micro-batch, at least 1.</summary>
    public int Size { get; init; } = 8;

    /// <summary>With data.pairs, where size counts pairs: single samples per micro-batch from data.folder, at least 0.</summary>
    public int Extra { get; init; }

    /// <summary>Gradient accumulation: micro-batches per step, at least 1.</summary>
    public int Accumulate { get; init; } = 1;
}

/// <summary>Checkpoint options.</summary>
public sealed record CheckpointOptions
{
    /// <summary>Steps between checkpoints, at least 0; 0 writes only the last.</summary>
    public long Every { get; init; } = 500;

    /// <summary>Checkpoints to keep, at least 1.</summary>
    public int Keep { get; init; } = 2;
}

/// <summary>Logging options.</summary>
public sealed record LogOptions
{
    /// <summary>Steps between records of metrics.jsonl and TensorBoard, at least 1.</summary>
    public long Every { get; init; } = 1;

    /// <summary>Write TensorBoard events.</summary>
    public bool TensorBoard { get; init; } = true;
}
