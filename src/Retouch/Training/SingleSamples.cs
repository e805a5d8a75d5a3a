using Retouch.Data;
using Retouch.Images;
using Retouch.Torch;
using Retouch.Training.Tasks;

namespace Retouch.Training;

/// <summary>Single samples in batches of pairs, or prior samples, from a separate data set.</summary>
/// <param name="source">Pictures of the data set.</param>
/// <param name="count">Single samples per batch.</param>
/// <param name="seed">Seed of their order and crops.</param>
/// <param name="framing">Crop settings, as for the pairs.</param>
/// <param name="maxBadShare">Maximum fraction of unusable pictures.</param>
/// <param name="rank">Number of this process.</param>
/// <param name="processes">Number of processes that take the batches in turn.</param>
internal sealed class SingleSamples(
    IPictureSource source,
    int count,
    ulong seed,
    Framing framing,
    double maxBadShare,
    int rank = 0,
    int processes = 1
)
{
    // An endless plan: the cursor of the pairs determines the position of the single samples too.
    private readonly BatchPlan _plan = new(
        source.Count,
        new BatchPlanOptions
        {
            BatchSize = count,
            Seed = seed,
            End = EpochEnd.Wrap,
            Rank = rank,
            WorldSize = processes,
        }
    );

    /// <summary>Pictures of the data set.</summary>
    public IPictureSource Source => source;

    /// <summary>Samples per batch.</summary>
    public int Count => count;

    /// <summary>Unusable pictures.</summary>
    public Quarantine Quarantine { get; } = new(source.Count, maxBadShare);

    /// <summary>Starts reading after a number of batches.</summary>
    public Prefetcher After(long batches, int? workers, TimeProvider time) =>
        new(_plan, new SampleLoader(source, _plan, framing, Quarantine), PrefetchOptions.Of(workers, _plan.After(batches)), time);
}

/// <summary>Batches of pairs followed by single samples, or of pictures followed by prior samples.</summary>
/// <param name="pairs">Endless prefetcher of pairs or pictures; disposed with this object.</param>
/// <param name="singles">Endless prefetcher of single or prior samples; disposed with this object.</param>
/// <param name="device">Device of the tensors.</param>
internal sealed class MixedBatches(Prefetcher pairs, Prefetcher singles, Device device) : IBatchSource
{
    /// <inheritdoc/>
    public TimeSpan Waited => pairs.Waited + singles.Waited;

    /// <inheritdoc/>
    public TrainingBatch Next(CancellationToken cancellation)
    {
        const string Ended = "The endless data source has ended.";
        var first = pairs.Next(cancellation) ?? throw new InvalidOperationException(Ended);
        // The pairs have been consumed, so the batch must be completed.
        var second = singles.Next(CancellationToken.None) ?? throw new InvalidOperationException(Ended);
        using var scope = TensorScope.Enter();
        var images = scope.Keep(Ops.Cat([first.ToTensor(), second.ToTensor()], 0).To(device));
        var masks = PictureTensors.OfMasks([.. first.Masks, .. second.Masks], first.Width, first.Height);
        return new TrainingBatch(images, null, [.. first.Samples, .. second.Samples], [.. first.Frames, .. second.Frames], first.Next)
        {
            Pairs = first.Pairs,
            Prior = first.Pairs > 0 ? 0 : second.Count,
            Masks = masks is null ? null : scope.Keep(masks.To(device)),
        };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        pairs.Dispose();
        singles.Dispose();
    }
}
