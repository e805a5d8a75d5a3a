using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Data.Pairs;
using Retouch.Data.Scenes;
using Retouch.Data.Shards;
using Retouch.Data.Tables;
using Retouch.Images;
using Retouch.Torch;
using Retouch.Training.Distributed;
using Retouch.Training.Options;

namespace Retouch.Training;

/// <summary>Data of a run: sources, order of samples, loading, and quarantine.</summary>
internal sealed class TrainingData
{
    private const ulong DataPurpose = 0x64617461;
    private const ulong SinglesPurpose = 0x73696e676c6573;

    private TrainingData(TrainingOptions options, IPictureSource source, IPictureSource? singles, Framing framing, World? world)
    {
        Source = source;
        var batches = new BatchPlanOptions
        {
            BatchSize = options.Batch.Size,
            Seed = SplitMix64.Derive(options.Seed, DataPurpose),
            End = source.Count < options.Batch.Size ? EpochEnd.Wrap : EpochEnd.DropRest,
            Rank = world?.Rank ?? 0,
            WorldSize = world?.Size ?? 1,
        };
        var sizes = options.Data.Buckets?.Sizes(options.Data.Side);
        Plan = sizes is null
            ? new BatchPlan(source.Count, batches)
            : new BatchPlan(Group(source, sizes, options), batches with { End = EpochEnd.DropRest });
        Quarantine = new Quarantine(source.Count, options.Data.MaxBadShare);
        Loader = new SampleLoader(source, Plan, framing, Quarantine) { Sizes = sizes, ReadsMasks = options.Data.Masks is not null };
        if (singles is not null)
        {
            var seed = SplitMix64.Derive(options.Seed, SinglesPurpose);
            var count = options.Data.Prior is { } prior ? prior.Size ?? options.Batch.Size : options.Batch.Extra;
            Singles = new SingleSamples(singles, count, seed, framing, options.Data.MaxBadShare, batches.Rank, batches.WorldSize);
        }
    }

    /// <summary>Pictures or pairs.</summary>
    public IPictureSource Source { get; }

    /// <summary>Assignment of samples to batches.</summary>
    public BatchPlan Plan { get; }

    /// <summary>Loads samples.</summary>
    public SampleLoader Loader { get; }

    /// <summary>Single samples beside pairs, or prior samples beside pictures, or null.</summary>
    public SingleSamples? Singles { get; }

    /// <summary>Unusable pictures of <see cref="Source"/>.</summary>
    public Quarantine Quarantine { get; }

    /// <summary>All training data.</summary>
    public IReadOnlyList<IPictureSource> Sources => Singles is null ? [Source] : [Source, Singles.Source];

    /// <summary>Number of unusable pictures so far.</summary>
    public int Unusable => Quarantine.Pictures.Count + (Singles?.Quarantine.Pictures.Count ?? 0);

    /// <summary>Opens the sources of the options: pictures or pairs, and single or prior samples beside them.</summary>
    /// <param name="options">Resolved options.</param>
    /// <param name="drawn">Folder of prior pictures that the run draws (<see cref="PriorOptions.Count"/>); null without a folder, for a
    /// plan.</param>
    public static (IPictureSource Source, IPictureSource? Singles) Open(TrainingOptions options, string? drawn = null) =>
        (
            OpenSource(options.Data, FramingOf(options)),
            options.Data.Prior is { Count: not null } made ? new PriorPictures(drawn, made, options.Data.Side)
            : options.Data.Prior is { } prior ? OpenPrior(prior)
            : options.Batch.Extra > 0 ? OpenFolder(options.Data)
            : null
        );

    /// <summary>Creates the data of a run.</summary>
    /// <param name="options">Resolved options.</param>
    /// <param name="source">Pictures or pairs, with labels of the task.</param>
    /// <param name="singles">Single samples beside pairs, or null.</param>
    /// <param name="world">Processes that share the batches; null for a single one.</param>
    public static TrainingData Of(TrainingOptions options, IPictureSource source, IPictureSource? singles, World? world = null) =>
        new(options, source, singles, FramingOf(options), world);

    /// <summary>First pictures, [n, 3, height, width] in [−1, 1].</summary>
    /// <param name="most">Maximum n.</param>
    public Tensor First(int most) =>
        PictureTensors.ToTensor([
            .. Enumerable.Range(0, Math.Min(most, Source.Count)).Select(k => Loader.Load(new PlannedSample(k, 0)).Framed.Picture),
        ]);

    /// <summary>Writes the quarantine to a file, unless it is empty.</summary>
    public void SaveQuarantine(string path)
    {
        foreach (var quarantine in (Quarantine?[])[Quarantine, Singles?.Quarantine])
        {
            if (quarantine?.Pictures.Count > 0)
                quarantine.Save(path);
        }
    }

    private static Framing FramingOf(TrainingOptions options) =>
        new()
        {
            Width = options.Data.Side,
            Height = options.Data.Side,
            Crop = options.Data.Crop,
            FlipProbability = options.Data.Flip,
            AllowEnlarging = options.Data.AllowEnlarging,
            // JPEG decoding can shrink a winner but not a loser in another format: the two would differ by more than their content.
            ShrinkOnLoad = options.Data.Pairs is null,
        };

    private static ImageFolder OpenFolder(DataOptions data) =>
        ImageFolder.OpenSplit(data.Folder!, data.Split, readsMasks: data.Masks is not null);

    private static IPictureSource OpenPrior(PriorOptions prior)
    {
        var source = ImageFolder.OpenSplit(prior.Folder!, null);
        return prior.Prompt is { } prompt ? RecaptionedPictures.With(source, prompt) : source;
    }

    private static IPictureSource OpenSource(DataOptions data, Framing framing)
    {
        const long CacheBytes = 1L << 30;
        if (data.Pairs is { } pairs)
            return PairSources.Open(pairs, data.PairConflicts);
        if (data.Folder is not null)
            return OpenFolder(data);
        if (data.Shards is { } shards)
            return TarShards.OpenSplit(shards, data.Split, readsMasks: data.Masks is not null);
        if (data.Parquet is { } tables)
            return ParquetPictures.Open(tables, data.Split, data.Columns);
        // Drawing a scene is slower than a small training step, so each scene is drawn once.
        return new CachedPictures(
            new ProceduralScenes(data.SceneSeed!.Value, data.Side, data.SceneCount!.Value),
            framing.MinSide,
            CacheBytes
        );
    }

    /// <summary>Bucket of every picture. An unreadable picture goes to the square bucket; loading reports the reason.</summary>
    private static int[] Group(IPictureSource source, IReadOnlyList<BucketSize> sizes, TrainingOptions options)
    {
        var pictures = new (int Width, int Height)[source.Count];
        Parallel.For(
            0,
            pictures.Length,
            new ParallelOptions { MaxDegreeOfParallelism = options.Data.ReadersAtOnce },
            k =>
            {
                try
                {
                    pictures[k] = source.SizeOf(k);
                }
                catch (InputException)
                {
                    pictures[k] = (options.Data.Side, options.Data.Side);
                }
            }
        );
        return Buckets.Assign(pictures, sizes, options.Data.AllowEnlarging, options.Batch.Size);
    }
}
