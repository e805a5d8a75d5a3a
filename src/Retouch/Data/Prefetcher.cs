using System.Collections.Concurrent;
using Retouch.Core.Errors;

namespace Retouch.Data;

/// <summary>Options of a <see cref="Prefetcher"/>.</summary>
public sealed record PrefetchOptions
{
    /// <summary>Largest default number of reader threads.</summary>
    private const int MostByDefault = 16;

    /// <summary>Number of reader threads, 1 to 256.</summary>
    public int Workers { get; init; } = 2;

    /// <summary>Number of reader threads to which the first are increased while the consumer waits, up to 256.</summary>
    public int MostWorkers { get; init; }

    /// <summary>Number of batches in preparation or waiting, 1 to 1024; more while the consumer waits for additional threads.</summary>
    public int Ahead { get; init; } = 2;

    /// <summary>Start cursor.</summary>
    public DataCursor Start { get; init; }

    /// <summary>First epoch that is not read, or null for no end.</summary>
    public long? EndEpoch { get; init; }

    /// <summary>Options with a fixed number of threads, or with one that follows the consumer's waiting.</summary>
    /// <param name="workers">Number of threads; null for 1 at first and up to the number of processors, at most 16.</param>
    /// <param name="start">Start cursor.</param>
    public static PrefetchOptions Of(int? workers, DataCursor start) =>
        new()
        {
            Workers = workers ?? 1,
            MostWorkers = workers ?? Math.Min(Environment.ProcessorCount, MostByDefault),
            Start = start,
        };
}

/// <summary>
/// Reads batches ahead on background threads and returns them in the order of the plan. The samples of a batch are read in parallel;
/// its contents do not depend on the threads. Threads are added while the consumer waits for more than a fiftieth of its time. For a
/// single consumer; can be disposed at any time.
/// </summary>
public sealed class Prefetcher : IDisposable
{
    private const double Tolerated = 0.02;

    private readonly BatchPlan _plan;
    private readonly SampleLoader _loader;
    private readonly PrefetchOptions _options;
    private readonly TimeProvider _time;
    private readonly BlockingCollection<Slot> _slots = [];
    private readonly Queue<PendingBatch> _pending = new();
    private readonly List<Thread> _workers = [];
    private DataCursor _cursor;
    private int _ahead;
    private long _last;
    private volatile bool _stopping;
    private bool _disposed;

    /// <param name="plan">Batch plan.</param>
    /// <param name="loader">Sample loader.</param>
    /// <param name="options">Prefetch options.</param>
    /// <param name="time">Clock for <see cref="Waited"/>.</param>
    /// <exception cref="UsageException">An option is out of range.</exception>
    public Prefetcher(BatchPlan plan, SampleLoader loader, PrefetchOptions options, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(loader);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(time);
        if (options.Workers is < 1 or > 256 || options.MostWorkers > 256 || options.Ahead is < 1 or > 1024)
            throw new UsageException(
                $"{options.Workers} workers and {options.Ahead} batches ahead: workers must be from 1 to 256, batches ahead from 1 to 1024."
            );
        _plan = plan;
        _loader = loader;
        _options = options;
        _time = time;
        (_cursor, _ahead, _last) = (options.Start, options.Ahead, time.GetTimestamp());
        while (_workers.Count < options.Workers)
            AddWorker();
    }

    /// <summary>Number of reader threads.</summary>
    public int Workers => _workers.Count;

    /// <summary>Total time that <see cref="Next"/> has waited for batches.</summary>
    public TimeSpan Waited { get; private set; }

    /// <summary>Number of batches returned.</summary>
    public long Delivered { get; private set; }

    /// <summary>Returns the next batch, or null at the end.</summary>
    /// <exception cref="InputException">Too many pictures are unusable.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled; the next call returns the same batch.</exception>
    public PictureBatch? Next(CancellationToken cancellation = default)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        while (_pending.Count < _ahead && Schedule()) { }

        if (!_pending.TryPeek(out var batch))
            return null;
        var began = _time.GetTimestamp();
        batch.Completion.Task.WaitAsync(cancellation).GetAwaiter().GetResult();
        var ended = _time.GetTimestamp();
        Adapt(_time.GetElapsedTime(began, ended), _time.GetElapsedTime(_last, ended));
        _last = ended;
        _pending.Dequeue();
        // Starts another batch while the consumer uses this one.
        Schedule();
        Delivered++;
        return batch.Batch;
    }

    /// <summary>Stops the threads, each after its current picture.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _stopping = true;
        _slots.CompleteAdding();
        foreach (var worker in _workers)
            worker.Join();
        _slots.Dispose();
    }

    /// <summary>Adds a thread if pictures wait for one, or a batch if all threads wait for pictures.</summary>
    private void Adapt(TimeSpan waited, TimeSpan period)
    {
        Waited += waited;
        // The first batches are waited for in any case.
        if (Delivered < _options.Ahead || waited <= Tolerated * period || _workers.Count >= _options.MostWorkers)
            return;
        if (_slots.Count > 0)
            AddWorker();
        else if (_ahead < _options.Ahead + _options.MostWorkers)
            _ahead++;
    }

    private void AddWorker()
    {
        var worker = new Thread(Work) { IsBackground = true, Name = $"prefetch {_workers.Count}" };
        _workers.Add(worker);
        worker.Start();
    }

    private bool Schedule()
    {
        var planned = _plan.At(_cursor);
        if (_options.EndEpoch is { } end && planned.Epoch >= end)
            return false;
        _cursor = planned.Next;
        var framing = _loader.FramingOf(planned.Samples[0].Index);
        var batch = new PendingBatch(
            new PictureBatch(planned.Samples.Count, framing.Width, framing.Height, planned.Next, _loader.ReadsPairs)
        );
        _pending.Enqueue(batch);
        for (var i = 0; i < planned.Samples.Count; i++)
            _slots.Add(new Slot(batch, i, planned.Samples[i]));
        return true;
    }

    private void Work()
    {
        foreach (var slot in _slots.GetConsumingEnumerable())
        {
            if (_stopping)
                return;
            try
            {
                slot.Batch.Batch.Set(slot.Index, _loader.Load(slot.Sample));
                slot.Batch.Done();
            }
            catch (Exception e)
            {
                // Any exception is rethrown to the consumer, which would otherwise wait forever.
                slot.Batch.Completion.TrySetException(e);
            }
        }
    }

    private sealed record Slot(PendingBatch Batch, int Index, PlannedSample Sample);

    private sealed class PendingBatch(PictureBatch batch)
    {
        private int _missing = batch.Pairs > 0 ? batch.Pairs : batch.Count;

        public PictureBatch Batch { get; } = batch;

        public TaskCompletionSource Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Done()
        {
            if (Interlocked.Decrement(ref _missing) == 0)
                Completion.TrySetResult();
        }
    }
}
