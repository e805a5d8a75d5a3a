using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Data.Pairs;
using Retouch.Data.Tables;
using Retouch.Images;

namespace Retouch.Training.Options;

/// <summary>Training data.</summary>
public sealed record DataOptions
{
    internal const int DefaultScenes = 4000;

    /// <summary>Folder of pictures (class subfolders, .txt sidecars, metadata.jsonl). Default: procedural scenes.</summary>
    public string? Folder { get; init; }

    /// <summary>
    /// Tar shards in webdataset layout: files, folders, or names such as shard-{000000..000007}.tar; instead of a folder.
    /// </summary>
    public IReadOnlyList<string>? Shards { get; init; }

    /// <summary>
    /// Parquet files of pictures, as the datasets library writes them: files, folders, or names such as data/train-*.parquet; instead of a
    /// folder.
    /// </summary>
    public IReadOnlyList<string>? Parquet { get; init; }

    /// <summary>Columns of <see cref="Parquet"/>. Default: the usual names.</summary>
    public ParquetColumns? Columns { get; init; }

    /// <summary>
    /// Masks that weigh the loss, beside the pictures of a folder or shards: NAME_mask.png, NAME-masklabel.png, KEY.mask.png, or the
    /// column mask of metadata.jsonl. Default: masks are skipped.
    /// </summary>
    public MaskOptions? Masks { get; init; }

    /// <summary>Prior preservation (DreamBooth): prior pictures in every batch. Default: none.</summary>
    public PriorOptions? Prior { get; init; }

    /// <summary>Shuffled and dropped tags of captions. Default: captions as they are.</summary>
    public CaptionOptions? Captions { get; init; }

    /// <summary>
    /// Aspect-ratio buckets: sizes with about the area of size x size; each batch has one size. Default: the square only.
    /// </summary>
    public BucketOptions? Buckets { get; init; }

    /// <summary>Split of a folder, shards or Parquet files, if they have splits: train, validation or test. Default: train.</summary>
    public DataSplit? Split { get; init; }

    /// <summary>
    /// Pairs of a winner and a loser: a metadata.jsonl or its folder, or Parquet files; for objective.preference. An additional
    /// data.folder provides single samples (batch.extra).
    /// </summary>
    public string? Pairs { get; init; }

    /// <summary>Handling of ties and contradictions among pairs: skip (drop both), keep (keep contradictions) or refuse.</summary>
    public PairConflicts PairConflicts { get; init; }

    /// <summary>Procedural scenes per epoch, at least 1; only without a folder.</summary>
    [Bounds(AtLeast = 1)]
    public int? SceneCount { get; init; }

    /// <summary>Seed of the procedural scenes; only without a folder.</summary>
    public ulong? SceneSeed { get; init; }

    /// <summary>Side of the square pictures in pixels, from 8 to 8192. Default: the model's native size.</summary>
    [Bounds(AtLeast = 8, AtMost = 8192)]
    public int? Size { get; init; }

    /// <summary>Whether the data are procedural scenes.</summary>
    public bool IsScenes => Folder is null && Shards is null && Parquet is null && Pairs is null;

    /// <summary><see cref="Size"/> of resolved options (<see cref="TrainingOptions.Resolve"/>).</summary>
    public int Side => Size ?? throw new InvalidOperationException("The options are not resolved.");

    /// <summary>Crop position: center or random.</summary>
    public CropMode Crop { get; init; } = CropMode.Center;

    /// <summary>Probability of a horizontal flip, in [0, 1].</summary>
    [Bounds(AtLeast = 0, AtMost = 1)]
    public double Flip { get; init; }

    /// <summary>Upscale pictures smaller than the size.</summary>
    public bool AllowEnlarging { get; init; }

    /// <summary>Maximum fraction of unusable pictures before the run stops, in [0, 1].</summary>
    [Bounds(AtLeast = 0, AtMost = 1)]
    public double MaxBadShare { get; init; } = Quarantine.DefaultMaxShare;

    /// <summary>Threads that read pictures, from 1 to 256. Default: 1, and one more whenever training waits for pictures, up to the number
    /// of processors (at most 16).</summary>
    [Bounds(AtLeast = 1, AtMost = 256)]
    public int? Workers { get; init; }

    /// <summary>Threads of work that reads all pictures at once.</summary>
    internal int ReadersAtOnce => Workers ?? Environment.ProcessorCount;

    /// <summary>Encode every picture once before training and keep latents in memory; requires crop center and flip 0.</summary>
    public bool CacheLatents { get; init; }

    /// <summary>
    /// Folder that keeps latents and masks (with cacheLatents), encoded prompts and precomputed reference errors for later runs. Default:
    /// this run only.
    /// </summary>
    public string? Cache { get; init; }

    internal void Validate(Requirements check)
    {
        check.Members(this);
        var isGiven = !IsScenes;
        check.That(
            new object?[] { Folder, Shards, Parquet }.Count(static s => s is not null) <= 1,
            "data.folder, data.shards and data.parquet exclude each other; give one of them"
        );
        check.That(
            Split is null || Folder is not null || Shards is not null || Parquet is not null,
            "data.split has no effect without data.folder, data.shards or data.parquet; leave it out"
        );
        check.That(Parquet is null or { Count: > 0 }, "data.parquet is empty; name at least one file or leave it out");
        check.That(Parquet?.All(static s => !string.IsNullOrWhiteSpace(s)) != false, "data.parquet has an empty name");
        check.That(Columns is null || Parquet is not null, "data.columns has no effect without data.parquet; leave it out");
        check.That(Shards is null or { Count: > 0 }, "data.shards is empty; name at least one shard or leave it out");
        check.That(Shards?.All(static s => !string.IsNullOrWhiteSpace(s)) != false, "data.shards has an empty name");
        check.That(
            !isGiven || (SceneCount is null && SceneSeed is null),
            "data.sceneCount and data.sceneSeed are for procedural scenes; they have no effect with data.folder, data.shards, "
                + "data.parquet or data.pairs"
        );
        check.That(
            isGiven || (!AllowEnlarging && Crop == CropMode.Center && MaxBadShare == Quarantine.DefaultMaxShare),
            "data.allowEnlarging, data.crop and data.maxBadShare are for data.folder, data.shards, data.parquet and data.pairs; "
                + "they have no effect on procedural scenes, which are drawn at data.size"
        );
        check.That(
            Buckets is null || (isGiven && !CacheLatents),
            "data.buckets needs data.folder, data.shards, data.parquet or data.pairs, and does not support data.cacheLatents"
        );
        check.That(
            Pairs is null || (Shards is null && Parquet is null),
            "data.pairs excludes data.shards and data.parquet; single samples for batch.extra come from data.folder"
        );
        if (Masks is not null)
            check.Under(nameof(Masks)).Members(Masks);
        check.That(
            Masks is null || (Pairs is null && (Folder is not null || Shards is not null)),
            "data.masks needs data.folder or data.shards, without data.pairs"
        );
        Prior?.Validate(check.Under(nameof(Prior)));
        check.That(
            Prior is null || (Pairs is null && Buckets is null && !CacheLatents),
            "data.prior reads pictures of one size beside those of the data: it does not support data.pairs, data.buckets or "
                + "data.cacheLatents"
        );
        Captions?.Validate(check.Under(nameof(Captions)));
        if (Size is { } side)
            Buckets?.Validate(side, check.Under(nameof(Buckets)));
        check.That(
            Pairs is not null || PairConflicts == PairConflicts.Skip,
            "data.pairConflicts has no effect without data.pairs; leave it out"
        );
        check.That(Pairs is null || !CacheLatents, "data.cacheLatents keeps one latent per sample; it does not support data.pairs");
        check.That(
            !CacheLatents || (Flip == 0 && Crop == CropMode.Center),
            "data.cacheLatents keeps one latent per picture: it needs data.crop center and data.flip 0"
        );
    }
}

/// <summary>Aspect-ratio buckets with about the area of the square of data.size.</summary>
public sealed record BucketOptions
{
    /// <summary>Step of the sides in pixels, from 8 to 1024.</summary>
    [Bounds(AtLeast = 8, AtMost = 1024)]
    public int Step { get; init; } = 64;

    /// <summary>Shortest side in pixels, from 8 to data.size. Default: half of data.size.</summary>
    public int? MinSide { get; init; }

    /// <summary>Longest side in pixels, from data.size to 8192. Default: twice data.size.</summary>
    public int? MaxSide { get; init; }

    /// <summary>Sizes of the buckets.</summary>
    /// <param name="side">data.size.</param>
    internal IReadOnlyList<BucketSize> Sizes(int side) =>
        Retouch.Data.Buckets.Sizes(side, Step, MinSide ?? Math.Max(side / 2, 1), MaxSide ?? 2 * side);

    internal void Validate(int side, Requirements check)
    {
        check.Members(this);
        check.That(
            MinSide is null || (MinSide >= 8 && MinSide <= side),
            nameof(MinSide),
            $"is {MinSide}; it must lie between 8 and data.size, {side}"
        );
        check.That(
            MaxSide is null || (MaxSide >= side && MaxSide <= 8192),
            nameof(MaxSide),
            $"is {MaxSide}; it must lie between data.size, {side}, and 8192"
        );
        check.That(Step <= side, nameof(Step), $"is {Step}, more than data.size, {side}; no size would fit");
    }
}
