using System.Globalization;
using System.Text.Json.Nodes;
using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Torch;
using Retouch.Torch.Optim;
using Retouch.Torch.Safetensors;
using Retouch.Training.Options;
using Retouch.Training.State;
using Retouch.Training.Tasks;
using Retouch.Training.Telemetry;

namespace Retouch.Training;

/// <summary>
/// The one training loop, for autoencoders and denoisers: accumulate, clip, step, average, log, sample, checkpoint. It goes on bit-exactly
/// from a checkpoint on the CPU, also in the middle of an epoch.
/// </summary>
public sealed class Trainer : IDisposable
{
    private readonly ITrainingTask _task;
    private readonly ISampleGrid _samples;
    private readonly TrainingOptions _options;
    private readonly RunFolder _run;
    private readonly Func<DataCursor, IBatchSource> _data;
    private readonly TimeProvider _time;
    private readonly AdamW _optimiser;
    private readonly bool _scales;
    private readonly List<WeightAverage> _averages;
    private readonly CheckpointStore _checkpoints;
    private LossScaler? _scaler;
    private long _step;
    private long _saved = -1;
    private double _secondsBefore;
    private DataCursor _cursor;
    private bool _owed;

    /// <param name="task">What is trained; stays the caller's.</param>
    /// <param name="samples">Draws the sample grids.</param>
    /// <param name="options">Validated options.</param>
    /// <param name="run">Where everything is written.</param>
    /// <param name="data">Opens the data at a cursor.</param>
    /// <param name="time">The clock.</param>
    public Trainer(
        ITrainingTask task,
        ISampleGrid samples,
        TrainingOptions options,
        RunFolder run,
        Func<DataCursor, IBatchSource> data,
        TimeProvider time
    )
    {
        _task = task;
        _samples = samples;
        _options = options;
        _run = run;
        _data = data;
        _time = time;
        task.Network.RequireGrad(true);
        _optimiser = new AdamW(task.Network.Trained, options.Optimiser.AdamW);
        _averages = [.. options.Averages.Select(a => new WeightAverage(task.Network.Trained, a))];
        _scales = MixedPrecision.Parse(options.Precision) == DType.Float16;
        _scaler = _scales ? new LossScaler() : null;
        _checkpoints = new CheckpointStore(run.Path);
    }

    /// <summary>Optimiser steps done.</summary>
    public long Step => _step;

    /// <summary>Called after each checkpoint.</summary>
    public event Action? CheckpointWritten;

    /// <summary>The averages of the weights, in the order of the options.</summary>
    public IReadOnlyList<WeightAverage> Averages => _averages;

    /// <summary>Goes back to the newest whole checkpoint of the run.</summary>
    /// <param name="note">Takes messages about broken ones.</param>
    /// <returns>Whether there was one.</returns>
    /// <exception cref="InputException">There are checkpoints, but none is whole.</exception>
    /// <exception cref="UsageException">The options want fewer steps than are done.</exception>
    public bool TryResume(Action<string> note)
    {
        if (_checkpoints.ReadNewest(note) is not var (state, folder))
            return false;
        if (state.Step > _options.Steps)
            throw new UsageException(
                $"The run has done {state.Step} steps already; {_options.Steps} in all cannot be had from it. Give --steps "
                    + $"{state.Step} or more."
            );
        _scaler = _scales ? new LossScaler(state: state.Scaler) : null;
        var taken = state.Step - (_scaler?.Skipped ?? 0);
        using (var weights = SafetensorsFile.Open(Path.Combine(folder, "weights.safetensors")))
            _task.Network.Load(weights, _task.Network.All[0].Value.Device, null, weights.FilePath);
        _task.Network.RequireGrad(true);
        using (var moments = SafetensorsFile.Open(Path.Combine(folder, "optimiser.safetensors")))
            _optimiser.LoadState(moments, taken);
        foreach (var average in _averages)
        {
            using var shadows = SafetensorsFile.Open(Path.Combine(folder, AverageFile(average)));
            average.LoadState(shadows, taken);
        }

        _task.LoadState(state.Task);
        (_step, _saved, _cursor, _secondsBefore) = (state.Step, state.Step, state.Cursor, state.Seconds);
        return true;
    }

    /// <summary>Leaves the rest of the epoch out: its order is that of other samples.</summary>
    public void StartNextEpoch() => _cursor = new DataCursor(_cursor.Epoch + 1, 0);

    /// <summary>Trains to the last step and writes the result.</summary>
    /// <param name="progress">Shows where the run is.</param>
    /// <param name="cancellation">When cancelled, the step in hand is finished, a checkpoint written, and the exception thrown.</param>
    /// <exception cref="OperationCanceledException">The run was interrupted; it can be resumed.</exception>
    /// <exception cref="InputException">Too many pictures are unusable. The last checkpoint is kept.</exception>
    /// <exception cref="DivergedException">The loss, its gradient or the weights are not finite, or the task finds that the run has
    /// diverged. The last checkpoint before that is kept.</exception>
    public void Run(IProgressLine progress, CancellationToken cancellation)
    {
        var runner = new StepRunner(_task, _options, _optimiser, _averages, _scaler);
        using var log = new RunLog(_run, _step, _options, _time);
        using var data = _data(_cursor);
        var start = _time.GetTimestamp();
        var device = _task.Network.All[0].Value.Device;
        double Seconds() => _secondsBefore + _time.GetElapsedTime(start).TotalSeconds;
        while (_step < _options.Steps)
        {
            if (cancellation.IsCancellationRequested)
            {
                if (_step != _saved && _step > 0)
                    WriteCheckpoint(Seconds(), log);
                progress.Note($"Interrupted after step {_step}; go on with --resume {_run.Path}");
                cancellation.ThrowIfCancellationRequested();
            }

            // A GPU is waited for where the figure is written; other steps run on into the next.
            var logged = (_step + 1) % _options.Log.Every == 0 || _step + 1 == _options.Steps;
            if (logged)
                device.Synchronize();
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
                log.Append(_step, record.Values);
            KeyValuePair<string, double>[] shown =
            [
                .. _task.Shown.Where(s => figures.ContainsKey(s.Value)).Select(s => KeyValuePair.Create(s.Key, figures[s.Value])),
            ];
            progress.Report(
                new TrainingProgress(_step, _options.Steps)
                {
                    Loss = record.Loss,
                    Terms = record.Terms,
                    Figures = shown,
                    MemoryBytes = memory,
                }
            );
            if (record.IsSkipped)
                progress.Note(
                    $"Step {_step}: the gradients overflowed in float16, so the step was skipped and the loss is scaled by "
                        + $"{_scaler!.Scale} now; skipped so far: {_scaler.Skipped}."
                );
            if (review?.Note is { } note)
                progress.Note($"Step {_step}: {note}");
            if (review?.Stop is { } stop)
                throw new DivergedException($"Stopped after step {_step}. {stop} {KeptBefore()}");
            if (_options.Samples.Every > 0 && (Due(_options.Samples.Every) || _step == _options.Steps))
                WriteSamples(log, cancellation);
            // Of weights that may be past saving nothing is kept until they are found well again.
            _owed |= Due(_options.Checkpoints.Every);
            if (_owed && !_task.IsSuspect)
                WriteCheckpoint(Seconds(), log);
        }

        if (_step != _saved)
            WriteCheckpoint(Seconds(), log);
        WriteResult();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _optimiser.Dispose();
        _averages.ForEach(static a => a.Dispose());
    }

    private static string AverageFile(WeightAverage average) =>
        string.Create(CultureInfo.InvariantCulture, $"average-{average.Options.Decay}.safetensors");

    private bool Due(long every) => every > 0 && _step % every == 0 && _step < _options.Steps;

    private string Kept()
    {
        var last = _checkpoints.Steps.LastOrDefault(-1);
        return last >= 0
            ? $"The checkpoint of step {last} is kept ('{_checkpoints.FolderOf(last)}'); --resume {_run.Path} goes on from it."
            : "No checkpoint was written yet.";
    }

    private string KeptBefore()
    {
        var last = _checkpoints.Steps.LastOrDefault(-1);
        return last >= 0
            ? $"The checkpoint of step {last}, from before that, is kept; its model is written by --resume {_run.Path} --steps {last}."
            : "No checkpoint was written yet.";
    }

    private void WriteSamples(RunLog log, CancellationToken cancellation)
    {
        if (cancellation.IsCancellationRequested)
            return;
        try
        {
            WithBestWeights(() => log.AppendPicture(_step, "samples", _samples.Draw(cancellation)));
        }
        catch (OperationCanceledException)
        {
            // The loop's next look at the token writes the checkpoint and leaves.
        }
    }

    private void WithBestWeights(Action action)
    {
        if (_averages.Count == 0)
        {
            action();
            return;
        }

        using (_averages[0].Apply())
            action();
    }

    private void WriteCheckpoint(double seconds, RunLog log)
    {
        // An update can overflow although its gradient did not; such weights must not push out the last good ones.
        if (!_optimiser.IsFinite())
            throw new DivergedException(
                $"Weights or moments are not finite after step {_step}. {Kept()} Lower the learning rate, bound the gradient with "
                    + $"optimiser.clipNorm, or train in float32."
            );
        log.FlushToDisk();
        var state = new TrainingState
        {
            Step = _step,
            Cursor = _cursor,
            Seconds = seconds,
            Task = _task.SaveState(),
            Scaler = _scaler?.State,
            Options = JsonNode.Parse(OptionsFile.Write(_options))!.AsObject(),
        };
        _checkpoints.Write(
            state,
            _options.Checkpoints.Keep,
            folder =>
            {
                SafetensorsWriter.Write(Path.Combine(folder, "weights.safetensors"), _task.Network.Tensors());
                SafetensorsWriter.Write(Path.Combine(folder, "optimiser.safetensors"), _optimiser.State());
                foreach (var average in _averages)
                    SafetensorsWriter.Write(Path.Combine(folder, AverageFile(average)), average.Tensors());
            }
        );
        _saved = _step;
        _owed = false;
        CheckpointWritten?.Invoke();
    }

    private void WriteResult()
    {
        _task.Save(_run.ModelFolder(null));
        foreach (var average in _averages)
        {
            using (average.Apply())
                _task.Save(_run.ModelFolder(average.Options.Decay));
        }
    }
}
