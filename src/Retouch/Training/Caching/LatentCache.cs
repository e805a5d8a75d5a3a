using System.Runtime.ExceptionServices;
using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Images;
using Retouch.Torch;
using Retouch.Training.Distributed;
using Retouch.Training.Tasks;

namespace Retouch.Training.Caching;

/// <summary>Settings for encoding pictures into a latent cache.</summary>
/// <param name="Loader">Reads pictures, with fixed crops and without flips.</param>
/// <param name="Autoencoder">The encoder.</param>
/// <param name="Device">Device of the autoencoder and of the batches.</param>
/// <param name="Workers">Reader threads.</param>
internal sealed record LatentEncoding(SampleLoader Loader, IAutoencoder Autoencoder, Device Device, int Workers)
{
    /// <summary>Whether batches include pixels, which are then read again for every batch.</summary>
    public bool WithPixels { get; init; }

    /// <summary>On-disk store of the rows; null to keep them in memory.</summary>
    public RowStore? Store { get; init; }

    /// <summary>On-disk store of the masks, if the loader reads them; null to keep them in memory.</summary>
    public RowStore? Masks { get; init; }

    /// <summary>Receives the number of encoded pictures and the total.</summary>
    public Action<int, int>? Progress { get; init; }

    /// <summary>Processes that divide the pictures among themselves, of which rank 0 writes the stores; null for a single one.</summary>
    public World? World { get; init; }

    /// <summary>Pictures encoded at once.</summary>
    public int BatchSize { get; init; } = TrainingRun.EncodedAtOnce;

    // Increment when reading, cropping or encoding of pictures changes.
    private const int Revision = 1;

    /// <summary>Cache key of a store: everything its rows depend on besides the pictures.</summary>
    /// <param name="encoderHash">Hash of the autoencoder.</param>
    /// <param name="framing">Crop settings.</param>
    public static JsonObject Key(string encoderHash, Framing framing) =>
        new()
        {
            ["kind"] = "latents",
            ["revision"] = Revision,
            ["autoencoder"] = encoderHash,
            ["width"] = framing.Width,
            ["height"] = framing.Height,
            ["crop"] = framing.Crop.ToString(),
            ["filter"] = framing.Filter.ToString(),
            ["shrinkOnLoad"] = framing.ShrinkOnLoad,
            ["allowEnlarging"] = framing.AllowEnlarging,
        };
}

/// <summary>
/// Encoder outputs of all pictures of a data set. The cache stores the posterior, not a sample of it: training draws a new latent every
/// time. An unusable picture is replaced by another one; replacements are chosen again in every run and never stored on disk.
/// </summary>
internal sealed class LatentCache : IBatchSource
{
    private const string Moments = "moments";
    private const string Frame = "frame";
    private const int RowsPerFile = 256;

    private readonly BatchPlan _plan;
    private readonly LatentEncoding _encoding;
    private readonly Sample[] _samples;
    private readonly FrameRecord[] _frames;
    private readonly string[] _rows;
    private readonly Dictionary<int, Tensor> _memory;
    private readonly MaskCache? _masks;
    private DataCursor _cursor;

    private LatentCache(
        BatchPlan plan,
        LatentEncoding encoding,
        Sample[] samples,
        FrameRecord[] frames,
        string[] rows,
        Dictionary<int, Tensor> memory,
        MaskCache? masks,
        DataCursor cursor
    )
    {
        (_plan, _encoding, _samples, _frames, _rows, _memory) = (plan, encoding, samples, frames, rows, memory);
        (_masks, _cursor) = (masks, cursor);
    }

    /// <inheritdoc/>
    public TimeSpan Waited => TimeSpan.Zero;

    /// <summary>Encodes all pictures that are not cached.</summary>
    /// <param name="source">Pictures.</param>
    /// <param name="plan">Order of training.</param>
    /// <param name="encoding">Encoding settings.</param>
    /// <param name="start">Position of the first batch.</param>
    /// <param name="cancellation">Stops between batches, in all processes if it is cancelled in one; rows written so far remain on
    /// disk.</param>
    /// <exception cref="InputException">Too many pictures are unusable, or the processes do not share the store.</exception>
    public static LatentCache Encode(
        IPictureSource source,
        BatchPlan plan,
        LatentEncoding encoding,
        DataCursor start,
        CancellationToken cancellation
    )
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var samples = new Sample[plan.Count];
        var frames = new FrameRecord[plan.Count];
        var rows = Enumerable.Range(0, plan.Count).Select(k => $"{source[k].Id}|{source.Stamp(k)}").ToArray();
        var memory = new Dictionary<int, Tensor>();
        var masks = encoding.Loader.ReadsMasks ? new MaskCache(source, encoding.Loader.Framing, encoding.Masks) : null;
        bool Lacks(int k) => encoding.Store?.Has(rows[k]) != true;
        int[] missing = [.. Enumerable.Range(0, plan.Count).Where(k => Lacks(k) || masks?.Lacks(k) == true)];
        var world = encoding.World;
        var shared = world is null ? null : new SharedEncoding(world, encoding.Loader.Quarantine);
        foreach (var group in missing.Chunk(RowsPerFile))
        {
            foreach (var round in group.Chunk(encoding.BatchSize).Chunk(world?.Size ?? 1))
            {
                if (world is null)
                    cancellation.ThrowIfCancellationRequested();
                using var inner = TensorScope.Enter();
                var rank = world?.Rank ?? 0;
                var own = rank < round.Length ? Picked(source, encoding, round[rank], Lacks, masks is not null) : null;
                foreach (var part in shared?.Exchange(own, cancellation) ?? [own!])
                {
                    for (var k = 0; k < part.Chosen.Length; k++)
                    {
                        var index = part.Chosen[k];
                        (samples[index], frames[index]) = (encoding.Loader.Known(new PlannedSample(index, 0)), part.Frames[k]);
                        masks?.Add(index, samples[index], part.Masks[k]);
                    }

                    for (var k = 0; k < part.Encoded.Length; k++)
                        memory[part.Encoded[k]] = part.Moments!.Narrow(0, k, 1).Clone().Escape();
                }

                encoding.Progress?.Invoke(plan.Count - missing.Length + Array.IndexOf(missing, round[^1][^1]) + 1, plan.Count);
            }

            int[] kept = [.. group.Where(k => samples[k].Id == source[k].Id)];
            Keep(encoding.Store, [.. kept.Where(memory.ContainsKey)], rows, frames, memory, world is not { IsMain: false });
            masks?.Keep(kept, world is not { IsMain: false });
        }

        if (world is not null && missing.Length > 0 && encoding.Store is { } written)
        {
            world.Barrier("latents");
            written.Refresh();
            masks?.Refresh();
            int[] unseen = [.. missing.Where(k => !memory.ContainsKey(k) && !written.Has(rows[k]))];
            if (unseen.Length > 0)
                throw new InputException(
                    $"Rank {world.Rank} does not find the {unseen.Length} cached pictures that rank 0 has written to '{written.Folder}': "
                        + "data.cache must be a folder on a file system that all processes share."
                );
        }

        foreach (var known in Enumerable.Range(0, plan.Count).Except(missing).Chunk(RowsPerFile))
            ReadKnown(source, encoding.Store!, known, rows, samples, frames);
        return new LatentCache(plan, encoding, samples, frames, rows, memory, masks, start);
    }

    /// <inheritdoc/>
    public TrainingBatch Next(CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var planned = _plan.At(_cursor);
        _cursor = planned.Next;
        int[] chosen = [.. planned.Samples.Select(static s => s.Index)];
        var moments = Ops.Cat([
            .. chosen.Select(k => _memory.TryGetValue(k, out var row) ? row : _encoding.Store!.Read([_rows[k]], Moments)),
        ]);
        var images = _encoding.WithPixels ? PicturesOf(Read(_encoding, chosen)).To(_encoding.Device) : null;
        return new TrainingBatch(
            images,
            moments.To(_encoding.Device),
            [.. planned.Samples.Select(s => _samples[s.Index].WithDrawnCaption(_plan.SampleSeed(s)))],
            [.. chosen.Select(k => _frames[k])],
            planned.Next
        )
        {
            Masks = _masks?.Of(chosen)?.To(_encoding.Device),
        };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var row in _memory.Values)
            row.Dispose();
        _encoding.Store?.Dispose();
        _masks?.Dispose();
    }

    /// <summary>Reads pictures, and encodes those that are not cached.</summary>
    private static EncodedPictures Picked(
        IPictureSource source,
        LatentEncoding encoding,
        int[] chosen,
        Func<int, bool> lacks,
        bool withMasks
    )
    {
        var loaded = Read(encoding, chosen);
        // A picture with an unusable mask is replaced, even if its latent is known.
        int[] places = [.. Enumerable.Range(0, chosen.Length).Where(k => lacks(chosen[k]) || loaded[k].Sample.Id != source[chosen[k]].Id)];
        var moments =
            places.Length == 0
                ? null
                : encoding.Autoencoder.EncodeMoments(PicturesOf([.. places.Select(k => loaded[k])]).To(encoding.Device)).To(Device.Cpu);
        return new EncodedPictures(
            chosen,
            Array.ConvertAll(loaded, static l => l.Framed.Record),
            Array.ConvertAll(places, k => chosen[k]),
            moments,
            withMasks ? Array.ConvertAll(loaded, static l => l.Mask is { } mask ? PictureTensors.LevelsOf(mask) : null) : []
        );
    }

    private static void Keep(
        RowStore? store,
        int[] chosen,
        string[] rows,
        FrameRecord[] frames,
        Dictionary<int, Tensor> memory,
        bool writes
    )
    {
        if (store is null || chosen.Length == 0)
            return;
        using var scope = TensorScope.Enter();
        long[] cuts = [.. chosen.Select(k => frames[k]).SelectMany(static f => (long[])[f.OriginalWidth, f.OriginalHeight, f.Left, f.Top])];
        if (writes)
            store.Append(
                [.. chosen.Select(k => rows[k])],
                new Dictionary<string, Tensor>(StringComparer.Ordinal)
                {
                    [Moments] = Ops.Cat([.. chosen.Select(k => memory[k])]),
                    [Frame] = Tensor.From(cuts, chosen.Length, 4),
                }
            );
        foreach (var k in chosen)
        {
            memory[k].Dispose();
            memory.Remove(k);
        }
    }

    private static void ReadKnown(IPictureSource source, RowStore store, int[] known, string[] rows, Sample[] samples, FrameRecord[] frames)
    {
        using var scope = TensorScope.Enter();
        var cuts = store.Read([.. known.Select(k => rows[k])], Frame).ToArray<int>();
        for (var k = 0; k < known.Length; k++)
        {
            samples[known[k]] = source[known[k]];
            frames[known[k]] = new FrameRecord(cuts[4 * k], cuts[(4 * k) + 1], cuts[(4 * k) + 2], cuts[(4 * k) + 3], Flipped: false);
        }
    }

    // Crops are fixed and there are no flips, so the epoch of a planned sample does not affect its pixels.
    private static LoadedSample[] Read(LatentEncoding encoding, int[] chosen)
    {
        var loaded = new LoadedSample[chosen.Length];
        try
        {
            Parallel.For(
                0,
                loaded.Length,
                new ParallelOptions { MaxDegreeOfParallelism = encoding.Workers },
                k => loaded[k] = encoding.Loader.Load(new PlannedSample(chosen[k], 0))
            );
        }
        catch (AggregateException e)
        {
            ExceptionDispatchInfo.Throw(e.InnerExceptions[0]);
        }

        return loaded;
    }

    private static Tensor PicturesOf(LoadedSample[] loaded) => PictureTensors.ToTensor([.. loaded.Select(static l => l.Framed.Picture)]);
}
