using Retouch.Core.Errors;

namespace Retouch.Data;

/// <summary>What happens where the number of samples is no multiple of the batch.</summary>
public enum EpochEnd
{
    /// <summary>The rest is left out; every batch lies within one epoch. For training.</summary>
    DropRest,

    /// <summary>The rest is filled up with the first samples of the next epoch; nothing is left out. For training on few samples.</summary>
    Wrap,

    /// <summary>The last batch is smaller. For evaluation, where every sample counts once; on one rank only.</summary>
    Short,
}

/// <summary>Where reading goes on.</summary>
/// <param name="Epoch">Passes over the data that are done.</param>
/// <param name="Position">Samples of the current pass that are done, over all ranks.</param>
public readonly record struct DataCursor(long Epoch, int Position);

/// <summary>A sample of a batch.</summary>
/// <param name="Index">Its index in the source.</param>
/// <param name="Epoch">The pass that it belongs to.</param>
public readonly record struct PlannedSample(int Index, long Epoch);

/// <summary>A rank's samples of one batch, and where reading goes on after it.</summary>
/// <param name="Samples">In order.</param>
/// <param name="Epoch">The pass in which the batch begins; the same for every rank.</param>
/// <param name="Next">The same for every rank.</param>
public sealed record PlannedBatch(IReadOnlyList<PlannedSample> Samples, long Epoch, DataCursor Next);

/// <summary>How samples are put into batches.</summary>
public sealed record BatchPlanOptions
{
    /// <summary>Samples a batch on each rank, at least 1.</summary>
    public required int BatchSize { get; init; }

    /// <summary>Decides the order.</summary>
    public ulong Seed { get; init; }

    /// <summary>Whether each epoch has an order of its own (the default), or that of the source.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>What happens to the rest of an epoch.</summary>
    public EpochEnd End { get; init; } = EpochEnd.DropRest;

    /// <summary>This process, 0 to <see cref="WorldSize"/> - 1.</summary>
    public int Rank { get; init; }

    /// <summary>Processes that share every batch.</summary>
    public int WorldSize { get; init; } = 1;
}

/// <summary>
/// Which samples make up which batch: a function of the options and the cursor alone, so that a run resumes anywhere in an epoch and
/// sees exactly what it would have seen. The order of an epoch is a Fisher-Yates shuffle by (seed, epoch); a batch over all ranks is a
/// stretch of it, cut into one piece a rank. So runs with other numbers of ranks but the same product of ranks and batch size see the
/// same samples.
/// </summary>
public sealed class BatchPlan
{
    private readonly BatchPlanOptions options;
    private readonly int globalBatch;
    private readonly Lock guard = new();
    private readonly Dictionary<long, int[]> orders = [];
    private readonly int[]? groups;
    private readonly Dictionary<int, int[]> members = [];

    // Samples of an epoch that batches are made of.
    private readonly int usable;

    /// <param name="count">Samples in the source.</param>
    /// <param name="options">How they are put into batches.</param>
    /// <exception cref="UsageException">An option is out of range, or a batch larger than the source would be left out.</exception>
    public BatchPlan(int count, BatchPlanOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        if (options.BatchSize < 1)
            throw new UsageException($"The batch size is {options.BatchSize}; it is at least 1.");
        if (options.WorldSize < 1 || options.Rank < 0 || options.Rank >= options.WorldSize)
            throw new UsageException($"Rank {options.Rank} of {options.WorldSize} does not exist; ranks count from 0.");
        if (options.End == EpochEnd.Short && options.WorldSize > 1)
            throw new UsageException("Smaller last batches are read on one rank; use another end of the epoch or one rank.");
        Count = count;
        usable = count;
        this.options = options;
        globalBatch = checked(options.BatchSize * options.WorldSize);
        if (options.End == EpochEnd.DropRest && count < globalBatch)
        {
            throw new UsageException(
                $"A batch of {globalBatch} does not fit into {count} pictures; make the batch smaller, add pictures or let batches wrap."
            );
        }
    }

    /// <summary>
    /// A plan whose batches are each of one group, for pictures of several sizes. The order is shuffled within the groups, and so are the
    /// batches; the rest of every group is left out of an epoch, another rest each time.
    /// </summary>
    /// <param name="groups">The group of each sample.</param>
    /// <param name="options">How they are put into batches; with <see cref="EpochEnd.DropRest"/>.</param>
    /// <exception cref="UsageException">As above, or no group fills a batch.</exception>
    public BatchPlan(IReadOnlyList<int> groups, BatchPlanOptions options)
        : this(groups?.Count ?? 0, options)
    {
        if (options.End != EpochEnd.DropRest)
            throw new UsageException("Batches of one size leave the rest of an epoch out; they do not wrap.");
        this.groups = [.. groups!];
        foreach (var group in Enumerable.Range(0, Count).GroupBy(k => this.groups[k]).OrderBy(static g => g.Key))
            members.Add(group.Key, [.. group]);
        usable = members.Values.Sum(m => m.Length / globalBatch * globalBatch);
        if (usable == 0)
            throw new UsageException($"No size has {globalBatch} pictures for a batch; make the batch smaller, or the bucket step larger.");
    }

    /// <summary>Samples in the source.</summary>
    public int Count { get; }

    /// <summary>The group of a sample; 0 where there are none.</summary>
    public int GroupOf(int index) => groups?[index] ?? 0;

    /// <summary>Another sample of the same group.</summary>
    internal int Another(int index, ref SplitMix64 random) =>
        groups is null ? random.NextInt(Count) : members[groups[index]][random.NextInt(members[groups[index]].Length)];

    /// <summary>The seed of the order.</summary>
    public ulong Seed => options.Seed;

    /// <summary>Batches that begin in an epoch; with <see cref="EpochEnd.Wrap"/> in the first one.</summary>
    public int BatchesPerEpoch => options.End == EpochEnd.DropRest ? usable / globalBatch : (Count + globalBatch - 1) / globalBatch;

    /// <summary>The batch at a cursor.</summary>
    /// <exception cref="InputException">The cursor does not fit the source: it was saved with other data.</exception>
    public PlannedBatch At(DataCursor cursor)
    {
        if (cursor.Epoch < 0 || cursor.Position < 0 || cursor.Position > usable)
        {
            throw new InputException(
                $"The data cursor (epoch {cursor.Epoch}, position {cursor.Position}) does not fit {Count} pictures; resume with "
                    + $"the data it was saved with."
            );
        }

        var (epoch, position) = cursor;
        var left = usable - position;
        if (left == 0 || (options.End == EpochEnd.DropRest && left < globalBatch))
            (epoch, position, left) = (epoch + 1, 0, usable);

        var began = epoch;
        var size = options.End == EpochEnd.Short ? Math.Min(globalBatch, left) : globalBatch;
        var from = options.Rank * options.BatchSize;
        var to = Math.Min(from + options.BatchSize, size);
        List<PlannedSample> samples = [];
        for (var i = 0; i < size; i++)
        {
            if (position == usable)
                (epoch, position) = (epoch + 1, 0);
            if (i >= from && i < to)
                samples.Add(new PlannedSample(Order(epoch)[position], epoch));
            position++;
        }

        return new PlannedBatch(samples, began, position == usable ? new DataCursor(epoch + 1, 0) : new DataCursor(epoch, position));
    }

    /// <summary>How many batches lie before a cursor that <see cref="At"/> gave.</summary>
    public long BatchesBefore(DataCursor cursor) =>
        options.End == EpochEnd.DropRest
            ? (cursor.Epoch * BatchesPerEpoch) + (cursor.Position / globalBatch)
            : ((cursor.Epoch * Count) + cursor.Position) / globalBatch;

    /// <summary>The cursor behind a number of batches; of a plan that wraps.</summary>
    public DataCursor After(long batches)
    {
        if (options.End != EpochEnd.Wrap)
            throw new InvalidOperationException("Only a plan that wraps has its batches at even distances.");
        var samples = batches * globalBatch;
        return new DataCursor(samples / Count, (int)(samples % Count));
    }

    /// <summary>The seed of everything random about a sample, whichever thread, rank or batch it is in.</summary>
    public ulong SampleSeed(PlannedSample sample) =>
        SplitMix64.Derive(options.Seed, 0x73616D706C65, (ulong)sample.Epoch, (ulong)sample.Index);

    private int[] Order(long epoch)
    {
        lock (guard)
        {
            if (orders.TryGetValue(epoch, out var order))
                return order;
            var random = new SplitMix64(SplitMix64.Derive(options.Seed, 0x6F72646572, (ulong)epoch));
            order = groups is null ? Shuffled([.. Enumerable.Range(0, Count)], ref random) : Grouped(ref random);
            // A batch that wraps needs two epochs; older ones are not read again.
            if (orders.Count >= 3)
                orders.Remove(orders.Keys.Min());
            orders.Add(epoch, order);
            return order;
        }
    }

    private int[] Grouped(ref SplitMix64 random)
    {
        List<int[]> batches = [];
        foreach (var group in members.Values)
            batches.AddRange(Shuffled([.. group], ref random).Chunk(globalBatch).Where(b => b.Length == globalBatch));
        return [.. Shuffled([.. Enumerable.Range(0, batches.Count)], ref random).SelectMany(k => batches[k])];
    }

    private int[] Shuffled(int[] order, ref SplitMix64 random)
    {
        for (var i = options.Shuffle ? order.Length - 1 : 0; i > 0; i--)
        {
            var j = random.NextInt(i + 1);
            (order[i], order[j]) = (order[j], order[i]);
        }

        return order;
    }
}
