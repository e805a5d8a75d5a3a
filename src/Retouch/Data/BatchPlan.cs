using Retouch.Core.Errors;

namespace Retouch.Data;

/// <summary>Handling of the last samples of an epoch if the number of samples is not a multiple of the batch size.</summary>
public enum EpochEnd
{
    /// <summary>Drops the remainder; every batch is within one epoch. For training.</summary>
    DropRest,

    /// <summary>Fills the last batch with the first samples of the next epoch. For training on few samples.</summary>
    Wrap,

    /// <summary>Returns a smaller last batch. For evaluation, where every sample counts once; on one rank only.</summary>
    Short,
}

/// <summary>Position in the data from which reading continues.</summary>
/// <param name="Epoch">Completed epochs.</param>
/// <param name="Position">Completed samples of the current epoch, over all ranks.</param>
public readonly record struct DataCursor(long Epoch, int Position);

/// <summary>A sample of a batch.</summary>
/// <param name="Index">Index in the source.</param>
/// <param name="Epoch">Epoch of the sample.</param>
public readonly record struct PlannedSample(int Index, long Epoch);

/// <summary>A rank's batch, and the cursor after the batches of all ranks.</summary>
/// <param name="Samples">Samples in order.</param>
/// <param name="Epoch">Epoch in which the batch begins.</param>
/// <param name="Next">Cursor after the batches of all ranks; equal on every rank.</param>
public sealed record PlannedBatch(IReadOnlyList<PlannedSample> Samples, long Epoch, DataCursor Next);

/// <summary>Options of a <see cref="BatchPlan"/>.</summary>
public sealed record BatchPlanOptions
{
    /// <summary>Samples per batch, at least 1.</summary>
    public required int BatchSize { get; init; }

    /// <summary>Seed of the order.</summary>
    public ulong Seed { get; init; }

    /// <summary>Whether to shuffle each epoch (the default) or to use the source's order.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>Handling of the last samples of an epoch.</summary>
    public EpochEnd End { get; init; } = EpochEnd.DropRest;

    /// <summary>Rank of this process, 0 to <see cref="WorldSize"/> − 1.</summary>
    public int Rank { get; init; }

    /// <summary>Number of processes, to which the batches are dealt out in turn.</summary>
    public int WorldSize { get; init; } = 1;
}

/// <summary>
/// Assigns samples to batches as a function of the options and the cursor only, so that a run can resume anywhere in an epoch with
/// exactly the same batches. The order of an epoch is a Fisher–Yates shuffle by (seed, epoch); a batch is a contiguous part of it.
/// Several processes take the batches of a single one in turn, whatever their number.
/// </summary>
public sealed class BatchPlan
{
    private readonly BatchPlanOptions _options;
    private readonly Lock _guard = new();
    private readonly Dictionary<long, int[]> _orders = [];
    private readonly int[]? _groups;
    private readonly Dictionary<int, int[]> _members = [];

    // Samples per epoch that are part of a batch.
    private readonly int _usable;

    /// <param name="count">Number of samples in the source.</param>
    /// <param name="options">Batch options.</param>
    /// <exception cref="UsageException">An option is out of range, or a full batch needs more samples than the source has.</exception>
    public BatchPlan(int count, BatchPlanOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        if (options.BatchSize < 1)
            throw new UsageException($"The batch size is {options.BatchSize}; it must be at least 1.");
        if (options.WorldSize < 1 || options.Rank < 0 || options.Rank >= options.WorldSize)
            throw new UsageException($"Rank {options.Rank} of {options.WorldSize} does not exist; ranks count from 0.");
        if (options.End == EpochEnd.Short && options.WorldSize > 1)
            throw new UsageException("Smaller last batches need a single rank; use another epoch end or one rank.");
        Count = count;
        _usable = count;
        _options = options;
        if (options.End == EpochEnd.DropRest && count < _options.BatchSize)
        {
            throw new UsageException(
                $"A batch of {options.BatchSize} does not fit into {count} pictures; reduce the batch size, add pictures or let "
                    + "batches wrap."
            );
        }
    }

    /// <summary>
    /// A plan with one group per batch, for pictures of several sizes. Samples are shuffled within the groups, and so are the batches;
    /// the remainder of each group is dropped, with different samples each epoch.
    /// </summary>
    /// <param name="groups">Group of each sample.</param>
    /// <param name="options">Batch options with <see cref="EpochEnd.DropRest"/>.</param>
    /// <exception cref="UsageException">An option is out of range, or no group fills a batch.</exception>
    public BatchPlan(IReadOnlyList<int> groups, BatchPlanOptions options)
        : this(groups?.Count ?? 0, options)
    {
        if (options.End != EpochEnd.DropRest)
            throw new UsageException("Batches of one size drop the remainder of an epoch; they do not wrap.");
        _groups = [.. groups!];
        foreach (var group in Enumerable.Range(0, Count).GroupBy(k => _groups[k]).OrderBy(static g => g.Key))
            _members.Add(group.Key, [.. group]);
        _usable = _members.Values.Sum(m => m.Length / _options.BatchSize * _options.BatchSize);
        if (_usable == 0)
            throw new UsageException(
                $"No size has {_options.BatchSize} pictures for a batch; reduce the batch size, or increase the bucket step."
            );
    }

    /// <summary>Number of samples in the source.</summary>
    public int Count { get; }

    /// <summary>Group of a sample; 0 without groups.</summary>
    public int GroupOf(int index) => _groups?[index] ?? 0;

    /// <summary>Draws another sample of the same group.</summary>
    internal int Another(int index, ref SplitMix64 random) =>
        _groups is null ? random.NextInt(Count) : _members[_groups[index]][random.NextInt(_members[_groups[index]].Length)];

    /// <summary>Seed of the order.</summary>
    public ulong Seed => _options.Seed;

    /// <summary>Number of batches that begin in an epoch; with <see cref="EpochEnd.Wrap"/>, in the first one.</summary>
    public int BatchesPerEpoch =>
        _options.End == EpochEnd.DropRest ? _usable / _options.BatchSize : (Count + _options.BatchSize - 1) / _options.BatchSize;

    /// <summary>This rank's batch at a cursor, at which the batches of all ranks begin.</summary>
    /// <exception cref="InputException">The cursor is out of range, as it was saved with other data.</exception>
    public PlannedBatch At(DataCursor cursor)
    {
        PlannedBatch? own = null;
        for (var rank = 0; rank < _options.WorldSize; rank++)
        {
            var batch = Single(cursor);
            cursor = batch.Next;
            if (rank == _options.Rank)
                own = batch;
        }

        return own! with
        {
            Next = cursor,
        };
    }

    private PlannedBatch Single(DataCursor cursor)
    {
        if (cursor.Epoch < 0 || cursor.Position < 0 || cursor.Position > _usable)
        {
            throw new InputException(
                $"The data cursor (epoch {cursor.Epoch}, position {cursor.Position}) does not match {Count} pictures; resume with "
                    + $"the data it was saved with."
            );
        }

        var (epoch, position) = cursor;
        var left = _usable - position;
        if (left == 0 || (_options.End == EpochEnd.DropRest && left < _options.BatchSize))
            (epoch, position, left) = (epoch + 1, 0, _usable);

        var began = epoch;
        var size = _options.End == EpochEnd.Short ? Math.Min(_options.BatchSize, left) : _options.BatchSize;
        List<PlannedSample> samples = [];
        for (var i = 0; i < size; i++)
        {
            if (position == _usable)
                (epoch, position) = (epoch + 1, 0);
            samples.Add(new PlannedSample(Order(epoch)[position], epoch));
            position++;
        }

        return new PlannedBatch(samples, began, position == _usable ? new DataCursor(epoch + 1, 0) : new DataCursor(epoch, position));
    }

    /// <summary>Number of batches before a cursor returned by <see cref="At"/>.</summary>
    public long BatchesBefore(DataCursor cursor) =>
        _options.End == EpochEnd.DropRest
            ? (cursor.Epoch * BatchesPerEpoch) + (cursor.Position / _options.BatchSize)
            : ((cursor.Epoch * Count) + cursor.Position) / _options.BatchSize;

    /// <summary>Cursor after a number of batches; with <see cref="EpochEnd.Wrap"/> only.</summary>
    public DataCursor After(long batches)
    {
        if (_options.End != EpochEnd.Wrap)
            throw new InvalidOperationException("The cursor after a number of batches is defined for a wrapping plan only.");
        var samples = batches * _options.BatchSize;
        return new DataCursor(samples / Count, (int)(samples % Count));
    }

    /// <summary>Seed of a sample's randomness, independent of thread, rank and batch.</summary>
    public ulong SampleSeed(PlannedSample sample) =>
        SplitMix64.Derive(_options.Seed, 0x73616D706C65, (ulong)sample.Epoch, (ulong)sample.Index);

    private int[] Order(long epoch)
    {
        lock (_guard)
        {
            if (_orders.TryGetValue(epoch, out var order))
                return order;
            var random = new SplitMix64(SplitMix64.Derive(_options.Seed, 0x6F72646572, (ulong)epoch));
            order = _groups is null ? Shuffled([.. Enumerable.Range(0, Count)], ref random) : Grouped(ref random);
            // A wrapping batch needs two epochs; older ones are not read again.
            if (_orders.Count >= 3)
                _orders.Remove(_orders.Keys.Min());
            _orders.Add(epoch, order);
            return order;
        }
    }

    private int[] Grouped(ref SplitMix64 random)
    {
        List<int[]> batches = [];
        foreach (var group in _members.Values)
            batches.AddRange(Shuffled([.. group], ref random).Chunk(_options.BatchSize).Where(b => b.Length == _options.BatchSize));
        return [.. Shuffled([.. Enumerable.Range(0, batches.Count)], ref random).SelectMany(k => batches[k])];
    }

    private int[] Shuffled(int[] order, ref SplitMix64 random)
    {
        for (var i = _options.Shuffle ? order.Length - 1 : 0; i > 0; i--)
        {
            var j = random.NextInt(i + 1);
            (order[i], order[j]) = (order[j], order[i]);
        }

        return order;
    }
}
