using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Data;
using Retouch.Data.Pairs;
using Retouch.Samplers;
using Retouch.Torch;
using Retouch.Torch.Devices;
using Retouch.Training.Caching;
using Retouch.Training.Conditions;
using Retouch.Training.HeldOut;
using Retouch.Training.Options;
using Retouch.Training.Tasks;
using Retouch.Training.Telemetry;

namespace Retouch.Training;

/// <summary>A training run from options to result: builds networks, data and trainer.</summary>
public sealed partial class TrainingRun : IDisposable
{
    /// <summary>Default number of pictures that are encoded at once for cached latents.</summary>
    public const int EncodedAtOnce = 16;

    private readonly TrainingOptions _options;
    private readonly RunFolder? _folder;
    private readonly TimeProvider _time;
    private readonly Device _device;
    private readonly TrainingData _data;
    private readonly ITrainingTask _task;
    private readonly DenoiserTask? _denoiser;
    private readonly PreferenceTask? _preference;
    private readonly ISampleGrid _samples;
    private readonly HeldOutSplit _split;
    private readonly Validator? _validator;
    private readonly IAutoencoder? _encoder;
    private readonly PriorPictures? _drawn;
    private readonly PriorDrawing? _prior;
    private readonly List<string> _notes = [];
    private readonly bool _resumed;
    private readonly bool _acceptChanges;

    private TrainingRun(TrainingOptions options, RunFolder? folder, TimeProvider time, bool resumed, bool acceptChanges = false)
    {
        _folder = folder;
        _time = time;
        _resumed = resumed;
        _acceptChanges = acceptChanges;
        _device = Device.Parse(options.Device).Require();
        Arithmetic.Use(options.Arithmetic.Tf32, options.Arithmetic.Deterministic);
        var precision = DTypes.Precisions[options.Precision];
        var drawn = options.Data.Prior is { Count: not null } prior ? prior.Folder ?? folder?.PriorFolder : null;
        var (source, singles) = TrainingData.Open(options, drawn);
        _drawn = singles as PriorPictures;
        // A resumed run keeps its classes.
        _options = options = resumed ? options : ScratchClasses.Fill(options, source);
        Tell(source, singles);
        var trained = resumed && new State.CheckpointStore(folder!.Path).Steps.Count > 0;
        _split = HeldOutSplit
            .Of(options, source, singles, trained ? folder!.HeldOutFile : null, _notes.Add)
            .WithCaptions(options, _notes.Add);
        (source, singles) = (_split.Training, _split.Singles);
        if (options.Data.Masks is not null)
            RequireMasks(source, _notes.Add);
        if (options.Task == TrainingTaskKind.Autoencoder)
        {
            _data = TrainingData.Of(options, source, singles);
            var shown = _data.First(256);
            var autoencoder = new AutoencoderTask(
                new TrainingNetworks(options, _device).OpenAutoencoder(),
                options,
                shown,
                _device,
                precision
            );
            _samples = new ReconstructionGrid(autoencoder.Autoencoder, shown, options.Samples.Count, _device);
            _task = autoencoder;
            _validator = Validation();
            return;
        }

        var pipeline = new TrainingNetworks(options, _device).OpenPipeline(source.Classes);
        _notes.AddRange(pipeline.Warnings);
        if (options.Samples.Every > 0 && SchedulerConfig.ReadOrUsual(pipeline.SchedulerConfig).Note is { } sampler)
            _notes.Add(sampler);
        _encoder = pipeline.Autoencoder;
        _denoiser = new DenoiserTask(pipeline, options, _device, precision);
        _preference = options.Objective!.Preference is null ? null : new PreferenceTask(_denoiser, options);
        _samples = new DenoiserSampleGrid(pipeline, _denoiser.Conditions, options, _device);
        _task = _preference is null ? _denoiser : _preference;
        _data = TrainingData.Of(options, _task.Accept(source, _notes.Add), singles is null ? null : _task.Accept(singles, NoteOnOthers));
        if (drawn is not null)
            _prior = new PriorDrawing(options, pipeline, _data.Singles!.Source[0].Label, drawn, _device, resumed);
        _validator = Validation();
    }

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
                _options
            );

    /// <summary>Training data and held-out samples.</summary>
    private IReadOnlyList<IPictureSource> Sources => _validator is null ? _data.Sources : [.. _data.Sources, _validator.Source];

    /// <summary>Starts a run.</summary>
    /// <param name="options">Validated options.</param>
    /// <param name="output">New or empty folder; null for planning only.</param>
    /// <param name="time">Clock.</param>
    /// <exception cref="RetouchException">Options, data or model are invalid; nothing was written.</exception>
    public static TrainingRun Start(TrainingOptions options, string? output, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        var resolved = options.Resolve();
        // Ranges that depend on the size.
        resolved.Validate();
        return new TrainingRun(resolved, output is null ? null : RunFolder.Plan(output), time, resumed: false);
    }

    /// <summary>Resumes a run.</summary>
    /// <param name="path">Folder of the run.</param>
    /// <param name="steps">New total number of steps; null for no change.</param>
    /// <param name="time">Clock.</param>
    /// <param name="acceptChanges">Whether to resume despite changes of data, model or options since the checkpoint.</param>
    /// <param name="change">Overrides options of the run; null for no change.</param>
    /// <exception cref="RetouchException">The run, its data or its model does not exist.</exception>
    public static TrainingRun Resume(
        string path,
        long? steps,
        TimeProvider time,
        bool acceptChanges = false,
        Action<JsonObject>? change = null
    )
    {
        var folder = RunFolder.Open(path);
        var given = OptionsFile.Read(folder.OptionsFile);
        change?.Invoke(given);
        var options = OptionsFile.Bind<TrainingOptions>(given, folder.OptionsFile);
        if (steps is { } more)
            options = options with { Steps = more };
        options = NativeSize.FillIn(options);
        options.Validate();
        return new TrainingRun(options, folder, time, resumed: true, acceptChanges);
    }

    /// <summary>Resolved options.</summary>
    public TrainingOptions Options => _options;

    /// <summary>Folder of the run; null for planning only.</summary>
    public RunFolder? Folder => _folder;

    /// <summary>Whether the run has logged a step.</summary>
    public bool HasMetrics => _folder is not null && File.Exists(_folder.OptionsFile) && File.Exists(_folder.MetricsFile);

    /// <summary>Whether the trained denoiser is text-conditional.</summary>
    public bool TakesPrompts => _denoiser is { TakesPrompts: true };

    /// <summary>Trains up to the last step and writes the result.</summary>
    /// <param name="progress">Display of progress and notes; null for none. Notes are in the run's <c>log.txt</c> as well.</param>
    /// <param name="cancellation">Cancels between two steps.</param>
    /// <exception cref="OperationCanceledException">Interrupted after a checkpoint.</exception>
    public TrainingOutcome Train(IProgressLine? progress = null, CancellationToken cancellation = default)
    {
        var folder = _folder ?? throw new InvalidOperationException("A planned run has no folder.");
        var start = _time.GetTimestamp();
        folder.Create();
        using var locked = folder.Lock();
        using var noted = new NotedProgress(progress, folder.LogFile, _time);
        try
        {
            return Train(folder, start, noted, cancellation);
        }
        catch (OutOfDeviceMemoryException e)
        {
            var explained = new MemoryTrial(_task, _options, _device).Explain(e);
            noted.Write(explained.Message);
            throw explained;
        }
        catch (RetouchException e)
        {
            noted.Write(e.Message);
            throw;
        }
    }

    private TrainingOutcome Train(RunFolder folder, long start, NotedProgress progress, CancellationToken cancellation)
    {
        foreach (var line in RunSummary.Lines(_options, _task, _denoiser, _data, _validator, _device, folder, _prior))
            progress.Note(line);
        _notes.ForEach(progress.Note);
        if (_prior is { Missing: > 0 })
            BeforeFirstStep(folder, progress, () => _prior.Run(progress, cancellation));
        var inputs = ResumeCheck.Inputs(_options, _data, _validator?.Source);
        var hasOtherSamples = _resumed && new ResumeCheck(folder, _options, inputs).Run(_acceptChanges, progress.Note);
        _task.Prepare(Sources, progress.Note, Counted(progress, "prompt"), cancellation);
        // The weights are still the reference model's: the checkpoint is restored later.
        if (PrecomputesReference)
            ComputeReference(folder, progress, cancellation);
        using var trainer = new Trainer(
            _task,
            _samples,
            _options,
            folder,
            cursor => OpenData(_data, cursor, Store(), cancellation, Counted(progress, "picture")),
            _time
        )
        {
            Validator = _validator,
        };
        if (_resumed)
            progress.Note(
                trainer.TryResume(progress.Note)
                    ? $"Resuming after step {trainer.Step}."
                    : "The run has no checkpoint yet; starting at step 0."
            );
        if (hasOtherSamples && trainer.Step > 0)
        {
            trainer.StartNextEpoch();
            progress.Note("The samples have changed: training continues with a new epoch.");
        }

        foreach (var remark in _options.Remarks())
            progress.Note(remark);
        if (_denoiser is not null && DenoiserRules.Scaling(_denoiser.Pipeline, _options) is { } scaled)
            progress.Note(scaled);
        OptionsFile.Save(_options, folder.OptionsFile);
        inputs.Save(folder.InputsFile);
        _split.Save(_options, folder.HeldOutFile);
        trainer.CheckpointWritten += () => _data.SaveQuarantine(folder.QuarantineFile);
        try
        {
            trainer.Run(progress, cancellation);
        }
        finally
        {
            _data.SaveQuarantine(folder.QuarantineFile);
            if (_data.Unusable > 0)
                progress.Note($"{Figures.Count(_data.Unusable, "unusable picture")}, listed with reasons in {folder.QuarantineFile}.");
        }

        var last = MetricsReader.LastLoss(MetricsReader.Read(folder.MetricsFile)) ?? double.NaN;
        string[] models = [folder.ModelFolder(null), .. _options.Averages.Select(a => folder.ModelFolder(a.Decay))];
        return new TrainingOutcome(
            folder.Path,
            trainer.Step,
            _time.GetElapsedTime(start).TotalSeconds,
            last,
            models,
            _data.Unusable,
            _validator?.Outcome
        );
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _validator?.Dispose();
        _task.Dispose();
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
            var pictures = new Prefetcher(
                data.Plan,
                data.Loader,
                new PrefetchOptions { Workers = _options.Data.Workers, Start = cursor },
                _time
            );
            return data.Singles is null
                ? new PictureBatches(pictures, _device)
                : new MixedBatches(pictures, data.Singles.After(data.Plan.BatchesBefore(cursor), _options.Data.Workers, _time), _device);
        }

        var encoding = new LatentEncoding(data.Loader, _encoder!, _device, _options.Data.Workers)
        {
            WithPixels = _options.Objective is { NeedsImages: true },
            Store = store,
            Masks = store is null ? null : MaskStore(),
            Progress = encoded,
            BatchSize = atOnce,
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

    private static Action<int, int> Counted(IProgressLine progress, string unit) =>
        (done, all) => progress.Report(new TrainingProgress(done, all) { Unit = unit });

    private bool PrecomputesReference => _preference is { PrecomputesReference: true };

    private ReferencePass Reference(CancellationToken cancellation) =>
        new(_preference!, _options, _data.Plan, cursor => OpenData(_data, cursor, Store(), cancellation));

    private void ComputeReference(RunFolder folder, IProgressLine progress, CancellationToken cancellation)
    {
        var kept = _options.Data.Cache is { } cache ? Path.Combine(cache, "reference") : folder.ReferenceFolder;
        BeforeFirstStep(folder, progress, () => Reference(cancellation).Run(_data.Source, kept, _options.Steps, progress, cancellation));
    }

    private void Tell(IPictureSource source, IPictureSource? singles)
    {
        _notes.AddRange(source.Notes);
        _notes.AddRange(singles?.Notes ?? []);
        if (source is PairFolder { Report: var found })
            _notes.Add(found.Describe("lines", _options.Data.PairConflicts));
    }
}
