using Retouch.Data;
using Retouch.Torch;
using Retouch.Training.Tasks;

namespace Retouch.Training;

/// <summary>Single samples that stand beside the pairs of a batch, from a data set of their own.</summary>
/// <param name="source">Their pictures.</param>
/// <param name="count">How many a batch.</param>
/// <param name="seed">Decides their order and crops.</param>
/// <param name="framing">As for the pairs.</param>
/// <param name="maxBadShare">Share of them that may be unusable.</param>
internal sealed class SingleSamples(IPictureSource source, int count, ulong seed, Framing framing, double maxBadShare)
{
    // It wraps, so that the pairs' cursor says where these go on too.
    private readonly BatchPlan _plan = new(
        source.Count,
        new BatchPlanOptions
        {
            BatchSize = count,
            Seed = seed,
            End = EpochEnd.Wrap,
        }
    );

    /// <summary>Their pictures.</summary>
    public IPictureSource Source => source;

    /// <summary>Those that cannot be used.</summary>
    public Quarantine Quarantine { get; } = new(source.Count, maxBadShare);

    /// <summary>Reads on behind a number of batches.</summary>
    public Prefetcher After(long batches, int workers, TimeProvider time) =>
        new(
            _plan,
            new SampleLoader(source, _plan, framing, Quarantine),
            new PrefetchOptions { Workers = workers, Start = _plan.After(batches) },
            time
        );
}

/// <summary>Pairs, with single samples behind them in each batch.</summary>
/// <param name="pairs">Reads without end; disposed with this.</param>
/// <param name="singles">Likewise.</param>
/// <param name="device">Where tensors go.</param>
internal sealed class MixedBatches(Prefetcher pairs, Prefetcher singles, Device device) : IBatchSource
{
    /// <inheritdoc/>
    public TimeSpan Waited => pairs.Waited + singles.Waited;

    /// <inheritdoc/>
    public TrainingBatch Next(CancellationToken cancellation)
    {
        const string Ended = "The data has ended, but training reads on and on.";
        var first = pairs.Next(cancellation) ?? throw new InvalidOperationException(Ended);
        // The pairs are taken: the batch has to be finished.
        var second = singles.Next(CancellationToken.None) ?? throw new InvalidOperationException(Ended);
        using var scope = TensorScope.Enter();
        var images = scope.Keep(Ops.Cat([first.ToTensor(), second.ToTensor()], 0).To(device));
        return new TrainingBatch(images, null, [.. first.Samples, .. second.Samples], [.. first.Frames, .. second.Frames], first.Next)
        {
            Pairs = first.Pairs,
        };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        pairs.Dispose();
        singles.Dispose();
    }
}
