using Retouch.Core.Formatting;
using Retouch.Torch;
using Retouch.Training.Options;

namespace Retouch.Training.State;

/// <summary>
/// Writes the checkpoints of a process: while training waits, or beside training from a copy of the tensors in main memory. At most one
/// is being written; its failure is reported by the next call.
/// </summary>
/// <param name="store">Checkpoints of the run.</param>
/// <param name="tensors">Tensors of a checkpoint.</param>
/// <param name="options">Options of the checkpoints.</param>
/// <param name="device">Device of the tensors.</param>
internal sealed class CheckpointWriter(CheckpointStore store, CheckpointTensors tensors, CheckpointOptions options, Device device)
    : IDisposable
{
    // The copy must leave memory for the files that the system writes.
    private const int Reserve = 2;

    private Task? _pending;
    private bool _told;

    /// <summary>Free main memory in bytes; null if unknown.</summary>
    internal Func<long?> Free { private get; init; } = static () => new MemoryGauge(Device.Cpu).Read()?.Left;

    /// <summary>Whether checkpoints are written beside training if the memory suffices.</summary>
    /// <param name="options">Options of the checkpoints.</param>
    /// <param name="device">Device of the tensors.</param>
    public static bool IsBeside(CheckpointOptions options, Device device) => options.Background ?? device.Type != DeviceType.Cpu;

    /// <summary>Writes a checkpoint, or starts to, after the previous one.</summary>
    /// <param name="state">State without files.</param>
    /// <param name="note">Receives a message if the memory does not suffice for a copy.</param>
    /// <exception cref="Core.Errors.EnvironmentException">The disk is full or not writable; earlier checkpoints are untouched.</exception>
    public void Write(TrainingState state, Action<string> note)
    {
        Wait();
        if (!HasRoom(note))
        {
            store.Write(state, options.Keep, folder => tensors.Write(folder, null));
            return;
        }

        var copy = tensors.Copy();
        _pending = Task.Run(() =>
        {
            using (copy)
                store.Write(state, options.Keep, copy.Write);
        });
    }

    /// <summary>Reports the failure of a checkpoint whose writing has ended.</summary>
    /// <exception cref="Core.Errors.EnvironmentException">See <see cref="Write"/>.</exception>
    public void Check()
    {
        if (_pending is { IsCompleted: true })
            Wait();
    }

    /// <summary>Waits until the checkpoint is written.</summary>
    /// <exception cref="Core.Errors.EnvironmentException">See <see cref="Write"/>.</exception>
    public void Wait()
    {
        var pending = _pending;
        _pending = null;
        pending?.GetAwaiter().GetResult();
    }

    /// <summary>A sentence on the newest checkpoint, for errors after which a run can be resumed.</summary>
    /// <param name="run">Folder of the run.</param>
    public string Kept(string run) =>
        Last() is { } last ? $"The checkpoint of step {last} is kept ('{store.FolderOf(last)}'); --resume {run} continues from it." : None;

    /// <summary>A sentence on the newest checkpoint, for errors that its step precedes.</summary>
    /// <param name="run">Folder of the run.</param>
    public string KeptBefore(string run) =>
        Last() is { } last
            ? $"The checkpoint of step {last}, from before that, is kept; its model is written by --resume {run} --steps {last}."
            : None;

    /// <summary>Waits until the checkpoint is written, or its writing has failed.</summary>
    public void Dispose() => Settle();

    private const string None = "No checkpoint has been written yet.";

    private long? Last()
    {
        Settle();
        return store.Steps is [.., var last] ? last : null;
    }

    /// <summary>Another error is being reported; the folder of a failed checkpoint is gone.</summary>
    private void Settle()
    {
        if (_pending is { } pending)
            Task.WaitAny(pending);
    }

    private bool HasRoom(Action<string> note)
    {
        if (!IsBeside(options, device))
            return false;
        var (needed, left) = (tensors.ByteCount, Free());
        if (left is null || needed <= left / Reserve)
            return true;
        if (!_told)
            note(
                $"Training waits for its checkpoints: a copy of {Figures.Bytes(needed)} in main memory, of which "
                    + $"{Figures.Bytes(left.Value)} are free, would leave too little."
            );
        _told = true;
        return false;
    }
}
