using System.Globalization;
using Retouch.Objectives;
using Retouch.Training.Options;

namespace Retouch.Training.Planning;

/// <summary>Options of a run that exchange memory for time, or, the window alone, for noisier gradients.</summary>
internal sealed record MemorySettings
{
    /// <summary>Samples (or pairs) per micro-batch.</summary>
    public required int Size { get; init; }

    /// <summary>Recomputes activations of the denoiser.</summary>
    public bool CheckpointActivations { get; init; }

    /// <summary>Recomputes activations of the decoder.</summary>
    public bool CheckpointDecoder { get; init; }

    /// <summary>Samples per decoder call; null for all.</summary>
    public int? DecodeBatch { get; init; }

    /// <summary>Side of the decoded window in pixels; null for whole pictures.</summary>
    public int? DecodeCrop { get; init; }

    /// <summary>Settings of a run.</summary>
    public static MemorySettings Of(TrainingOptions options) =>
        new()
        {
            Size = options.Batch.Size,
            CheckpointActivations = options.Model.CheckpointActivations,
            CheckpointDecoder = options.Objective?.CheckpointDecoder ?? false,
            DecodeBatch = options.Objective?.DecodeBatch,
            DecodeCrop = options.Objective?.DecodeCrop,
        };

    /// <summary>Whether the batch of a run can be divided into micro-batches of a size, with its single and prior samples.</summary>
    public static bool Divides(TrainingOptions options, int size) =>
        options.Batch.Size % size == 0
        && options.Batch.Extra % (options.Batch.Size / size) == 0
        && (options.Data.Prior?.Size ?? 0) % (options.Batch.Size / size) == 0;

    /// <summary>Micro-batches of a step, with as many samples as the run's.</summary>
    public int Accumulate(TrainingOptions options) => options.Batch.Accumulate * options.Batch.Size / Size;

    /// <summary>Options of a run with these settings.</summary>
    public TrainingOptions ApplyTo(TrainingOptions options)
    {
        var parts = options.Batch.Size / Size;
        return options with
        {
            Batch = options.Batch with { Size = Size, Extra = options.Batch.Extra / parts, Accumulate = Accumulate(options) },
            Data = options.Data.Prior is { Size: { } prior } of
                ? options.Data with
                {
                    Prior = of with { Size = prior / parts },
                }
                : options.Data,
            Model = options.Model with { CheckpointActivations = CheckpointActivations },
            Objective = options.Objective is null ? null : Of(options.Objective),
        };
    }

    /// <summary>Losses of a run with these settings.</summary>
    public ObjectiveOptions Of(ObjectiveOptions objective) =>
        objective with
        {
            CheckpointDecoder = CheckpointDecoder,
            DecodeBatch = DecodeBatch,
            DecodeCrop = DecodeCrop,
        };

    /// <summary>Options that differ from those of a run, as <c>path=value</c>.</summary>
    public IReadOnlyList<string> Changes(TrainingOptions options)
    {
        var (given, now) = (Of(options), ApplyTo(options));
        List<string> changes = [];
        void Add(bool differs, string path, object? value)
        {
            if (differs)
                changes.Add(string.Create(CultureInfo.InvariantCulture, $"{path}={value}"));
        }

        Add(Size != given.Size, "batch.size", Size);
        Add(Size != given.Size, "batch.accumulate", now.Batch.Accumulate);
        Add(now.Batch.Extra != options.Batch.Extra, "batch.extra", now.Batch.Extra);
        Add(now.Data.Prior?.Size != options.Data.Prior?.Size, "data.prior.size", now.Data.Prior?.Size);
        Add(DecodeBatch != given.DecodeBatch, "objective.decodeBatch", DecodeBatch);
        Add(CheckpointDecoder != given.CheckpointDecoder, "objective.checkpointDecoder", "true");
        Add(CheckpointActivations != given.CheckpointActivations, "model.checkpointActivations", "true");
        Add(DecodeCrop != given.DecodeCrop, "objective.decodeCrop", DecodeCrop);
        return changes;
    }
}
