using System.ComponentModel;
using System.Globalization;
using Retouch.Core.Errors;
using Retouch.Objectives;
using Retouch.Objectives.Autoencoder;
using Retouch.Torch.Optim;

namespace Retouch.Training.Options;

/// <summary>What is trained.</summary>
public enum TrainingTaskKind
{
    /// <summary>The denoiser, with a frozen autoencoder.</summary>
    Denoiser,

    /// <summary>The autoencoder.</summary>
    Autoencoder,
}

/// <summary>Everything a run depends on. The resolved form stands in the run's folder as <c>options.json</c>.</summary>
public sealed record TrainingOptions
{
    /// <summary>What is trained.</summary>
    [Description("What is trained: denoiser or autoencoder.")]
    public TrainingTaskKind Task { get; init; }

    /// <summary>Decides everything random: data order, crops, noise, times, dropout, initial weights.</summary>
    [Description("Decides everything random.")]
    public ulong Seed { get; init; }

    /// <summary>cpu, cuda or cuda:N.</summary>
    [Description("cpu, cuda or cuda:N.")]
    public string Device { get; init; } = "cpu";

    /// <summary>
    /// Type that matrix products and convolutions compute in: float32, bfloat16 or float16. Weights and statistics stay float32.
    /// </summary>
    [Description("float32, bfloat16 or float16 (mixed precision; weights and statistics stay float32).")]
    public string Precision { get; init; } = "float32";

    /// <summary>How float32 is computed on a GPU.</summary>
    [Description("How float32 is computed on a GPU.")]
    public ArithmeticOptions Arithmetic { get; init; } = new();

    /// <summary>Optimiser steps in all.</summary>
    [Description("Optimiser steps in all.")]
    public long Steps { get; init; } = 1000;

    /// <summary>Where the networks come from.</summary>
    [Description("Where the networks come from.")]
    public ModelOptions Model { get; init; } = new();

    /// <summary>The pictures.</summary>
    [Description("The pictures.")]
    public DataOptions Data { get; init; } = new();

    /// <summary>Samples a step.</summary>
    [Description("Samples a step.")]
    public BatchOptions Batch { get; init; } = new();

    /// <summary>The optimiser and its rate.</summary>
    [Description("The optimiser and its rate.")]
    public OptimiserOptions Optimiser { get; init; } = new();

    /// <summary>
    /// Averages of the weights that run beside the training; samples are drawn from the first. Default: one that remembers a tenth of
    /// the steps.
    /// </summary>
    [Description(
        "Averages of the weights beside the training; samples are drawn from the first. Default: one that remembers a tenth of the steps."
    )]
    public IReadOnlyList<WeightAverageOptions> Averages
    {
        get => field ?? [WeightAverageOptions.Fitting(Math.Max(Steps, 1))];
        init;
    }

    /// <summary>The denoiser's losses; null for an autoencoder.</summary>
    [Description("The denoiser's losses; null for an autoencoder.")]
    public ObjectiveOptions? Objective { get; init; }

    /// <summary>The autoencoder's losses; null for a denoiser.</summary>
    [Description("The autoencoder's losses; null for a denoiser.")]
    public AutoencoderLossOptions? AutoencoderLoss { get; init; }

    /// <summary>Low-rank adapters that are trained instead of the denoiser's own weights; null trains those.</summary>
    [Description("Train low-rank adapters instead of the denoiser's own weights.")]
    public LoraOptions? Lora { get; init; }

    /// <summary>Where on the way from picture to noise training looks.</summary>
    [Description("Where on the way from picture to noise training looks.")]
    public TimeOptions Times { get; init; } = new();

    /// <summary>What the denoiser is told.</summary>
    [Description("What the denoiser is told.")]
    public ConditioningOptions Conditioning { get; init; } = new();

    /// <summary>When checkpoints are written.</summary>
    [Description("When checkpoints are written.")]
    public CheckpointOptions Checkpoints { get; init; } = new();

    /// <summary>When samples are drawn.</summary>
    [Description("When samples are drawn.")]
    public SampleOptions Samples { get; init; } = new();

    /// <summary>What is logged.</summary>
    [Description("What is logged.")]
    public LogOptions Log { get; init; } = new();

    /// <summary>
    /// The options with everything written out that a run depends on: paths absolute, defaults that stand for a number filled in. So a run
    /// goes on the same from any folder and with a later program.
    /// </summary>
    public TrainingOptions Resolve() =>
        this with
        {
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
            },
            Objective = Objective is null ? null : Objective with { LatentWeight = Objective.DiffusionWeight },
            Lora = Lora is null ? null : Lora with { Alpha = Lora.Alpha ?? Lora.Rank },
            AutoencoderLoss = Task == TrainingTaskKind.Autoencoder ? AutoencoderLoss ?? new() : null,
        };

    private static string? FirstLine(string? text) => text?.Split('\n')[0].Trim();

    /// <summary>What is valid and probably not meant, one sentence each.</summary>
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

    /// <summary>Checks every option and reports all that is wrong at once.</summary>
    /// <exception cref="UsageException">At least one option is out of range or contradicts another.</exception>
    public void Validate()
    {
        List<string> problems = [];
        void Require(bool holds, string problem)
        {
            if (!holds)
                problems.Add(problem);
        }

        Require(Steps >= 1, $"steps is {Steps}; it is at least 1");
        Require(Precision is "float32" or "bfloat16" or "float16", $"precision is '{Precision}'; it is float32, bfloat16 or float16");
        Require(
            Data.Buckets is null || Task == TrainingTaskKind.Denoiser,
            "data.buckets is for denoisers; an autoencoder is trained on squares"
        );
        Require(Batch.Size >= 1, $"batch.size is {Batch.Size}; it is at least 1");
        Require(Batch.Accumulate >= 1, $"batch.accumulate is {Batch.Accumulate}; it is at least 1");
        Require(Checkpoints.Every >= 0, $"checkpoints.every is {Checkpoints.Every}; it is at least 0");
        Require(Checkpoints.Keep >= 1, $"checkpoints.keep is {Checkpoints.Keep}; it is at least 1");
        Require(Log.Every >= 1, $"log.every is {Log.Every}; it is at least 1");
        Require(Averages.All(static a => a is not null), "averages: one is null");
        var averages = Averages.OfType<WeightAverageOptions>().ToArray();
        Require(averages.All(static a => a.Decay is >= 0 and < 1), "averages: each decay lies in [0, 1)");
        Require(averages.Select(static a => a.Decay).Distinct().Count() == averages.Length, "averages: two have the same decay");
        foreach (var average in averages)
        {
            var usual = new WeightAverageOptions();
            Require(
                average.InverseGamma is > 0 and < double.PositiveInfinity && average.Power is > 0 and < double.PositiveInfinity,
                "averages: inverseGamma and power are above 0"
            );
            Require(
                average.Warmup == AverageWarmup.Power || (average.InverseGamma == usual.InverseGamma && average.Power == usual.Power),
                "averages: inverseGamma and power are for the warmup power; they would do nothing"
            );
        }

        try
        {
            var device = Torch.Device.Parse(Device);
            // A device that is not there is told of elsewhere.
            var isThere = device.Type == Torch.DeviceType.Cpu || device.Index < Torch.Devices.CudaStatus.Read().Devices;
            var missing = isThere ? MixedPrecision.Missing(device, MixedPrecision.Parse(Precision)) : null;
            Require(
                missing is null,
                $"precision {Precision} cannot be had on {device} with libtorch {Torch.TorchRuntime.Version} ({FirstLine(missing)}); use "
                    + $"{(Precision == "float16" ? "bfloat16 or float32, or a GPU" : "float32")}"
            );
            Require(
                Arithmetic == new ArithmeticOptions() || device.Type != Torch.DeviceType.Cpu,
                "arithmetic is for a GPU; on the CPU it would do nothing"
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
            Require(AutoencoderLoss is null, "autoencoderLoss is given, but task is denoiser; it would do nothing");
            Require(Objective is not null, "objective is missing");
            problems.AddRange(Objective?.Validate("objective") ?? []);
            Conditioning.Validate(Require);
            Times.Validate(Require);
            Lora?.Validate(Require);
            Require(
                Lora is null || Model.Config is null,
                "lora is for a denoiser that exists already (model.path); with model.config there is no model that its adapters "
                    + "would belong to"
            );
        }
        else
        {
            Require(Objective is null, "objective is given, but task is autoencoder; it would do nothing");
            Require(Lora is null, "lora is given, but task is autoencoder; adapters are for denoisers");
            Require(Times == new TimeOptions(), "times is given, but task is autoencoder; it would do nothing");
            Require(Conditioning == new ConditioningOptions(), "conditioning is given, but task is autoencoder; it would do nothing");
            Require(
                Samples == new SampleOptions { Every = Samples.Every, Count = Samples.Count },
                "samples.steps, guidance and seed are for denoisers; an autoencoder's grid is of reconstructions, so they would do nothing"
            );
            Require(!Model.CheckpointActivations, "model.checkpointActivations is for denoisers; it would do nothing");
            Require(
                !Data.CacheLatents && Data.Cache is null,
                "data.cacheLatents and data.cache are for denoisers; an autoencoder trains on pixels"
            );
            (AutoencoderLoss ?? new()).Validate(Require);
        }

        if (problems.Count > 0)
            throw new UsageException(
                $"The options cannot be used ({problems.Count} {(problems.Count == 1 ? "problem" : "problems")}):\n  "
                    + $"{string.Join("\n  ", problems)}"
            );
    }

    private void Pairs(Action<bool, string> require)
    {
        require(Batch.Extra >= 0, $"batch.extra is {Batch.Extra}; it is at least 0");
        require(
            Data.Pairs is null || Task == TrainingTaskKind.Denoiser,
            "data.pairs is for denoisers; an autoencoder trains on single pictures"
        );
        require(
            Data.Pairs is null || Objective?.Preference is not null || Task != TrainingTaskKind.Denoiser,
            "data.pairs is for objective.preference; without it losers would do nothing"
        );
        require(
            Data.Pairs is not null || Objective?.Preference is null,
            "objective.preference needs pairs of a winner and a loser: name them with data.pairs"
        );
        require(
            Batch.Extra == 0 || (Data.Pairs is not null && Data.Folder is not null),
            "batch.extra counts single samples beside pairs: it needs data.pairs, and data.folder for their pictures"
        );
        require(
            Batch.Extra == 0 || Data.Buckets is null,
            "batch.extra puts single samples into the batches of pairs, which are of one size; with data.buckets it cannot be known which"
        );
        require(
            Batch.Extra != 0 || Data.Pairs is null || Data.Folder is null,
            "data.folder beside data.pairs gives single samples; say how many a batch with batch.extra"
        );
        require(
            Batch.Extra <= 0 || Objective is not { Imitates: false },
            "batch.extra: no term looks at single samples; give objective.latentWeight, or a perceptual or pixel loss"
        );
    }
}

/// <summary>Samples a step.</summary>
public sealed record BatchOptions
{
    /// <summary>Samples that are computed at once.</summary>
    [Description("Samples computed at once.")]
    public int Size { get; init; } = 8;

    /// <summary>With pairs, of which <see cref="Size"/> are computed at once: single samples from data.folder beside them.</summary>
    [Description("With data.pairs, of which size are computed at once: single samples from data.folder beside them.")]
    public int Extra { get; init; }

    /// <summary>Batches whose gradients are averaged in one step.</summary>
    [Description("Batches whose gradients are averaged in one step.")]
    public int Accumulate { get; init; } = 1;
}

/// <summary>When checkpoints are written.</summary>
public sealed record CheckpointOptions
{
    /// <summary>Steps between checkpoints; 0 writes the last only.</summary>
    [Description("Steps between checkpoints; 0 writes the last only.")]
    public long Every { get; init; } = 500;

    /// <summary>Checkpoints that stay.</summary>
    [Description("Checkpoints that stay.")]
    public int Keep { get; init; } = 2;
}

/// <summary>What is logged.</summary>
public sealed record LogOptions
{
    /// <summary>Steps between records of metrics.jsonl and TensorBoard.</summary>
    [Description("Steps between records.")]
    public long Every { get; init; } = 1;

    /// <summary>Whether TensorBoard events are written.</summary>
    [Description("Write TensorBoard events.")]
    public bool TensorBoard { get; init; } = true;
}
