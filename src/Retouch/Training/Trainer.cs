using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Core.Formatting;
using Retouch.Data;
using Retouch.Torch;
using Retouch.Torch.Devices;
using Retouch.Torch.Diagnostics;
using Retouch.Torch.Optim;
using Retouch.Training.Distributed;
using Retouch.Training.HeldOut;
using Retouch.Training.Options;
using Retouch.Training.State;
using Retouch.Training.Tasks;
using Retouch.Training.Telemetry;

namespace Retouch.Training;

/// <summary>
/// Training loop of autoencoders and denoisers: accumulate, clip, step, average, log, sample, checkpoint. Resuming from a checkpoint is
/// bit-exact on the CPU, also in the middle of an epoch.
/// </summary>
public sealed class Trainer : IDisposable
{
    private readonly ITrainingTask _task;
    private readonly ISampleGrid _samples;
    private readonly TrainingOptions _options;
    private readonly RunFolder _run;
    private readonly Func<DataCursor, IBatchSource> _data;
    private readonly TimeProvider _time;
    private readonly Optimiser _optimiser;
    private readonly bool _scales;
    private readonly List<WeightAverage> _averages;
    private readonly CheckpointStore _checkpoints;
    private readonly CheckpointTensors _tensors;
    private readonly CheckpointWriter _writer;
    private readonly World? _world;
    private readonly ParameterShare? _share;
    private readonly EvaluatedWeights _evaluated;
    private LossScaler? _scaler;
    private long _step;
    private long _saved = -1;
    private double _secondsBefore;
    private DataCursor _cursor;
    private bool _owed;

    /// <param name="task">Training task; not disposed here.</param>
    /// <param name="samples">Draws the sample grids.</param>
    /// <param name="options">Validated options.</param>
    /// <param name="run">Folder of the run.</param>
    /// <param name="data">Opens the data at a cursor.</param>
    /// <param name="time">Clock.</param>
    /// <param name="world">Processes that train together; null for a single one. Rank 0 draws samples and writes logs and models.</param>
    public Trainer(
        ITrainingTask task,
        ISampleGrid samples,
        TrainingOptions options,
        RunFolder run,
        Func<DataCursor, IBatchSource> data,
        TimeProvider time,
        World? world = null
    )
    {
        _world = world;
        _task = task;
        _samples = samples;
        _options = options;
        _run = run;
        _data = data;
        _time = time;
        task.Network.RequireGrad(true);
        _share = SharedRun.ShareOf(options, task.Network.Trained, world);
        _evaluated = new EvaluatedWeights(_share);
        _optimiser = options.Optimiser.Create(task.Network.Trained, options.Seed, _share);
        _averages = [.. options.Averages.Select(a => new WeightAverage(_share?.Own ?? task.Network.Trained, a))];
        _scales = DTypes.Precisions[options.Precision] == DType.Float16;
        _scaler = _scales ? new LossScaler() : null;
        _checkpoints = new CheckpointStore(run.Path);
        _tensors = new CheckpointTensors(task.Network, _optimiser, _averages, options) { Adversary = task.Adversary };
        _writer = new CheckpointWriter(_checkpoints, _tensors, options.Checkpoints, task.Network.All[0].Value.Device);
    }

    /// <summary>Completed optimiser steps.</summary>
    public long Step => _step;

    /// <summary>Clock of the task's phases, for the times of several processes; null for a single one.</summary>
    internal PhaseClock? Clock { get; init; }

    /// <summary>Validation of the run, or null.</summary>
    internal Validator? Validator { get; init; }

    private bool HasEnded => _step >= _options.Steps || Validator is { HasEnded: true };

    /// <summary>Raised for each checkpoint, when it is written or its tensors are copied.</summary>
    public event Action? CheckpointWritten;

    /// <summary>Weight averages, in the order of the options; with divided states, of this process's parameters.</summary>
    public IReadOnlyList<WeightAverage> Averages => _averages;

    /// <summary>Restores the newest intact checkpoint of the run.</summary>
    /// <param name="note">Receives messages about corrupt checkpoints.</param>
    /// <returns>Whether a checkpoint was restored.</returns>
    /// <exception cref="InputException">All checkpoints are corrupt.</exception>
    /// <exception cref="UsageException">The options request fewer steps than completed.</exception>
    public bool TryResume(Action<string> note)
    {
        if (_checkpoints.ReadNewest(note) is not var (state, folder))
            return false;
        if (state.Step > _options.Steps)
            throw new UsageException(
                $"The run has already completed {state.Step} steps, more than the {_options.Steps} requested. Give --steps "
                    + $"{state.Step} or more."
            );
        _scaler = _scales ? new LossScaler(state: state.Scaler) : null;
        var taken = state.Step - (_scaler?.Skipped ?? 0);
        _tensors.Read(state, folder, taken, _run.Path);
        _task.LoadState(state.Task);
        if (Validator is not null)
            Validator.State = state.Validation ?? ValidationState.None;
        (_step, _saved, _cursor, _secondsBefore) = (state.Step, state.Step, state.Cursor, state.Seconds);
        return true;
    }

    /// <summary>Skips the rest of the epoch, whose order belongs to different samples.</summary>
    public void StartNextEpoch() => _cursor = new DataCursor(_cursor.Epoch + 1, 0);

    /// <summary>Trains up to the last step and writes the result.</summary>
    /// <param name="progress">Progress display.</param>
    /// <param name="cancellation">When cancelled, the current step is completed, and a checkpoint is written.</param>
    /// <exception cref="OperationCanceledException">The run was interrupted; it can be resumed.</exception>
    /// <exception cref="InputException">Too many pictures are unusable. The last checkpoint is kept.</exception>
    /// <exception cref="DivergedException">Loss, gradient or weights are not finite, or the task detects divergence. The last checkpoint
    /// before that is kept.</exception>
    public void Run(IProgressLine progress, CancellationToken cancellation)
    {
        using var parallel = _world is null ? null : DataParallel.Begin(_world, _step, _task.Network.Trained, _share, _time);
        _evaluated.Divided = parallel?.DivideWeights(_options.Distributed.Shard, _task.Blocks);
        var runner = new StepRunner(_task, _options, _optimiser, _averages, _scaler, Clock, parallel);
        using var log = _world is { IsMain: false } ? null : new RunLog(_run, _saved, _options, _time);
        using var data = _data(_cursor);
        var start = _time.GetTimestamp();
        var device = _task.Network.All[0].Value.Device;
        double Seconds() => _secondsBefore + _time.GetElapsedTime(start).TotalSeconds;
        if (_step == 0 && _options.Samples.Every > 0)
            WriteSamples(log, cancellation);
        // Before the first step, and after a resume if the validation of the checkpoint's step was interrupted.
        Validate(log, progress, cancellation);
        while (DataParallel.Agreed(parallel, _step, HasEnded, cancellation) is (false, var interrupted))
        {
            if (interrupted)
            {
                if (_step != _saved && _step > 0)
                    WriteCheckpoint(Seconds(), log, progress);
                _writer.Wait();
                progress.Note($"Interrupted after step {_step}; continue with --resume {_run.Path}");
                throw DataParallel.Interruption(cancellation);
            }

            // Only logged steps synchronise with a GPU; other steps overlap with the next one.
            var logged = (_step + 1) % _options.Log.Every == 0 || _step + 1 == _options.Steps;
            if (logged)
                device.Synchronize();
            Clock?.Running = logged;
            var before = _time.GetTimestamp();
            var waited = data.Waited;
            var record = runner.Take(data, _step, ref _cursor, Kept, cancellation);
            if (record is null)
                continue;
            _step++;
            if (logged)
                device.Synchronize();
            record.Values.Add(new("time/step", _time.GetElapsedTime(before).TotalSeconds));
            record.Values.Add(new("time/data", (data.Waited - waited).TotalSeconds));
            var memory = ProcessMemory.Resident();
            record.Values.Add(new("memory/resident", memory));
            var figures = record.Values.ToDictionary(StringComparer.Ordinal);
            var review = _task.Review(figures);
            record.Values.AddRange(review?.Figures ?? []);
            if (logged || review?.Stop is not null)
                log?.Append(_step, record.Values);
            KeyValuePair<string, double>[] shown =
            [
                .. _task.Shown.Where(s => figures.ContainsKey(s.Value)).Select(s => KeyValuePair.Create(s.Key, figures[s.Value])),
            ];
            progress.Report(
                new TrainingProgress(_step, _options.Steps)
                {
                    Loss = record.Loss,
                    Terms = record.Terms,
                    Figures = [.. shown, .. Validator?.Shown ?? []],
                    MemoryBytes = memory,
                }
            );
            if (record.IsSkipped)
                progress.Note(
                    $"Step {_step}: the gradients overflowed in float16, so the step was skipped and the loss scale is now "
                        + $"{_scaler!.Scale}; skipped so far: {_scaler.Skipped}."
                );
            if (review?.Note is { } note)
                progress.Note($"Step {_step}: {note}");
            if (review?.Stop is { } stop)
                throw new DivergedException($"Stopped after step {_step}. {stop} {_writer.KeptBefore(_run.Path)}");
            Validate(log, progress, cancellation);
            if (_options.Samples.Every is { } every && every > 0 && (Due(every) || HasEnded))
                WriteSamples(log, cancellation);
            // Weights that may have diverged are not checkpointed until the check passes again.
            _owed |= Due(_options.Checkpoints.Every);
            _writer.Check();
            if (_owed && !_task.IsSuspect)
                WriteCheckpoint(Seconds(), log, progress);
        }

        if (_step != _saved)
            WriteCheckpoint(Seconds(), log, progress);
        if (_step < _options.Steps)
            progress.Note(
                $"Stopped early after step {_step} of {_options.Steps}: {Validator!.Term} has not improved in "
                    + $"{_options.Validation!.Stop!.Patience} validations."
            );
        if (parallel?.Summary is { } waiting)
            progress.Note(waiting);
        WriteResult();
        _writer.Wait();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _writer.Dispose();
        _optimiser.Dispose();
        _averages.ForEach(static a => a.Dispose());
    }

    private bool Due(long every) => every > 0 && _step % every == 0 && _step < _options.Steps;

    private string Kept() => _writer.Kept(_run.Path);

    private void WriteSamples(RunLog? log, CancellationToken cancellation)
    {
        var together = _share is not null || _samples.IsShared;
        if ((log is null && !together) || IsInterrupted(together ? _world : null, cancellation))
            return;
        _world?.Enter($"step {_step}, drawing samples");
        _evaluated.With(_averages.Count == 0 ? _optimiser.Evaluate : () => _averages[0].Apply(), () => Draw(log, cancellation));
    }

    private void Draw(RunLog? log, CancellationToken cancellation)
    {
        try
        {
            if (log is null && !_samples.IsShared)
                return;
            // An interruption waits for pictures that all processes draw.
            var picture = _samples.Draw(_samples.IsShared ? CancellationToken.None : cancellation);
            log?.AppendPicture(_step, "samples", picture);
        }
        catch (OperationCanceledException)
        {
            // The loop checks the token next, writes the checkpoint and exits.
        }
        catch (OutOfDeviceMemoryException e) when (e.Remedy is null)
        {
            throw new OutOfDeviceMemoryException(
                e.Cause,
                $"This was the sample grid after step {_step}: use a samples.count below {_options.Samples.Count}, or samples.every=0. "
                    + Kept()
            );
        }
    }

    private void Validate(RunLog? log, IProgressLine progress, CancellationToken cancellation)
    {
        if (Validator is not { } validator || !validator.IsDue(_step) || IsInterrupted(_world, cancellation))
            return;
        _world?.Enter($"step {_step}, validating");
        void Count(int done, int all) => progress.Report(new TrainingProgress(done, all) { Unit = "held-out batch" });
        try
        {
            var values = validator.Run(_step, _averages, Count, cancellation, _optimiser, _evaluated);
            log?.Append(_step, values);
        }
        catch (OperationCanceledException)
        {
            // The loop checks the token next; the step is validated again when the run is resumed.
            return;
        }

        progress.Note($"Step {_step}: held-out {validator.Term} {Figures.Significant(validator.State.Latest)}");
    }

    /// <summary>Whether this process has no part in what rank 0 does alone.</summary>
    private bool IsLeftToMain(RunLog? log) => log is null && _share is null;

    /// <summary>Whether this process, or any that has a part in what follows, is interrupted.</summary>
    private static bool IsInterrupted(World? world, CancellationToken cancellation) =>
        world?.Any("interruption", cancellation.IsCancellationRequested)[0] ?? cancellation.IsCancellationRequested;

    private void WriteCheckpoint(double seconds, RunLog? log, IProgressLine progress)
    {
        // An update can overflow although its gradient is finite; such weights must not replace the last good checkpoint.
        var isFinite = _optimiser.IsFinite() && _task.Adversary?.IsFinite() != false;
        if (!(_share is null ? isFinite : !_world!.Any("check the weights", !isFinite)[0]))
            throw new DivergedException(
                $"Weights or moments are not finite after step {_step}. {Kept()} Lower the learning rate, clip the gradient with "
                    + $"optimiser.clipNorm, or train in float32."
            );
        (_saved, _owed) = (_step, false);
        if (IsLeftToMain(log))
            return;
        _world?.Enter($"step {_step}, writing a checkpoint");
        log?.FlushToDisk();
        var state = new TrainingState
        {
            Step = _step,
            Cursor = _cursor,
            Seconds = seconds,
            Task = _task.SaveState(),
            Scaler = _scaler?.State,
            Validation = Validator?.State,
            Options = JsonNode.Parse(OptionsFile.Write(_options))!.AsObject(),
        };
        if (_share is null)
            _writer.Write(state, progress.Note);
        else
            _evaluated.Whole(() => new SharedCheckpoints(_checkpoints, _world!).Write(state, _options.Checkpoints.Keep, _tensors));
        if (log is not null)
            CheckpointWritten?.Invoke();
    }

    private void WriteResult()
    {
        var isMain = _world is not { IsMain: false };
        if (!isMain && _share is null)
            return;
        void Save(double? decay)
        {
            if (isMain)
                _task.Save(_run.ModelFolder(decay));
        }

        _evaluated.With(_optimiser.Evaluate, () => Save(null));
        foreach (var average in _averages)
            _evaluated.With(() => average.Apply(), () => Save(average.Options.Decay));
    }
}
