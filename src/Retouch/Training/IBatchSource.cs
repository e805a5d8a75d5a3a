using Retouch.Data;
using Retouch.Torch;
using Retouch.Training.Tasks;

namespace Retouch.Training;

/// <summary>Delivers batches in the order of the plan.</summary>
public interface IBatchSource : IDisposable
{
    /// <summary>How long the trainer has waited for data.</summary>
    TimeSpan Waited { get; }

    /// <summary>The next batch, its tensors on the trainer's device and in the open scope.</summary>
    TrainingBatch Next(CancellationToken cancellation);
}

/// <summary>Pictures read ahead on threads of their own.</summary>
/// <param name="prefetcher">Reads without end; disposed with this.</param>
/// <param name="device">Where tensors go.</param>
public sealed class PictureBatches(Prefetcher prefetcher, Device device) : IBatchSource
{
    /// <inheritdoc/>
    public TimeSpan Waited => prefetcher.Waited;

    /// <inheritdoc/>
    public TrainingBatch Next(CancellationToken cancellation)
    {
        var batch =
            prefetcher.Next(cancellation) ?? throw new InvalidOperationException("The data has ended, but training reads on and on.");
        return new TrainingBatch(batch.ToTensor().To(device), null, batch.Samples, batch.Frames, batch.Next) { Pairs = batch.Pairs };
    }

    /// <inheritdoc/>
    public void Dispose() => prefetcher.Dispose();
}
