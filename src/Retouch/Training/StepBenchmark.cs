using System.Globalization;
using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Data;
using Retouch.Denoisers;
using Retouch.Pipelines.Diffusers;
using Retouch.Torch;
using Retouch.Torch.Devices;
using Retouch.Torch.Diagnostics;
using Retouch.Torch.Optim;
using Retouch.Training.Conditions;
using Retouch.Training.Options;
using Retouch.Training.Tasks;

namespace Retouch.Training;

/// <summary>Share of a phase in the step time.</summary>
/// <param name="Phase">Name from <see cref="StepPhases"/> or <see cref="Objectives.DecodePhases"/>.</param>
/// <param name="SecondsPerStep">Mean seconds per step.</param>
/// <param name="Share">Fraction of all phases, in [0, 1].</param>
public sealed record PhaseShare(string Phase, double SecondsPerStep, double Share);

/// <summary>Cost of a training step.</summary>
/// <param name="Objective">Name given by the caller.</param>
/// <param name="Steps">Timed steps.</param>
/// <param name="MedianSeconds">Median wall-clock seconds per step.</param>
/// <param name="MinSeconds">Minimum wall-clock seconds.</param>
/// <param name="MaxSeconds">Maximum wall-clock seconds.</param>
/// <param name="CpuSecondsPerStep">Mean processor seconds of all threads per step.</param>
/// <param name="ResidentBytesBefore">Resident memory before the first step, with networks and optimiser.</param>
/// <param name="PeakResidentBytes">Peak resident memory of the process during the steps, warm-up included.</param>
/// <param name="AddedBytes">Peak minus before.</param>
/// <param name="PeakDeviceBytes">Peak memory of tensors on the GPU, networks included; null on the CPU.</param>
/// <param name="DenoiserParameters">Trained parameters: of the denoiser, or of its adapters.</param>
/// <param name="AutoencoderParameters">Parameters of the autoencoder, encoder included.</param>
/// <param name="FirstLoss">Loss of the first step, warm-up included.</param>
/// <param name="LastLoss">Loss of the last timed step.</param>
/// <param name="Phases">Time by phase, measured in separate steps after the timed ones; largest first.</param>
/// <param name="Threads">CPU threads of operators.</param>
/// <param name="Torch">Version of libtorch.</param>
public sealed record StepCost(
    string Objective,
    int Steps,
    double MedianSeconds,
    double MinSeconds,
    double MaxSeconds,
    double CpuSecondsPerStep,
    long ResidentBytesBefore,
    long PeakResidentBytes,
    long AddedBytes,
    long? PeakDeviceBytes,
    long DenoiserParameters,
    long AutoencoderParameters,
    double FirstLoss,
    double LastLoss,
    IReadOnlyList<PhaseShare> Phases,
    int Threads,
    string Torch
)
{
    /// <summary>Prints the cost as text.</summary>
    public void Print(TextWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        static string Text(double seconds) => string.Create(CultureInfo.InvariantCulture, $"{1000 * seconds:0.0} ms");
        writer.WriteLine(
            $"objective       {Objective}, denoiser {Figures.Count(DenoiserParameters)}, autoencoder "
                + $"{Figures.Count(AutoencoderParameters, "parameter")}, {Threads} thread(s), libtorch {Torch}"
        );
        writer.WriteLine($"step            {Text(MedianSeconds)} (median of {Steps}; {Text(MinSeconds)} to {Text(MaxSeconds)})");
        writer.WriteLine($"processor time  {Text(CpuSecondsPerStep)}");
        writer.WriteLine($"memory          {Figures.Bytes(PeakResidentBytes)} peak, {Figures.Bytes(AddedBytes)} of it during steps");
        if (PeakDeviceBytes is { } device)
            writer.WriteLine($"GPU memory      {Figures.Bytes(device)} peak");
        foreach (var phase in Phases)
            writer.WriteLine(
                string.Create(CultureInfo.InvariantCulture, $"  {phase.Phase, -16} {Text(phase.SecondsPerStep), 10} {phase.Share, 7:P1}")
            );
    }
}

/// <summary>Networks of a benchmark, with synthetic weights.</summary>
/// <param name="Autoencoder">Content of the autoencoder's <c>config.json</c>.</param>
/// <param name="Denoiser">Content of the denoiser's <c>config.json</c>.</param>
/// <param name="Prediction"><c>epsilon</c>, <c>v_prediction</c> or <c>flow</c>.</param>
/// <param name="Tokens">Tokens of a prompt; only for text-conditional denoisers.</param>
public sealed record StepNetworks(JsonObject Autoencoder, JsonObject Denoiser, string Prediction = "v_prediction", int Tokens = 77);

/// <summary>
/// Times training steps with synthetic weights, latents and conditions, with the same task, objectives and optimiser as training.
/// </summary>
public static class StepBenchmark
{
    private const ulong WeightsPurpose = 0x77656967687473;

    /// <summary>Runs the steps.</summary>
    /// <param name="objective">Name of the result.</param>
    /// <param name="options">Training options; sources of networks and data are ignored.</param>
    /// <param name="networks">Configurations of the networks.</param>
    /// <param name="warmUp">Steps before the timed ones.</param>
    /// <param name="time">Clock.</param>
    /// <param name="cancellation">Stops between steps.</param>
    /// <exception cref="InputException">A configuration is invalid, or not one of an autoencoder and a denoiser.</exception>
    public static StepCost Run(
        string objective,
        TrainingOptions options,
        StepNetworks networks,
        int warmUp,
        TimeProvider time,
        CancellationToken cancellation
    )
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(networks);
        ArgumentNullException.ThrowIfNull(time);
        // The rate does not affect time and memory.
        options = options with
        {
            Optimiser = options.Optimiser with { LearningRate = options.Optimiser.LearningRate ?? 1e-4 },
        };
        ArgumentOutOfRangeException.ThrowIfNegative(warmUp);
        var device = Device.Parse(options.Device).Require();
        var precision = DTypes.Precisions[options.Precision];
        var clock = new PhaseClock(time, device);
        var pipeline = MakeUp(options, networks, device, precision);
        var conditions = new MadeUpConditions(pipeline.Denoiser, networks.Tokens, options.Seed, device);
        using var task = new DenoiserTask(pipeline, options, device, precision, clock, conditions);
        task.Network.RequireGrad(true);
        using var optimiser = options.Optimiser.Create(task.Network.Trained, options.Seed);
        WeightAverage[] averages = [.. options.Averages.Select(a => new WeightAverage(task.Network.Trained, a))];
        using var data = new MadeUpBatches(options, pipeline, device);
        var runner = new StepRunner(task, options, optimiser, averages, precision == DType.Float16 ? new LossScaler() : null, clock);
        var cursor = default(DataCursor);
        long step = 0;
        double Take()
        {
            cancellation.ThrowIfCancellationRequested();
            var loss = runner.Take(data, step++, ref cursor, static () => "Benchmarks keep no checkpoints.", cancellation)!.Loss;
            device.Synchronize();
            return loss;
        }

        var before = ProcessMemory.Resident();
        ProcessMemory.ResetPeak();
        DeviceMemory.ResetPeak(device);
        var (first, last) = (double.NaN, double.NaN);
        for (var k = 0; k < warmUp; k++)
        {
            last = Take();
            first = k == 0 ? last : first;
        }

        var seconds = new double[options.Steps];
        var processor = Environment.CpuUsage.TotalTime;
        for (var k = 0; k < seconds.Length; k++)
        {
            var start = time.GetTimestamp();
            last = Take();
            seconds[k] = time.GetElapsedTime(start).TotalSeconds;
            first = double.IsNaN(first) ? last : first;
        }

        processor = Environment.CpuUsage.TotalTime - processor;
        var peak = ProcessMemory.Peak();
        var devicePeak = DeviceMemory.Of(device)?.Peak;
        var phases = Phases(clock, seconds.Length, () => Take());
        Array.ForEach(averages, static a => a.Dispose());
        Array.Sort(seconds);
        return new StepCost(
            objective,
            seconds.Length,
            Median(seconds),
            seconds[0],
            seconds[^1],
            processor.TotalSeconds / seconds.Length,
            before,
            peak,
            Math.Max(peak - before, 0),
            devicePeak,
            task.Network.Count,
            task.Pipeline.Autoencoder.Parameters.Count,
            first,
            last,
            phases,
            TorchRuntime.Threads,
            TorchRuntime.Version
        );
    }

    /// <summary>Native size of networks in pixels: the denoiser's <c>sample_size</c> times the autoencoder's downsampling.</summary>
    /// <exception cref="InputException">See <see cref="Run"/>.</exception>
    public static int NativeSide(StepNetworks networks)
    {
        ArgumentNullException.ThrowIfNull(networks);
        using var autoencoder = Create<IAutoencoder>(networks.Autoencoder, "autoencoder");
        using var denoiser = Create<IDenoiser>(networks.Denoiser, "denoiser");
        return denoiser.SampleSize * autoencoder.Downsampling;
    }

    private static double Median(double[] sorted) => (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;

    private static List<PhaseShare> Phases(PhaseClock clock, int timed, Action take)
    {
        const int Most = 5;
        var steps = Math.Min(timed, Most);
        clock.Running = true;
        for (var k = 0; k < steps; k++)
            take();
        clock.Running = false;
        var total = clock.Spent.Values.Sum(static t => t.TotalSeconds);
        return
        [
            .. clock
                .Spent.Select(p => new PhaseShare(p.Key, p.Value.TotalSeconds / steps, p.Value.TotalSeconds / total))
                .OrderByDescending(static p => p.SecondsPerStep),
        ];
    }

    private static LatentDiffusionPipeline MakeUp(TrainingOptions options, StepNetworks networks, Device device, DType precision)
    {
        var seed = options.Seed;
        using var generator = Generator.Create(Device.Cpu, SplitMix64.Derive(seed, WeightsPurpose));
        var autoencoder = Create<IAutoencoder>(networks.Autoencoder, "autoencoder");
        autoencoder.Parameters.Initialise(generator, device);
        var denoiser = Create<IDenoiser>(networks.Denoiser, "denoiser");
        if ((options.Lora is null ? options.Optimiser.TrainedLayers : FrozenParts.Layers(precision)) is { } layers)
            denoiser.Parameters.Narrow(layers);
        denoiser.Parameters.Initialise(generator, device);
        FrozenParts.NarrowDecoder(autoencoder, precision);
        // New transformers have zero gates and predict zero; pretrained ones do not.
        using var quiet = Autograd.NoGrad();
        using var there = Generator.Create(device, SplitMix64.Derive(seed, WeightsPurpose, 1));
        foreach (var parameter in denoiser.Parameters.All)
        {
            using var scope = TensorScope.Enter();
            parameter.Value.AddInPlace(Ops.Randn(parameter.Shape, there, dtype: DType.Float32, device: device) * 0.02);
        }

        return LatentDiffusionPipeline.Create(autoencoder, denoiser, SchedulerOf(networks.Prediction));
    }

    private static T Create<T>(JsonObject config, string name)
        where T : class, IDisposable
    {
        var network = ComponentRegistry.Find(config, name).Create(config, name);
        if (network is T kind)
            return kind;
        (network as IDisposable)?.Dispose();
        throw new InputException($"The configuration of the {name} is that of a {ComponentRegistry.ClassNameOf(config, name)}.");
    }

    private static JsonObject SchedulerOf(string prediction) =>
        prediction == "flow"
            ? new() { ["_class_name"] = "FlowMatchEulerDiscreteScheduler", ["shift"] = 3.0 }
            : new()
            {
                ["_class_name"] = "DDIMScheduler",
                ["beta_start"] = 0.00085,
                ["beta_end"] = 0.012,
                ["beta_schedule"] = "scaled_linear",
                ["prediction_type"] = prediction,
            };

    /// <summary>Synthetic latent moments.</summary>
    private sealed class MadeUpBatches : IBatchSource
    {
        private const int Pictures = 64;
        private readonly Tensor _moments;
        private readonly Device _device;
        private readonly int _batch;
        private readonly int _classes;
        private ulong _drawn;

        public MadeUpBatches(TrainingOptions options, LatentDiffusionPipeline pipeline, Device device)
        {
            (_device, _batch, _classes) = (device, options.Batch.Size, pipeline.Denoiser.ClassCount ?? 1);
            var side = options.Data.Side / pipeline.Autoencoder.Downsampling;
            using var scope = TensorScope.Enter();
            using var generator = Generator.Create(Device.Cpu, options.Seed);
            long[] shape = [Pictures, pipeline.Autoencoder.LatentChannels, side, side];
            var means = Ops.Randn(shape, generator, dtype: DType.Float32);
            // A tiny autoencoder's moments are its latents, without variances.
            _moments = (
                pipeline.Autoencoder is AutoencoderTiny ? means : Ops.Cat([means, Ops.Full(shape, -10, dtype: DType.Float32)], 1)
            ).Escape();
        }

        public TimeSpan Waited => TimeSpan.Zero;

        public TrainingBatch Next(CancellationToken cancellation)
        {
            cancellation.ThrowIfCancellationRequested();
            var chosen = new long[_batch];
            for (var k = 0; k < chosen.Length; k++)
                chosen[k] = (long)(SplitMix64.Derive(_drawn++) % Pictures);
            var samples = Array.ConvertAll(chosen, i => new Sample($"made up {i}", (int)(i % _classes), null));
            return new TrainingBatch(
                null,
                _moments.IndexSelect(0, Tensor.From(chosen)).To(_device),
                samples,
                new FrameRecord[_batch],
                default
            );
        }

        public void Dispose() => _moments.Dispose();
    }
}
