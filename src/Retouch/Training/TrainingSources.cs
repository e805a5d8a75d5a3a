using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Data.Pairs;
using Retouch.Data.Scenes;
using Retouch.Data.Shards;
using Retouch.Training.Options;

namespace Retouch.Training;

/// <summary>Opens what a run is trained on.</summary>
internal static class TrainingSources
{
    /// <summary>The pictures or pairs that options name.</summary>
    /// <param name="data">Resolved.</param>
    /// <param name="framing">What every reader asks for.</param>
    public static IPictureSource Open(DataOptions data, Framing framing)
    {
        const long CacheBytes = 1L << 30;
        if (data.Pairs is { } pairs)
            return PairFolder.Open(pairs, data.PairConflicts);
        if (data.Folder is { } folder)
            return ImageFolder.Open(folder);
        if (data.Shards is { } shards)
            return TarShards.Open(shards);
        // Drawing a scene costs more than a small training step; each is drawn once.
        return new CachedPictures(
            new ProceduralScenes(data.SceneSeed!.Value, data.Size, data.SceneCount!.Value),
            framing.MinSide,
            CacheBytes
        );
    }

    /// <summary>The bucket of every picture. One that cannot be read goes to the square; reading it will say why.</summary>
    public static int[] Group(IPictureSource source, IReadOnlyList<BucketSize> sizes, TrainingOptions options)
    {
        var pictures = new (int Width, int Height)[source.Count];
        Parallel.For(
            0,
            pictures.Length,
            new ParallelOptions { MaxDegreeOfParallelism = options.Data.Workers },
            k =>
            {
                try
                {
                    pictures[k] = source.SizeOf(k);
                }
                catch (InputException)
                {
                    pictures[k] = (options.Data.Size, options.Data.Size);
                }
            }
        );
        return Buckets.Assign(pictures, sizes, options.Data.AllowEnlarging, options.Batch.Size);
    }
}
