using System.Text.Json;
using Retouch.Core.Json;
using Retouch.Training.State;

namespace Retouch.Training.Distributed;

/// <summary>
/// Checkpoints with divided states: all processes write their files into one folder at the same time. Rank 0 makes it a checkpoint when it
/// has the hashes of all files.
/// </summary>
/// <param name="store">Checkpoints of the run.</param>
/// <param name="world">All processes.</param>
internal sealed class SharedCheckpoints(CheckpointStore store, World world)
{
    private const string What = "write a checkpoint";

    /// <summary>Writes a checkpoint; all processes must call it.</summary>
    /// <param name="state">State without files; that of rank 0 is written.</param>
    /// <param name="keep">Checkpoints to keep, at least 1.</param>
    /// <param name="tensors">Tensors of this process.</param>
    /// <exception cref="Core.Errors.EnvironmentException">The disk is full or not writable, or another process has failed; earlier
    /// checkpoints are untouched.</exception>
    public void Write(TrainingState state, int keep, CheckpointTensors tensors)
    {
        if (world.IsMain)
            store.Write(state with { Version = TrainingState.CurrentVersion }, keep, folder => Part(folder, tensors));
        else
            CheckpointStore.Part(state.Step, () => Part("", tensors));
    }

    /// <summary>Writes the files of this process; returns the hashes of the files of all.</summary>
    private Dictionary<string, string> Part(string folder, CheckpointTensors tensors)
    {
        folder = world.OfMain(What, folder);
        var own = tensors.Write(folder, (world.Rank, world.Size));
        var all = world.Gather(What, JsonSerializer.Serialize(own, JsonStyles.StateLine));
        return all.SelectMany(static text => JsonSerializer.Deserialize<Dictionary<string, string>>(text, JsonStyles.StateLine)!)
            .ToDictionary(StringComparer.Ordinal);
    }
}
