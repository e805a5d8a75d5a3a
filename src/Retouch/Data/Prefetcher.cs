using System.Collections.Concurrent;
using Retouch.Core.Errors;

namespace Retouch.Data;

/// <summary>How far and how wide the <see cref="Prefetcher"/> reads ahead.</summary>
public sealed record PrefetchOptions
{
    /// <summary>Threads that read, at least 1.</summary>
    public int Workers { get; init; } = 2;

    /// <summary>Batches that are in the making or waiting, at least 1.</summary>
    public int Ahead { get; init; } = 2;

    /// <summary>Where to begin.</summary>
    public DataCursor Start { get; init; }

    /// <summary>Batches that begin in this epoch or later are not read; null reads on and on.</summary>
    public long? EndEpoch { get; init; }
}

/// <summary>
/// Reads batches ahead on threads of its own and hands them over in the order of the plan. A batch's samples are read side by side; what
/// a batch holds does not depend on the threads. For one consumer; dispose it when done, also in the middle.
/// </summary>
public sealed class Prefetcher : IDisposable
{
    private readonly BatchPlan plan;
    private readonly SampleLoader loader;
    private readonly PrefetchOptions options;
    private readonly TimeProvider time;
    private readonly BlockingCollection<Slot> slots = [];
    private readonly Queue<PendingBatch> pending = new();
    private readonly Thread[] workers;
    private DataCursor cursor;
    private volatile bool stopping;
    private bool disposed;

    /// <param name="plan">Which samples make up which batch.</param>
    /// <param name="loader">Reads them.</param>
    /// <param name="options">How far and how wide to read ahead.</param>
    /// <param name="time">Measures how long the consumer waits.</param>
    /// <exception cref="UsageException">An option is out of range.</exception>
    public Prefetcher(BatchPlan plan, SampleLoader loader, PrefetchOptions options, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(loader);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(time);
        if (options.Workers is < 1 or > 256 || options.Ahead is < 1 or > 1024)
            throw new UsageException(
                $"{options.Workers} workers reading {options.Ahead} batches ahead: 1 to 256 and 1 to 1024 are possible."
            );
        this.plan = plan;
        this.loader = loader;
        this.options = options;
        this.time = time;
        cursor = options.Start;
        workers = new Thread[options.Workers];
        for (var i = 0; i < workers.Length; i++)
        {
            workers[i] = new Thread(Work) { IsBackground = true, Name = $"prefetch {i}" };
            workers[i].Start();
        }
    }

    /// <summary>How long <see cref="Next"/> has waited in all for batches that were not ready.</summary>
    public TimeSpan Waited { get; private set; }

    /// <summary>Batches handed over.</summary>
    public long Delivered { get; private set; }

    /// <summary>The next batch; null at the end.</summary>
    /// <exception cref="InputException">Too many pictures cannot be used.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled; the batch is still the next one.</exception>
    public PictureBatch? Next(CancellationToken cancellation = default)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        while (pending.Count < options.Ahead && Schedule()) { }

        if (!pending.TryPeek(out var batch))
            return null;
        var began = time.GetTimestamp();
        batch.Completion.Task.WaitAsync(cancellation).GetAwaiter().GetResult();
        Waited += time.GetElapsedTime(began);
        pending.Dequeue();
        // The place is free: what comes behind is begun before this batch is used.
        Schedule();
        Delivered++;
        return batch.Batch;
    }

    /// <summary>Ends the threads, each after the picture it is reading.</summary>
    public void Dispose()
    {
        if (disposed)
            return;
        disposed = true;
        stopping = true;
        slots.CompleteAdding();
        foreach (var worker in workers)
            worker.Join();
        slots.Dispose();
    }

    private bool Schedule()
    {
        var planned = plan.At(cursor);
        if (options.EndEpoch is { } end && planned.Epoch >= end)
            return false;
        cursor = planned.Next;
        var framing = loader.FramingOf(planned.Samples[0].Index);
        var batch = new PendingBatch(
            new PictureBatch(planned.Samples.Count, framing.Width, framing.Height, planned.Next, loader.ReadsPairs)
        );
        pending.Enqueue(batch);
        for (var i = 0; i < planned.Samples.Count; i++)
            slots.Add(new Slot(batch, i, planned.Samples[i]));
        return true;
    }

    private void Work()
    {
        foreach (var slot in slots.GetConsumingEnumerable())
        {
            if (stopping)
                return;
            try
            {
                slot.Batch.Batch.Set(slot.Index, loader.Load(slot.Sample));
                slot.Batch.Done();
            }
            catch (Exception e)
            {
                // Whatever it was, the consumer throws it; a thread that died in silence would leave it waiting.
                slot.Batch.Completion.TrySetException(e);
            }
        }
    }

    private sealed record Slot(PendingBatch Batch, int Index, PlannedSample Sample);

    private sealed class PendingBatch(PictureBatch batch)
    {
        private int missing = batch.Pairs > 0 ? batch.Pairs : batch.Count;

        public PictureBatch Batch { get; } = batch;

        public TaskCompletionSource Completion { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Done()
        {
            if (Interlocked.Decrement(ref missing) == 0)
                Completion.TrySetResult();
        }
    }
}
