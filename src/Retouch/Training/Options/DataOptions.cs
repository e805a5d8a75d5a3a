using System.ComponentModel;
using Retouch.Data;
using Retouch.Data.Pairs;
using Retouch.Images;

namespace Retouch.Training.Options;

/// <summary>The pictures.</summary>
public sealed record DataOptions
{
    internal const int DefaultScenes = 4000;

    /// <summary>A folder of pictures; null for the procedural scenes.</summary>
    [Description("A folder of pictures (class subfolders, .txt sidecars, metadata.jsonl); leave it out for procedural scenes.")]
    public string? Folder { get; init; }

    /// <summary>
    /// Tar files in webdataset's layout, folders of them, or names with a range in braces; instead of <see cref="Folder"/>.
    /// </summary>
    [Description(
        "Tar shards in webdataset's layout: files, folders of them, or names such as shard-{000000..000007}.tar; instead of a folder."
    )]
    public IReadOnlyList<string>? Shards { get; init; }

    /// <summary>Sizes of several shapes instead of the square; null for the square alone.</summary>
    [Description("Sizes of several shapes and about the area of size x size; each batch is of one of them.")]
    public BucketOptions? Buckets { get; init; }

    /// <summary>
    /// Which split of <see cref="Folder"/> or <see cref="Shards"/> is trained on; null: train where they have it, else everything.
    /// </summary>
    [Description("Which split of a folder or shards is used, where they have folders for them: train, validation or test; default: train.")]
    public DataSplit? Split { get; init; }

    /// <summary>
    /// A list of pairs of a winner and a loser, or the folder with its metadata.jsonl; for objective.preference. A folder beside it gives
    /// single samples (batch.extra).
    /// </summary>
    [Description(
        "Pairs of a winner and a loser: a metadata.jsonl or its folder; for objective.preference. data.folder beside it gives "
            + "single samples (batch.extra)."
    )]
    public string? Pairs { get; init; }

    /// <summary>What becomes of ties and contradictions among the pairs.</summary>
    [Description("What becomes of ties and contradictions among the pairs: skip (both), keep (contradictions stay) or refuse.")]
    public PairConflicts PairConflicts { get; init; }

    /// <summary>How many procedural scenes there are; only without a folder.</summary>
    [Description("Procedural scenes in an epoch; only without a folder.")]
    public int? SceneCount { get; init; }

    /// <summary>The procedural scenes' seed; only without a folder.</summary>
    [Description("Seed of the procedural scenes; only without a folder.")]
    public ulong? SceneSeed { get; init; }

    /// <summary>Side of the square pictures, in pixels.</summary>
    [Description("Side of the square pictures in pixels.")]
    public int Size { get; init; } = 64;

    /// <summary>Where the crop is taken.</summary>
    [Description("Where the crop is taken: center or random.")]
    public CropMode Crop { get; init; } = CropMode.Center;

    /// <summary>The chance of a mirrored picture.</summary>
    [Description("Chance that a picture is mirrored.")]
    public double Flip { get; init; }

    /// <summary>Whether pictures smaller than the size are enlarged.</summary>
    [Description("Enlarge pictures that do not cover the size.")]
    public bool AllowEnlarging { get; init; }

    /// <summary>Share of pictures that may be unreadable.</summary>
    [Description("Share of pictures that may be unreadable before the run stops.")]
    public double MaxBadShare { get; init; } = Quarantine.DefaultMaxShare;

    /// <summary>Threads that read pictures.</summary>
    [Description("Threads that read pictures.")]
    public int Workers { get; init; } = 1;

    /// <summary>Encode every picture once before training and keep the latents in memory; needs fixed crops and no mirroring.</summary>
    [Description("Encode every picture once and train on the latents kept in memory.")]
    public bool CacheLatents { get; init; }

    /// <summary>
    /// A folder in which encoded pictures, prompts and a reference's precomputed errors are kept for later runs; null keeps them for this
    /// run alone.
    /// </summary>
    [Description(
        "Folder in which latents (with cacheLatents), encoded prompts and a reference's precomputed errors are kept for later "
            + "runs; without it they serve one run."
    )]
    public string? Cache { get; init; }

    internal void Validate(Action<bool, string> require)
    {
        require(Size is >= 8 and <= 8192, $"data.size is {Size}; it lies between 8 and 8192");
        require(Flip is >= 0 and <= 1, $"data.flip is {Flip}; it lies between 0 and 1");
        require(MaxBadShare is >= 0 and <= 1, $"data.maxBadShare is {MaxBadShare}; it lies between 0 and 1");
        require(Workers is >= 1 and <= 256, $"data.workers is {Workers}; it lies between 1 and 256");
        var isGiven = Folder is not null || Shards is not null || Pairs is not null;
        require(Folder is null || Shards is null, "data.folder and data.shards name two sources; give one of them");
        require(
            Split is null || Folder is not null || Shards is not null,
            "data.split is for data.folder and data.shards; it would do nothing"
        );
        require(Shards is null or { Count: > 0 }, "data.shards is empty; name at least one shard or leave it out");
        require(Shards?.All(static s => !string.IsNullOrWhiteSpace(s)) != false, "data.shards has an empty name");
        require(
            !isGiven || (SceneCount is null && SceneSeed is null),
            "data.sceneCount and data.sceneSeed are for procedural scenes; with data.folder, data.shards or data.pairs they would "
                + "do nothing"
        );
        require(
            isGiven || (!AllowEnlarging && Crop == CropMode.Center && MaxBadShare == Quarantine.DefaultMaxShare),
            "data.allowEnlarging, data.crop and data.maxBadShare are for data.folder, data.shards and data.pairs; scenes are "
                + "drawn at data.size, so they would do nothing"
        );
        require(
            Buckets is null || (isGiven && !CacheLatents),
            "data.buckets is for data.folder, data.shards and data.pairs, without data.cacheLatents"
        );
        require(Pairs is null || Shards is null, "data.pairs goes without data.shards; single samples beside pairs come from data.folder");
        Buckets?.Validate(Size, require);
        require(SceneCount is null or >= 1, $"data.sceneCount is {SceneCount}; it is at least 1");
        require(Pairs is not null || PairConflicts == PairConflicts.Skip, "data.pairConflicts is for data.pairs; it would do nothing");
        require(Pairs is null || !CacheLatents, "data.cacheLatents keeps one latent a sample; with data.pairs leave it out");
        require(
            !CacheLatents || (Flip == 0 && Crop == CropMode.Center),
            "data.cacheLatents keeps one latent a picture: it needs data.crop center and data.flip 0"
        );
    }
}

/// <summary>Sizes of several shapes and about one area, that of the square of data.size.</summary>
public sealed record BucketOptions
{
    /// <summary>Sides are multiples of this.</summary>
    [Description("Sides are multiples of this many pixels.")]
    public int Step { get; init; } = 64;

    /// <summary>The shortest side; null: half of data.size.</summary>
    [Description("Shortest side in pixels; default: half of data.size.")]
    public int? MinSide { get; init; }

    /// <summary>The longest side; null: twice data.size.</summary>
    [Description("Longest side in pixels; default: twice data.size.")]
    public int? MaxSide { get; init; }

    /// <summary>The sizes.</summary>
    /// <param name="side">data.size.</param>
    internal IReadOnlyList<BucketSize> Sizes(int side) =>
        Retouch.Data.Buckets.Sizes(side, Step, MinSide ?? Math.Max(side / 2, 1), MaxSide ?? 2 * side);

    internal void Validate(int side, Action<bool, string> require)
    {
        require(Step is >= 8 and <= 1024, $"data.buckets.step is {Step}; it lies between 8 and 1024");
        require(
            MinSide is null || (MinSide >= 8 && MinSide <= side),
            $"data.buckets.minSide is {MinSide}; it lies between 8 and data.size, {side}"
        );
        require(
            MaxSide is null || (MaxSide >= side && MaxSide <= 8192),
            $"data.buckets.maxSide is {MaxSide}; it lies between data.size, {side}, and 8192"
        );
        require(Step <= side, $"data.buckets.step is {Step}, more than data.size, {side}; no size would fit");
    }
}
