using Retouch.Data;
using Retouch.Torch;
using Retouch.Torch.Optim;
using Retouch.Training.Options;
using Retouch.Training.Tasks;
using Retouch.Training.Telemetry;

namespace Retouch.Training;

/// <summary>What a run would cost, measured on its first batches.</summary>
/// <param name="TrainedParameters">Numbers that are trained.</param>
/// <param name="Pictures">Pictures in the data.</param>
/// <param name="StepsPerEpoch">Optimiser steps that see every picture once.</param>
/// <param name="Steps">Steps in all.</param>
/// <param name="SecondsPerStep">Median of the measured steps.</param>
/// <param name="EstimatedSeconds">Steps times seconds a step; without sampling and checkpoints.</param>
/// <param name="WeightBytes">Weights, gradients, moments and averages.</param>
/// <param name="PeakBytes">The process's peak while measuring.</param>
public sealed record TrainingPlan(
    long TrainedParameters, int Pictures, double StepsPerEpoch, long Steps, double SecondsPerStep, double EstimatedSeconds, long WeightBytes, long PeakBytes)
{
    /// <summary>Prints the plan for people.</summary>
    public void Print(TextWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        writer.WriteLine($"trained parameters   {Figures.Count(TrainedParameters)}");
        writer.WriteLine($"pictures             {Figures.Count(Pictures)} ({StepsPerEpoch:0.#} steps an epoch)");
        writer.WriteLine($"weights and states   {Figures.Bytes(WeightBytes)}");
        writer.WriteLine($"peak memory          {Figures.Bytes(PeakBytes)} (measured)");
        writer.WriteLine($"time per step        {Figures.Duration(TimeSpan.FromSeconds(SecondsPerStep))} (measured)");
        writer.WriteLine($"{Figures.Count(Steps)} steps          {Figures.Duration(TimeSpan.FromSeconds(EstimatedSeconds))}");
    }

    internal static TrainingPlan Measure(ITrainingTask task, TrainingOptions options, BatchPlan plan, IPictureSource source, IBatchSource data, TimeProvider time, CancellationToken cancellation)
    {
        const int Measured = 3;
        using var owned = data;
        task.Network.RequireGrad(true);
        using var optimiser = new AdamW(task.Network.Trained, options.Optimiser.AdamW);
        var averages = options.Averages.Select(a => new WeightAverage(task.Network.Trained, a)).ToArray();
        ProcessMemory.ResetPeak();
        var seconds = new List<double>();
        for (var step = 0; step <= Measured; step++)
        {
            var start = time.GetTimestamp();
            optimiser.ZeroGrad();
            for (var micro = 0; micro < options.Batch.Accumulate; micro++)
            {
                using var scope = TensorScope.Enter();
                Autograd.Backward(task.Evaluate(data.Next(cancellation), new StepSeeds(options.Seed, step, micro, 0)).Total);
            }

            optimiser.Step(0, 1, averages);
            if (step > 0)
                seconds.Add(time.GetElapsedTime(start).TotalSeconds);
        }

        Array.ForEach(averages, static a => a.Dispose());
        seconds.Sort();
        var parameters = task.Network.Count;
        return new TrainingPlan(
            parameters, source.Count, (double)plan.Count / (options.Batch.Size * options.Batch.Accumulate), options.Steps, seconds[Measured / 2],
            seconds[Measured / 2] * options.Steps, parameters * 4 * (4 + options.Averages.Count), ProcessMemory.Peak());
    }
}
