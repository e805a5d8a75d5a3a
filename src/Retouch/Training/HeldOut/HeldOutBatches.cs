using System.Runtime.ExceptionServices;
using Retouch.Autoencoders;
using Retouch.Data;
using Retouch.Images;
using Retouch.Torch;
using Retouch.Training.Options;
using Retouch.Training.Tasks;

namespace Retouch.Training.HeldOut;

/// <summary>Batches of the held-out samples, in the order of their source; the last can be smaller. Encoder outputs are kept.</summary>
internal sealed class HeldOutBatches : IDisposable
{
    private const ulong PlanPurpose = 0x68656C64;
    private readonly SampleLoader _loader;
    private readonly Device _device;
    private readonly int _workers;
    private readonly IAutoencoder? _encoder;
    private readonly bool _withPixels;
    private readonly Dictionary<int, (Tensor Moments, LoadedSample[] Samples)> _encoded = [];

    /// <param name="source">Held-out samples, with labels of the task.</param>
    /// <param name="framing">Framing of the training; here crops are central and there are no flips.</param>
    /// <param name="options">Resolved options.</param>
    /// <param name="device">Device of the batches.</param>
    /// <param name="encoder">Encoder of the pictures; null to leave pictures as pixels.</param>
    public HeldOutBatches(IPictureSource source, Framing framing, TrainingOptions options, Device device, IAutoencoder? encoder)
    {
        Source = source;
        (_workers, _device, _encoder) = (options.Data.ReadersAtOnce, device, encoder);
        _withPixels = options.Objective is not { NeedsImages: false };
        var plan = new BatchPlan(
            source.Count,
            new BatchPlanOptions
            {
                BatchSize = options.Batch.Size,
                Seed = SplitMix64.Derive(options.Seed, PlanPurpose),
                Shuffle = false,
                End = EpochEnd.Short,
            }
        );
        _loader = new SampleLoader(
            source,
            plan,
            framing with
            {
                Crop = CropMode.Center,
                FlipProbability = 0,
            },
            new Quarantine(source.Count, options.Data.MaxBadShare)
        )
        {
            ReadsMasks = options.Data.Masks is not null,
        };
        Chunks = [.. Enumerable.Range(0, source.Count).Chunk(options.Batch.Size)];
    }

    /// <summary>Held-out samples.</summary>
    public IPictureSource Source { get; }

    /// <summary>Indices of the samples of each batch.</summary>
    public IReadOnlyList<int[]> Chunks { get; }

    /// <summary>A batch on the device, in the current scope.</summary>
    /// <param name="index">Index of the batch.</param>
    public TrainingBatch this[int index]
    {
        get
        {
            using var scope = TensorScope.Enter();
            if (_encoder is null)
                return Batch(Read(index), null, true, scope);
            if (!_encoded.TryGetValue(index, out var kept))
            {
                using var quiet = Autograd.NoGrad();
                var read = Read(index);
                var moments = _encoder.EncodeMoments(Pixels(read).To(_device)).To(Device.Cpu).Escape();
                // Pixels are read again if a term needs them: only their encoding fits into memory.
                kept = (moments, Array.ConvertAll(read, static r => r with { Framed = r.Framed with { Picture = Nothing } }));
                _encoded.Add(index, kept);
            }

            return Batch(_withPixels ? Read(index) : kept.Samples, kept.Moments, _withPixels, scope);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (moments, _) in _encoded.Values)
            moments.Dispose();
    }

    private static Picture Nothing { get; } = Picture.Filled(1, 1, Rgb.White);

    private TrainingBatch Batch(LoadedSample[] loaded, Tensor? moments, bool withPixels, TensorScope scope)
    {
        LoadedSample[] losers = [.. loaded.Select(static l => l.Loser).OfType<LoadedSample>()];
        LoadedSample[] all = [.. loaded, .. losers];
        var masks = PictureTensors.OfMasks([.. all.Select(static l => l.Mask)], _loader.Framing.Width, _loader.Framing.Height);
        return new TrainingBatch(
            withPixels ? scope.Keep(Pixels(all).To(_device)) : null,
            moments is null ? null : scope.Keep(moments.To(_device).Detach()),
            [.. all.Select(static l => l.Sample)],
            [.. all.Select(static l => l.Framed.Record)],
            default
        )
        {
            Pairs = losers.Length,
            Masks = masks is null ? null : scope.Keep(masks.To(_device)),
        };
    }

    private LoadedSample[] Read(int index)
    {
        var chunk = Chunks[index];
        var loaded = new LoadedSample[chunk.Length];
        try
        {
            // Always the first epoch: the same caption of several, the same replacement of an unusable picture.
            Parallel.For(
                0,
                chunk.Length,
                new ParallelOptions { MaxDegreeOfParallelism = _workers },
                k => loaded[k] = _loader.Load(new PlannedSample(chunk[k], 0))
            );
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }

        return loaded;
    }

    private static Tensor Pixels(LoadedSample[] loaded) => PictureTensors.ToTensor([.. loaded.Select(static l => l.Framed.Picture)]);
}
