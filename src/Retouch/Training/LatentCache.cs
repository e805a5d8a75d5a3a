using System.Runtime.ExceptionServices;
using Retouch.Autoencoders;
using Retouch.Data;
using Retouch.Images;
using Retouch.Torch;
using Retouch.Training.Tasks;

namespace Retouch.Training;

/// <summary>
/// The encoder's output for every picture of the data, in memory. It is the posterior that is kept, not a sample of it, so training still draws a fresh latent each time.
/// </summary>
public sealed class LatentCache : IBatchSource
{
    private readonly BatchPlan _plan;
    private readonly Device _device;
    private readonly Tensor _moments;
    private readonly Sample[] _samples;
    private readonly FrameRecord[] _frames;
    private readonly Func<int[], Tensor>? _pixels;
    private DataCursor _cursor;

    private LatentCache(BatchPlan plan, Device device, Tensor moments, Sample[] samples, FrameRecord[] frames, Func<int[], Tensor>? pixels, DataCursor cursor)
    {
        _plan = plan;
        _device = device;
        _moments = moments;
        _samples = samples;
        _frames = frames;
        _pixels = pixels;
        _cursor = cursor;
    }

    /// <inheritdoc/>
    public TimeSpan Waited => TimeSpan.Zero;

    /// <summary>Encodes all pictures once.</summary>
    /// <param name="plan">The order of training.</param>
    /// <param name="loader">Reads pictures.</param>
    /// <param name="autoencoder">Encodes them; where its tensors are, batches will be.</param>
    /// <param name="device">Where batches go.</param>
    /// <param name="start">Where training begins.</param>
    /// <param name="workers">Threads that read pictures.</param>
    /// <param name="withPixels">Whether batches hold the pictures too, which are then read anew for every batch.</param>
    /// <param name="cancellation">Stops between batches.</param>
    public static LatentCache Encode(
        BatchPlan plan, SampleLoader loader, IAutoencoder autoencoder, Device device, DataCursor start, int workers, bool withPixels, CancellationToken cancellation)
    {
        const int Chunk = 16;
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var samples = new Sample[plan.Count];
        var frames = new FrameRecord[plan.Count];
        var parts = new List<Tensor>();
        for (var first = 0; first < plan.Count; first += Chunk)
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = TensorScope.Enter();
            var loaded = Read(loader, [.. Enumerable.Range(first, Math.Min(Chunk, plan.Count - first))], workers);
            for (var k = 0; k < loaded.Length; k++)
                (samples[first + k], frames[first + k]) = (loaded[k].Sample, loaded[k].Framed.Record);
            var images = PicturesOf(loaded);
            parts.Add(inner.Keep(autoencoder.EncodeMoments(images.To(device)).To(Device.Cpu)));
        }

        Func<int[], Tensor>? pixels = withPixels ? chosen => PicturesOf(Read(loader, chosen, workers)) : null;
        return new LatentCache(plan, device, Ops.Cat([.. parts], 0).Escape(), samples, frames, pixels, start);
    }

    /// <inheritdoc/>
    public TrainingBatch Next(CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var planned = _plan.At(_cursor);
        _cursor = planned.Next;
        int[] chosen = [.. planned.Samples.Select(static s => s.Index)];
        var moments = _moments.IndexSelect(0, Tensor.From(Array.ConvertAll(chosen, static k => (long)k)));
        return new TrainingBatch(_pixels?.Invoke(chosen).To(_device), moments.To(_device), [.. chosen.Select(k => _samples[k])], [.. chosen.Select(k => _frames[k])], planned.Next);
    }

    /// <inheritdoc/>
    public void Dispose() => _moments.Dispose();

    // Crops are fixed and nothing is mirrored, so that the epoch of a planned sample makes no difference to its pixels.
    private static LoadedSample[] Read(SampleLoader loader, int[] chosen, int workers)
    {
        var loaded = new LoadedSample[chosen.Length];
        try
        {
            Parallel.For(0, loaded.Length, new ParallelOptions { MaxDegreeOfParallelism = workers }, k => loaded[k] = loader.Load(new PlannedSample(chosen[k], 0)));
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }

        return loaded;
    }

    private static Tensor PicturesOf(LoadedSample[] loaded) => PictureTensors.ToTensor([.. loaded.Select(static l => l.Framed.Picture)]);
}
