using System.Text.Json.Nodes;
using Retouch.Autoencoders;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Data;
using Retouch.Data.Pairs;
using Retouch.Samplers;
using Retouch.Torch;
using Retouch.Torch.Devices;
using Retouch.Torch.Diagnostics;
using Retouch.Training.Caching;
using Retouch.Training.Conditions;
using Retouch.Training.Distributed;
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
    private readonly World? _world;
    private readonly PhaseClock? _clock;

    private TrainingRun(
        TrainingOptions options,
        RunFolder? folder,
        TimeProvider time,
        bool resumed,
        bool acceptChanges = false,
        World? world = null
    )
    {
        _world = world;
        _folder = folder;
        _time = time;
        _resumed = resumed;
        _acceptChanges = acceptChanges;
        if (world is not null)
            SharedRun.Check(options, world);
        _device = World.DeviceOf(options.Device, world).Require();
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
            _data = TrainingData.Of(options, source, singles, world);
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
        _clock = world is null ? null : new PhaseClock(time, _device);
        _denoiser = new DenoiserTask(pipeline, options, _device, precision, _clock, world: world);
        _preference = options.Objective!.Preference is null ? null : new PreferenceTask(_denoiser, options);
        _samples = new DenoiserSampleGrid(pipeline, _denoiser.Conditions, options, _device, _world);
        _task = _preference is null ? _denoiser : _preference;
        _data = TrainingData.Of(
            options,
            _task.Accept(source, _notes.Add),
            singles is null ? null : _task.Accept(singles, NoteOnOthers),
            world
        );
        if (drawn is not null)
            _prior = new PriorDrawing(options, pipeline, _data.Singles!.Source[0].Label, drawn, _device, resumed);
        _validator = Validation();
    }

    /// <summary>Training data and held-out samples.</summary>
    private IReadOnlyList<IPictureSource> Sources => _validator is null ? _data.Sources : [.. _data.Sources, _validator.Source];

    /// <summary>Starts a run.</summary>
    /// <param name="options">Validated options.</param>
    /// <param name="output">New or empty folder; null for planning only.</param>
    /// <param name="time">Clock.</param>
    /// <param name="world">Processes that train together, of which each calls this; null for a single one.</param>
    /// <exception cref="RetouchException">Options, data or model are invalid; nothing was written.</exception>
    public static TrainingRun Start(TrainingOptions options, string? output, TimeProvider time, World? world = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        var resolved = options.Resolve();
        // Ranges that depend on the size.
        resolved.Validate();
        var folder =
            output is null ? null
            : world is { IsMain: false } ? RunFolder.OfOther(output)
            : RunFolder.Plan(output);
        return new TrainingRun(resolved, folder, time, resumed: false, world: world);
    }

    /// <summary>Resumes a run.</summary>
    /// <param name="path">Folder of the run.</param>
    /// <param name="steps">New total number of steps; null for no change.</param>
    /// <param name="time">Clock.</param>
    /// <param name="acceptChanges">Whether to resume despite changes of data, model or options since the checkpoint.</param>
    /// <param name="change">Overrides options of the run; null for no change.</param>
    /// <param name="world">Processes that train together, of which each calls this; null for a single one. Their number can be another
    /// one than before.</param>
    /// <exception cref="RetouchException">The run, its data or its model does not exist.</exception>
    public static TrainingRun Resume(
        string path,
        long? steps,
        TimeProvider time,
        bool acceptChanges = false,
        Action<JsonObject>? change = null,
        World? world = null
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
        return new TrainingRun(options, folder, time, resumed: true, acceptChanges, world);
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
        var isMain = IsMain;
        if (isMain)
            folder.Create();
        using var locked = isMain ? folder.Lock() : null;
        using var noted = new NotedProgress(isMain ? progress : null, isMain ? folder.LogFile : null, _time);
        try
        {
            return Train(folder, start, noted, cancellation);
        }
        catch (OutOfDeviceMemoryException e)
        {
            _world?.Fail(e.Message);
            var explained = new MemoryTrial(_task, _options, _device, _world?.Size ?? 1).Explain(e);
            noted.Write(explained.Message);
            throw explained;
        }
        catch (PeerException e)
        {
            var explained = new EnvironmentException($"{e.Message} {Kept(folder)}", e);
            noted.Write(explained.Message);
            throw explained;
        }
        catch (Exception e)
        {
            if (e is RetouchException)
                noted.Write(e.Message);
            _world?.Fail(e);
            throw;
        }
    }

    /// <summary>Whether this process writes the run's files.</summary>
    private bool IsMain => _world is not { IsMain: false };

    private TrainingOutcome Train(RunFolder folder, long start, NotedProgress progress, CancellationToken cancellation)
    {
        foreach (var line in RunSummary.Lines(_options, _task, _denoiser, _data, _validator, _device, folder, _prior))
            progress.Note(line);
        if (_world is not null)
            progress.Note($"{"parallel", -8} {_world.Description}");
        _notes.ForEach(progress.Note);
        // Agreed before the first picture is written.
        if (_world?.Any("prior pictures", _prior is { Missing: > 0 })[0] ?? _prior is { Missing: > 0 })
            BeforeFirstStep(folder, progress, () => _prior!.Run(progress, _world, cancellation));
        var inputs = ResumeCheck.Inputs(_options, _data, _validator?.Source);
        var hasOtherSamples = _resumed && new ResumeCheck(folder, _options, inputs).Run(_acceptChanges, progress.Note);
        MainFirst(
            "prompts",
            () => _task.Prepare(Sources, progress.Note, Counted(progress, "prompt"), cancellation),
            _options.Data.Cache is not null
        );
        // The weights are still the reference model's: the checkpoint is restored later.
        if (PrecomputesReference)
            ComputeReference(folder, progress, cancellation);
        using var trainer = new Trainer(
            _task,
            _samples,
            _options,
            folder,
            cursor => OpenInTurn(cursor, progress, cancellation),
            _time,
            _world
        )
        {
            Validator = _validator,
            Clock = _clock,
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
        // All processes have compared the files of a resumed run.
        _world?.Barrier("prepare the first step");
        if (IsMain)
        {
            OptionsFile.Save(_options, folder.OptionsFile);
            inputs.Save(folder.InputsFile);
            _split.Save(_options, folder.HeldOutFile);
        }

        trainer.CheckpointWritten += () => _data.SaveQuarantine(folder.QuarantineFile);
        try
        {
            trainer.Run(progress, cancellation);
        }
        finally
        {
            if (IsMain)
                _data.SaveQuarantine(folder.QuarantineFile);
            if (_data.Unusable > 0)
                progress.Note($"{Figures.Count(_data.Unusable, "unusable picture")}, listed with reasons in {folder.QuarantineFile}.");
        }

        var last = IsMain ? MetricsReader.LastLoss(MetricsReader.Read(folder.MetricsFile)) ?? double.NaN : double.NaN;
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
