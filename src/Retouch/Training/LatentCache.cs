using System.Runtime.ExceptionServices;
using Retouch.Autoencoders;
using Retouch.Data;
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
    private DataCursor _cursor;

    private LatentCache(BatchPlan plan, Device device, Tensor moments, Sample[] samples, DataCursor cursor)
    {
        _plan = plan;
        _device = device;
        _moments = moments;
        _samples = samples;
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
    /// <param name="cancellation">Stops between batches.</param>
    public static LatentCache Encode(
        BatchPlan plan, SampleLoader loader, IAutoencoder autoencoder, Device device, DataCursor start, int workers, CancellationToken cancellation)
    {
        const int Chunk = 16;
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var samples = new Sample[plan.Count];
        var parts = new List<Tensor>();
        for (var first = 0; first < plan.Count; first += Chunk)
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = TensorScope.Enter();
            var loaded = new LoadedSample[Math.Min(Chunk, plan.Count - first)];
            Read(loaded, index => loader.Load(new PlannedSample(first + index, 0)), workers);
            for (var k = 0; k < loaded.Length; k++)
                samples[first + k] = loaded[k].Sample;
            var images = Images.PictureTensors.ToTensor([.. loaded.Select(static l => l.Framed.Picture)]);
            parts.Add(inner.Keep(autoencoder.EncodeMoments(images.To(device)).To(Device.Cpu)));
        }

        return new LatentCache(plan, device, Ops.Cat([.. parts], 0).Escape(), samples, start);
    }

    /// <inheritdoc/>
    public TrainingBatch Next(CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var planned = _plan.At(_cursor);
        _cursor = planned.Next;
        var chosen = planned.Samples.Select(s => _samples[s.Index]).ToArray();
        var moments = _moments.IndexSelect(0, Tensor.From(planned.Samples.Select(static s => (long)s.Index).ToArray()));
        return new TrainingBatch(null, moments.To(_device), [.. chosen.Select(static s => s.Label)], [.. chosen.Select(static s => s.Id)], planned.Next);
    }

    /// <inheritdoc/>
    public void Dispose() => _moments.Dispose();

    private static void Read(LoadedSample[] into, Func<int, LoadedSample> load, int workers)
    {
        try
        {
            Parallel.For(0, into.Length, new ParallelOptions { MaxDegreeOfParallelism = workers }, k => into[k] = load(k));
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }
    }
}
