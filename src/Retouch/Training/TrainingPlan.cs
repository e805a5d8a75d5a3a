using System.Globalization;
using Retouch.Core.Formatting;
using Retouch.Data;
using Retouch.Torch.Optim;
using Retouch.Training.Options;
using Retouch.Training.Tasks;

namespace Retouch.Training;

/// <summary>What a run would cost, measured on its first batches.</summary>
/// <param name="TrainedParameters">Numbers that are trained.</param>
/// <param name="Pictures">Pictures in the data.</param>
/// <param name="StepsPerEpoch">Optimiser steps that see every picture once.</param>
/// <param name="Steps">Steps in all.</param>
/// <param name="StepsLeft">Those that are still to be taken; fewer in a run that is resumed.</param>
/// <param name="SecondsPerStep">Median of the measured steps.</param>
/// <param name="EstimatedSeconds">Steps left times seconds a step; without sampling and checkpoints.</param>
/// <param name="StateBytes">What grows with the trained network: weights, gradients, two moments, averages.</param>
/// <param name="PeakBytes">The most main memory that the process held while measuring: networks, data and libraries included, sampling
/// not.</param>
/// <param name="CheckpointBytes">One checkpoint on the disk.</param>
/// <param name="DiskBytes">All checkpoints that stay, one more while it is written, and the models at the end (trained network
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
    /// <summary>Numbers of the frozen denoiser that adapters stand beside; null where the network itself is trained.</summary>
    public long? FrozenParameters { get; init; }

    /// <summary>Seconds for a reference's errors, before the first step; null where none are computed.</summary>
    public double? ReferenceSeconds { get; init; }

    /// <summary>Steps that <see cref="Measure"/> takes.</summary>
    internal const int StepsTaken = 4;

    /// <summary>Prints the plan for people.</summary>
    public void Print(TextWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        void Line(string name, string value) => writer.WriteLine($"{name, -20} {value}");
        Line(
            "trained parameters",
            Figures.Count(TrainedParameters)
                + (FrozenParameters is { } frozen ? $" (adapters; the denoiser's {Figures.Count(frozen)} are frozen)" : "")
        );
        Line("pictures", $"{Figures.Count(Pictures)} ({StepsPerEpoch.ToString("0.#", CultureInfo.InvariantCulture)} steps an epoch)");
        Line("weights and states", $"{Figures.Bytes(StateBytes)} (weights, gradients, moments, averages)");
        Line("peak main memory", $"{Figures.Bytes(PeakBytes)} (measured over a few steps; sampling comes on top)");
        Line("disk", $"{Figures.Bytes(DiskBytes)} at most (a checkpoint: {Figures.Bytes(CheckpointBytes)})");
        if (ReferenceSeconds is { } reference)
            Line("reference", $"{Figures.Duration(TimeSpan.FromSeconds(reference))} before the first step (measured)");
        Line("time per step", $"{Figures.Duration(TimeSpan.FromSeconds(SecondsPerStep))} (measured)");
        Line(
            $"{Figures.Count(StepsLeft)} steps{(StepsLeft < Steps ? " left" : "")}",
            $"{Figures.Duration(TimeSpan.FromSeconds(EstimatedSeconds))}, without sampling and checkpoints"
        );
    }

    /// <summary>
    /// Takes the first steps of a run, as the run itself takes them, and writes nothing. The weights have moved afterwards.
    /// </summary>
    internal static TrainingPlan Measure(
        ITrainingTask task,
        TrainingOptions options,
        IPictureSource source,
        long done,
        IBatchSource data,
        TimeProvider time,
        CancellationToken cancellation
    )
    {
        const int Measured = StepsTaken - 1;
        using var owned = data;
        task.Network.RequireGrad(true);
        using var optimiser = new AdamW(task.Network.Trained, options.Optimiser.AdamW);
        var averages = options.Averages.Select(a => new WeightAverage(task.Network.Trained, a)).ToArray();
        ProcessMemory.ResetPeak();
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
                task.Network.All[0].Value.Device.Synchronize();
                // The first step allocates what later ones use again.
                if (step > 0)
                    seconds.Add(time.GetElapsedTime(start).TotalSeconds);
            }

            seconds.Sort();
            var median = seconds[Measured / 2];
            var left = Math.Max(0, options.Steps - done);
            var parameters = task.Network.Count;
            var checkpoint = parameters * sizeof(float) * (3 + averages.Length);
            var models = parameters * sizeof(float) * (1 + averages.Length);
            var batches = source.Count < options.Batch.Size ? (double)source.Count / options.Batch.Size : source.Count / options.Batch.Size;
            return new TrainingPlan(
                parameters,
                source.Count,
                batches / options.Batch.Accumulate,
                options.Steps,
                left,
                median,
                median * left,
                parameters * sizeof(float) * (4 + averages.Length),
                ProcessMemory.Peak(),
                checkpoint,
                (checkpoint * (options.Checkpoints.Keep + 1)) + models
            );
        }
        finally
        {
            optimiser.ZeroGrad();
            Array.ForEach(averages, static a => a.Dispose());
        }
    }
}
