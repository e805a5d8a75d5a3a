using System.Globalization;
using Retouch.Core.Formatting;
using Retouch.Torch;
using Retouch.Torch.Devices;
using Retouch.Torch.Optim;
using Retouch.Training.Options;
using Retouch.Training.Planning;
using Retouch.Training.Tasks;

namespace Retouch.Training;

/// <summary>
/// Explains a training step that ran out of memory: repeats it with smaller micro-batches, with recomputed activations and with fewer
/// samples per decoder call, until one fits. The message names these options with their peaks, and the peak of the whole micro-batch,
/// which is linear in the number of samples.
/// </summary>
/// <param name="task">Training task.</param>
/// <param name="options">Options of the run.</param>
/// <param name="device">Device of the networks.</param>
/// <param name="processes">Processes that train together.</param>
internal sealed class MemoryTrial(ITrainingTask task, TrainingOptions options, Device device, int processes = 1)
{
    // Share of the limit that is left unused in a trial: fragmentation, and the update, which is not repeated.
    private const double Spare = 0.03;

    private readonly MemoryGauge _gauge = new(device);
    private readonly TrialSteps _steps = new(task);

    /// <summary>The failure with its options.</summary>
    /// <param name="failure">Failure of the step, whose tensors are freed.</param>
    /// <param name="batch">The micro-batch.</param>
    /// <param name="seeds">Its seeds.</param>
    public OutOfDeviceMemoryException Explain(OutOfDeviceMemoryException failure, TrainingBatch batch, StepSeeds seeds)
    {
        if (failure.Remedy is not null || _gauge.Read() is not { } reading)
            return failure;
        var (size, unit) = (options.Batch.Size, options.Data.Pairs is null ? "sample" : "pair");
        var (all, single) = (Figures.Count(size, unit), Figures.Count(1, unit));
        List<string> fitting = [];
        var smaller = Largest(batch, seeds, reading, size - 1, MemorySettings.Of(options));
        if (smaller is var (fits, added))
            fitting.Add($"{Micro(fits)}: {Figures.Bytes(reading.Used + added)}");
        foreach (var settings in Switches())
        {
            // Only if it allows larger micro-batches than smaller ones alone.
            if (Largest(batch, seeds, reading, size, settings, above: smaller?.Size ?? 0) is var (larger, less))
            {
                var changes = settings.Changes(options).Select(static c => $"--set {c}");
                var also = larger < size ? $" {Micro(larger)}" : "";
                fitting.Add($"{string.Join(' ', changes)}{also}: {Figures.Bytes(reading.Used + less)}");
            }
        }

        var limit = Figures.Bytes(reading.Limit);
        var need = smaller is { } measured ? reading.Used + Extrapolated(batch, seeds, measured) : 0;
        var needs =
            smaller is null && size > 1 && options.Batch.Extra == 0 ? $"Not even {single} fits into {reading.Name}, {limit}"
            // Of a single sample, what does not grow with their number is unknown.
            : need > reading.Limit
                ? $"{all} need {(smaller?.Size == 1 ? "up to" : "about")} {Figures.Bytes(need)}, {reading.Name} is {limit}"
            : $"{all} need more than {reading.Name}, {limit}";
        var would = fitting.Count == 0 ? "" : $" These options fit (peak of a step): {string.Join("; ", fitting)}.";
        string[] others = [.. Others()];
        var rest = others.Length == 0 ? "" : $" {(fitting.Count == 0 ? "Less" : "Also less")} memory: {string.Join(", ", others)}.";
        return new OutOfDeviceMemoryException(failure.Cause, $"{needs}.{would}{rest}");
    }

    /// <summary>A failure outside of steps, such as while loading, or with several processes: options by their sizes.</summary>
    /// <param name="failure">The failure.</param>
    public OutOfDeviceMemoryException Explain(OutOfDeviceMemoryException failure)
    {
        if (failure.Remedy is not null || _gauge.Read() is not { } reading)
            return failure;
        string[] others = [.. Others()];
        return new OutOfDeviceMemoryException(
            failure.Cause,
            $"{char.ToUpperInvariant(reading.Name[0])}{reading.Name[1..]} is {Figures.Bytes(reading.Limit)}; weights, gradients, states of "
                + $"the optimiser and averages of this run take {Figures.Bytes(Weights + Gradients + State + Averages)}."
                + (others.Length == 0 ? "" : $" Less memory: {string.Join(", ", others)}.")
        );
    }

    private long Weights => options.Optimiser.WeightBytes(task.Network.Trained);

    private long Holders => options.Distributed.Shard == DividedParts.None ? 1 : processes;

    private long Gradients => options.Distributed.Shard == DividedParts.Gradients ? Weights / processes : Weights;

    private long State => options.Optimiser.StateBytes(task.Network.Trained) / Holders;

    private long Averages => task.Network.Count * sizeof(float) * options.Averages.Count / Holders;

    /// <summary>Options that are tried, each alone.</summary>
    private IEnumerable<MemorySettings> Switches()
    {
        if (_steps.Denoiser is null)
            yield break;
        var given = MemorySettings.Of(options);
        if (!given.CheckpointActivations)
            yield return given with
            {
                CheckpointActivations = true,
            };
        if (options.Objective is not { NeedsDecoder: true })
            yield break;
        if (given.DecodeBatch is null or > 1)
            yield return given with
            {
                DecodeBatch = 1,
            };
        if (!given.CheckpointDecoder)
            yield return given with
            {
                CheckpointDecoder = true,
            };
    }

    /// <summary>Options that are not measured.</summary>
    internal IEnumerable<string> Others()
    {
        if (options.Objective is { NeedsDecoder: true } objective)
        {
            if (objective.DecodeCrop is null && options.Data.Size is { } side and >= 128)
                yield return $"--set objective.decodeCrop={side / 2 / 64 * 64} (random windows, noisier gradients)";
            if (objective.Perceptual is not null)
                yield return "fewer objective.perceptual.taps";
        }

        if (options.Precision == DType.Float32.Name())
            yield return "--precision bfloat16";
        if (options.Optimiser.Kind == OptimiserKind.Adamw)
        {
            var smaller = options.Optimiser with { Kind = OptimiserKind.Adamw8bit };
            if (State - (smaller.StateBytes(task.Network.Trained) / Holders) is > 0 and var less)
                yield return $"--set optimiser.kind=adamw8bit ({Figures.Bytes(less)} less)";
        }

        if (processes > 1 && options.Batch is { Size: > 1, Extra: 0 })
            yield return Micro(Enumerable.Range(1, options.Batch.Size / 2).Last(k => options.Batch.Size % k == 0));
        // Steps of several processes, or with single samples beside pairs, are not repeated.
        foreach (var settings in processes > 1 || options.Batch.Extra > 0 ? Switches() : [])
            yield return string.Join(' ', settings.Changes(options).Select(static c => $"--set {c}"));
        if (processes > 1 && options.Distributed.Shard != DividedParts.Gradients)
        {
            var held = Gradients + (Holders == 1 ? State + Averages : 0);
            yield return $"--set distributed.shard=gradients ({Figures.Bytes(held * (processes - 1) / processes)} less)";
        }

        if (_steps.Denoiser is not null && options.Lora is null && options.Model.Path is not null)
            yield return $"--lora-rank 16 ({Figures.Bytes(Weights + State + Averages)} of gradients, states and averages less)";
        else if (options.Averages.Count > 0)
            yield return $"--set averages=[] ({Figures.Bytes(Averages)} less)";
    }

    private string Micro(int size)
    {
        var (accumulate, whole) = (options.Batch.Accumulate * options.Batch.Size / size, options.Batch.Accumulate * options.Batch.Size);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"--batch-size {size} --set batch.accumulate={accumulate} (the same {whole} per step)"
        );
    }

    /// <summary>
    /// The largest divisor of the batch size, above another size, that fits with some settings, and the memory that it adds; null if none
    /// does.
    /// </summary>
    private (int Size, long Added)? Largest(
        TrainingBatch batch,
        StepSeeds seeds,
        MemoryReading reading,
        int most,
        MemorySettings settings,
        int above = 0
    )
    {
        // The number of single samples beside pairs is a separate option.
        if (options.Batch.Extra > 0)
            return null;
        _steps.Use(settings, options.Objective);
        try
        {
            for (var size = most; size > above; size--)
            {
                if (options.Batch.Size % size == 0 && Added(batch, seeds, size, (long)(Spare * reading.Limit)) is { } added)
                    return (size, added);
            }

            return null;
        }
        finally
        {
            _steps.Use(MemorySettings.Of(options), options.Objective);
        }
    }

    /// <summary>Memory that the whole micro-batch would add, from that of a part and of half of it.</summary>
    private long Extrapolated(TrainingBatch batch, StepSeeds seeds, (int Size, long Added) part)
    {
        var half = part.Size / 2;
        var before = half == 0 ? 0 : Added(batch, seeds, half, spare: 0) ?? 0;
        return part.Added + (Math.Max(0, part.Added - before) * (options.Batch.Size - part.Size) / (part.Size - half));
    }

    /// <summary>Memory that a micro-batch adds, gradients included; null if it does not fit or cannot be measured.</summary>
    private long? Added(TrainingBatch batch, StepSeeds seeds, int size, long spare)
    {
        try
        {
            using var scope = TensorScope.Enter();
            if (spare > 0)
                _ = Ops.Empty([spare], dtype: DType.UInt8, device: device);
            _steps.Clear();
            return _gauge.Added(() => _steps.Pass(batch.Part(size, options.Batch.Size), seeds));
        }
        catch (OutOfDeviceMemoryException)
        {
            return null;
        }
        finally
        {
            _steps.Clear();
        }
    }
}
