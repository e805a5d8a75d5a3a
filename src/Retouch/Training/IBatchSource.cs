using Retouch.Data;
using Retouch.Torch;
using Retouch.Training.Tasks;

namespace Retouch.Training;

/// <summary>Source of batches, in the order of the plan.</summary>
public interface IBatchSource : IDisposable
{
    /// <summary>Total time that the trainer has waited for data.</summary>
    TimeSpan Waited { get; }

    /// <summary>Next batch, with tensors on the trainer's device and in the current scope.</summary>
    TrainingBatch Next(CancellationToken cancellation);
}

/// <summary>Pictures prefetched on background threads.</summary>
/// <param name="prefetcher">Endless prefetcher; disposed with this object.</param>
/// <param name="device">Device of the tensors.</param>
public sealed class PictureBatches(Prefetcher prefetcher, Device device) : IBatchSource
{
    /// <inheritdoc/>
    public TimeSpan Waited => prefetcher.Waited;

    /// <inheritdoc/>
    public TrainingBatch Next(CancellationToken cancellation)
    {
        var batch = prefetcher.Next(cancellation) ?? throw new InvalidOperationException("The endless data source has ended.");
        return new TrainingBatch(batch.ToTensor().To(device), null, batch.Samples, batch.Frames, batch.Next)
        {
            Pairs = batch.Pairs,
            Masks = batch.ToMasks()?.To(device),
        };
    }

    /// <inheritdoc/>
    public void Dispose() => prefetcher.Dispose();
}
