using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Data;
using Retouch.Torch;
using Retouch.Training.Caching;
using Retouch.Training.HeldOut;
using Retouch.Training.Options;
using Retouch.Training.Planning;
using Retouch.Training.Telemetry;

namespace Retouch.Training;

/// <summary>What a run does without training: filling the cache, and the plan of a dry run.</summary>
public sealed partial class TrainingRun
{
    /// <summary>A note on the single or prior samples, which are of another data set.</summary>
    private void NoteOnOthers(string note) => _notes.Add($"{(_options.Data.Prior is null ? "Single" : "Prior")} pictures: {note}");

    private Validator? Validation() =>
        _split.HeldOut is not { } heldOut
            ? null
            : new Validator(
                _task,
                new HeldOutBatches(
                    _task.Accept(heldOut, static _ => { }),
                    _data.Loader.Framing,
                    _options,
                    _device,
                    _options.Data.Pairs is null ? _encoder : null
                ),
                _options,
                _world
            );

    /// <summary>Encodes pictures and captions into <see cref="DataOptions.Cache"/>, without training.</summary>
    /// <param name="progress">Display of progress and notes.</param>
    /// <param name="cancellation">Cancels between two batches; what is encoded remains.</param>
    /// <param name="atOnce">Pictures encoded at once, at least 1.</param>
    /// <returns>Number of cached pictures and captions.</returns>
    public (int Pictures, int Captions) FillCache(IProgressLine progress, CancellationToken cancellation, int atOnce = EncodedAtOnce)
    {
        ArgumentNullException.ThrowIfNull(progress);
        _task.Prepare(Sources, progress.Note, Counted(progress, "prompt"), cancellation);
        using var data = OpenData(_data, default, Store(), cancellation, Counted(progress, "picture"), atOnce);
        var prompts = _denoiser is { TakesPrompts: true };
        var captions = prompts ? _data.Sources.SelectMany(static s => Enumerable.Range(0, s.Count).SelectMany(k => s[k].AllCaptions)) : [];
        return (_data.Source.Count, captions.Distinct(StringComparer.Ordinal).Count());
    }

    /// <summary>Does work whose results remain after an interruption.</summary>
    private void BeforeFirstStep(RunFolder folder, IProgressLine progress, Action work)
    {
        // Only a resumable run benefits from them.
        if (!_resumed && IsMain)
            OptionsFile.Save(_options, folder.OptionsFile);
        try
        {
            work();
        }
        catch (OperationCanceledException)
        {
            progress.Note($"Interrupted before the first step; continue with --resume {folder.Path}");
            throw;
        }
    }

    private static string Kept(RunFolder folder) =>
        new State.CheckpointStore(folder.Path).Steps.LastOrDefault(-1) is >= 0 and var last
            ? $"The checkpoint of step {last} is kept; --resume {folder.Path} continues from it."
            : $"No checkpoint has been written yet; --resume {folder.Path} starts again.";

    /// <summary>Runs work that leaves files on rank 0 first, then on the other processes; at once if it leaves none.</summary>
    private void MainFirst(string what, Action work, bool leavesFiles = true)
    {
        if (_world is { } world && leavesFiles)
            world.MainFirst(what, work);
        else
            work();
    }

    private IBatchSource OpenInTurn(DataCursor cursor, IProgressLine progress, CancellationToken cancellation)
    {
        RowStore? store = null;
        void Open()
        {
            MaskStore()?.Dispose();
            store = Store();
        }

        // Rank 0 creates the folders.
        MainFirst("caches", Open, _options.Data.Cache is not null);
        return OpenData(_data, cursor, store, cancellation, Counted(progress, "picture"));
    }

    private IBatchSource OpenData(
        TrainingData data,
        DataCursor cursor,
        RowStore? store,
        CancellationToken cancellation,
        Action<int, int>? encoded = null,
        int atOnce = EncodedAtOnce
    )
    {
        if (!_options.Data.CacheLatents)
        {
            var pictures = new Prefetcher(data.Plan, data.Loader, PrefetchOptions.Of(_options.Data.Workers, cursor), _time);
            return data.Singles is null
                ? new PictureBatches(pictures, _device)
                : new MixedBatches(pictures, data.Singles.After(data.Plan.BatchesBefore(cursor), _options.Data.Workers, _time), _device);
        }

        var encoding = new LatentEncoding(data.Loader, _encoder!, _device, _options.Data.ReadersAtOnce)
        {
            WithPixels = _options.Objective is { NeedsImages: true },
            Store = store,
            Masks = store is null ? null : MaskStore(),
            Progress = encoded,
            BatchSize = atOnce,
            World = _world,
        };
        return LatentCache.Encode(data.Source, data.Plan, encoding, cursor, cancellation);
    }

    private RowStore? Store() =>
        _options.Data is { CacheLatents: true, Cache: { } cache }
            ? RowStore.Open(Path.Combine(cache, "latents"), LatentEncoding.Key(ComponentHash.OfEncoder(_encoder!), _data.Loader.Framing))
            : null;

    private RowStore? MaskStore() =>
        _options.Data is { Masks: not null, Cache: { } cache }
            ? RowStore.Open(Path.Combine(cache, "masks"), MaskCache.Key(_data.Loader.Framing))
            : null;

    private static void RequireMasks(IPictureSource source, Action<string> note)
    {
        int[] without = [.. Enumerable.Range(0, source.Count).Where(k => !source.HasMask(k))];
        if (without.Length == source.Count)
            throw new InputException(
                "No picture has a mask, so data.masks has no effect. Name masks after their pictures (NAME_mask.png, NAME-masklabel.png; "
                    + "KEY.mask.png in tars), name them by the column mask of metadata.jsonl, or leave data.masks out."
            );
        note(
            without.Length == 0
                ? $"{Figures.Count(source.Count)} pictures have a mask."
                : $"{Figures.Count(source.Count - without.Length)} pictures have a mask; {Figures.Count(without.Length)} have none, "
                    + $"and count as a whole; the first is '{Excerpt.Of(source[without[0]].Id)}'."
        );
    }

    /// <summary>Adds lines to the notes at the start of the run.</summary>
    /// <param name="lines">The lines.</param>
    public void Note(IEnumerable<string> lines) => _notes.AddRange(lines);

    /// <summary>
    /// Chooses settings for a limit of memory, by short trials on real samples, without writing anything. This object is of no further use,
    /// since the trials change the weights.
    /// </summary>
    /// <param name="limit">Limit in bytes: of the process's main memory or, on a GPU, of its tensors.</param>
    /// <param name="cancellation">Cancels between trials.</param>
    /// <returns>The plan, and resolved options with the chosen settings.</returns>
    /// <exception cref="EnvironmentException">No settings that keep the loss fit.</exception>
    public (MemoryPlan Plan, TrainingOptions Options) ChooseMemory(long limit, CancellationToken cancellation)
    {
        if (_drawn is not null)
            _drawn.IsPlan = true;
        var part = Sample();
        _task.Prepare([.. part.Sources, .. Sources.Skip(_data.Sources.Count)], static _ => { }, null, cancellation);
        if (PrecomputesReference)
            Reference(cancellation).Run(_data.Source, null, 1, null, cancellation);
        using var data = OpenData(part, default, null, cancellation);
        using var scope = TensorScope.Enter();
        return new MemoryPlanner(_task, _options, _device, _time).Choose(data.Next(cancellation), limit, cancellation);
    }

    /// <summary>Data of a few steps: encoding all of it could take longer than a short run. Pairs are read as a whole.</summary>
    private TrainingData Sample() =>
        _options.Data.Pairs is null
            ? TrainingData.Of(
                _options,
                ChosenPictures.First(_data.Source, TrainingPlan.StepsTaken * _options.Batch.Size * _options.Batch.Accumulate),
                _data.Singles?.Source
            )
            : _data;

    /// <summary>Plans the run: measures a few steps on real data, without writing anything.</summary>
    public TrainingPlan Plan(CancellationToken cancellation)
    {
        if (_drawn is not null)
            _drawn.IsPlan = true;
        var part = Sample();
        _task.Prepare([.. part.Sources, .. Sources.Skip(_data.Sources.Count)], static _ => { }, null, cancellation);
        var start = _time.GetTimestamp();
        if (PrecomputesReference)
            Reference(cancellation).Run(_data.Source, null, TrainingPlan.StepsTaken, null, cancellation);
        var done = _resumed ? new State.CheckpointStore(_folder!.Path).Steps.LastOrDefault(0) : 0;
        var reference = PrecomputesReference
            ? _time.GetElapsedTime(start).TotalSeconds / TrainingPlan.StepsTaken * _options.Steps
            : (double?)null;
        start = _time.GetTimestamp();
        var batches = OpenData(part, default, null, cancellation);
        var encoding = _time.GetElapsedTime(start).TotalSeconds / part.Source.Count * _data.Source.Count;
        var plan = TrainingPlan.Measure(_task, _options, _data.Source, done, batches, _validator, _time, cancellation);
        return plan with
        {
            EncodingSeconds = _options.Data.CacheLatents ? encoding : null,
            ReferenceSeconds = reference,
            DrawnPictures = _prior?.Missing ?? _options.Data.Prior?.Count,
            FrozenParameters = _denoiser?.Adapted?.Frozen,
        };
    }
}
