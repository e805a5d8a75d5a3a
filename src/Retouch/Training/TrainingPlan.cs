using System.Globalization;
using Retouch.Core.Formatting;
using Retouch.Data;
using Retouch.Torch.Devices;
using Retouch.Torch.Optim;
using Retouch.Training.HeldOut;
using Retouch.Training.Options;
using Retouch.Training.Planning;
using Retouch.Training.Tasks;

namespace Retouch.Training;

/// <summary>Estimated cost of a run, measured on its first batches.</summary>
/// <param name="TrainedParameters">Trained parameters.</param>
/// <param name="Pictures">Pictures in the data.</param>
/// <param name="StepsPerEpoch">Optimiser steps per epoch.</param>
/// <param name="Steps">Total steps.</param>
/// <param name="StepsLeft">Remaining steps; fewer than <paramref name="Steps"/> for a resumed run.</param>
/// <param name="SecondsPerStep">Median of the measured steps.</param>
/// <param name="EstimatedSeconds">Remaining steps times seconds per step; without sampling, validation and checkpoints.</param>
/// <param name="StateBytes">Memory proportional to the trained network: weights, gradients, states of the optimiser, averages.</param>
/// <param name="PeakBytes">Peak main memory of the process while measuring: networks, data and libraries included, sampling
/// excluded.</param>
/// <param name="CheckpointBytes">Disk space of one checkpoint.</param>
/// <param name="DiskBytes">Disk space of all kept checkpoints, one more while it is written, and the final models (trained network
/// only).</param>
public sealed record TrainingPlan(
    long TrainedParameters,
    int Pictures,
    double StepsPerEpoch,
    long Steps,
    long StepsLeft,
    double SecondsPerStep,
    double EstimatedSeconds,
    long StateBytes,
    long PeakBytes,
    long CheckpointBytes,
    long DiskBytes
)
{
    /// <summary>Parameters of the frozen denoiser in adapter training, or null.</summary>
    public long? FrozenParameters { get; init; }

    /// <summary>
    /// Seconds for encoding all pictures to latents before the first step, if none of them is cached; null without cached latents.
    /// </summary>
    public double? EncodingSeconds { get; init; }

    /// <summary>Prior pictures to draw before the first step, or null.</summary>
    public int? DrawnPictures { get; init; }

    /// <summary>Seconds for precomputed reference errors, before the first step, or null.</summary>
    public double? ReferenceSeconds { get; init; }

    /// <summary>Seconds of one validation, measured on one batch, or null.</summary>
    public double? ValidationSeconds { get; init; }

    /// <summary>Peak memory of tensors on the GPU while measuring; null on the CPU.</summary>
    public long? PeakDeviceBytes { get; init; }

    /// <summary>Settings chosen for a limit of memory, with the alternatives; null without a limit.</summary>
    public MemoryPlan? Memory { get; init; }

    /// <summary>Number of steps that <see cref="Measure"/> runs.</summary>
    internal const int StepsTaken = 4;

    /// <summary>Prints the plan as text.</summary>
    public void Print(TextWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        void Line(string name, string value) => writer.WriteLine($"{name, -20} {value}");
        foreach (var line in Memory?.Lines() ?? [])
            writer.WriteLine(line);
        Line(
            "trained parameters",
            Figures.Count(TrainedParameters)
                + (FrozenParameters is { } frozen ? $" (adapters; the denoiser's {Figures.Count(frozen)} are frozen)" : "")
        );
        Line("pictures", $"{Figures.Count(Pictures)} ({StepsPerEpoch.ToString("0.#", CultureInfo.InvariantCulture)} steps per epoch)");
        Line("weights and states", $"{Figures.Bytes(StateBytes)} (weights, gradients, optimiser, averages)");
        Line("peak main memory", $"{Figures.Bytes(PeakBytes)} (measured over a few steps, without sampling)");
        if (PeakDeviceBytes is { } device)
            Line("peak GPU memory", $"{Figures.Bytes(device)} (of tensors, measured over the same steps)");
        Line("disk", $"{Figures.Bytes(DiskBytes)} at most (one checkpoint:  {Figures.Bytes(CheckpointBytes)})");
        if (EncodingSeconds is { } encoding)
            Line("encoding", $"{Figures.Duration(TimeSpan.FromSeconds(encoding))} before the first step (measured; less with a cache)");
        if (DrawnPictures is > 0 and var drawn)
            Line("prior pictures", $"{Figures.Count(drawn)} are drawn before the first step (not measured)");
        if (ReferenceSeconds is { } reference)
            Line("reference", $"{Figures.Duration(TimeSpan.FromSeconds(reference))} before the first step (measured)");
        if (ValidationSeconds is { } validation)
            Line("validation", $"{Figures.Duration(TimeSpan.FromSeconds(validation))} each time (measured on one batch)");
        Line("time per step", $"{Figures.Duration(TimeSpan.FromSeconds(SecondsPerStep))} (measured)");
        Line(
            $"{Figures.Count(StepsLeft, "step")}{(StepsLeft < Steps ? " left" : "")}",
            $"{Figures.Duration(TimeSpan.FromSeconds(EstimatedSeconds))}, without sampling, validation and checkpoints"
        );
    }

    /// <summary>Runs the first steps of a run exactly as training does, and writes nothing. Changes the weights.</summary>
    internal static TrainingPlan Measure(
        ITrainingTask task,
        TrainingOptions options,
        IPictureSource source,
        long done,
        IBatchSource data,
        Validator? validator,
        TimeProvider time,
        CancellationToken cancellation
    )
    {
        const int Measured = StepsTaken - 1;
        using var owned = data;
        task.Network.RequireGrad(true);
        using var optimiser = options.Optimiser.Create(task.Network.Trained, options.Seed);
        var averages = options.Averages.Select(a => new WeightAverage(task.Network.Trained, a)).ToArray();
        var device = task.Network.All[0].Value.Device;
        ProcessMemory.ResetPeak();
        DeviceMemory.ResetPeak(device);
        var seconds = new List<double>();
        try
        {
            var runner = new StepRunner(task, options, optimiser, averages);
            var cursor = default(DataCursor);
            for (var step = 0; step <= Measured; step++)
            {
                var start = time.GetTimestamp();
                if (runner.Take(data, step, ref cursor, static () => "This is a dry run; nothing was written.", cancellation) is null)
                    cancellation.ThrowIfCancellationRequested();
                device.Synchronize();
                // The first step allocates memory that later steps reuse.
                if (step > 0)
                    seconds.Add(time.GetElapsedTime(start).TotalSeconds);
            }

            var validation = validator?.Measure(averages.Length, time);
            seconds.Sort();
            var median = seconds[Measured / 2];
            var left = Math.Max(0, options.Steps - done);
            var parameters = task.Network.Count;
            var weights = options.Optimiser.WeightBytes(task.Network.All);
            var checkpoint =
                weights + optimiser.StateBytes + (parameters * sizeof(float) * averages.Length) + (task.Adversary?.StateBytes ?? 0);
            var gradients = options.Optimiser.WeightBytes(task.Network.Trained) + (task.Adversary?.GradientBytes ?? 0);
            var models = weights * (1 + averages.Length);
            var batches = source.Count < options.Batch.Size ? (double)source.Count / options.Batch.Size : source.Count / options.Batch.Size;
            return new TrainingPlan(
                parameters,
                source.Count,
                batches / options.Batch.Accumulate,
                options.Steps,
                left,
                median,
                median * left,
                checkpoint + gradients,
                ProcessMemory.Peak(),
                checkpoint,
                (checkpoint * (options.Checkpoints.Keep + 1)) + models
            )
            {
                ValidationSeconds = validation,
                PeakDeviceBytes = DeviceMemory.Of(device)?.Peak,
            };
        }
        finally
        {
            optimiser.ZeroGrad();
            Array.ForEach(averages, static a => a.Dispose());
        }
    }
}
