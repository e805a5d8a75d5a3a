using Retouch.Core.Errors;
using Retouch.Torch.Optim;
using Retouch.Torch.Safetensors;
using Retouch.Training.Options;

namespace Retouch.Training.State;

/// <summary>The optimiser's part of a checkpoint.</summary>
internal static class OptimiserState
{
    /// <summary>Restores the state of an optimiser.</summary>
    /// <param name="optimiser">The optimiser.</param>
    /// <param name="kind">Its kind.</param>
    /// <param name="states">State of the checkpoint.</param>
    /// <param name="steps">Updates at the checkpoint.</param>
    /// <param name="run">Folder of the run.</param>
    /// <exception cref="InputException">The state is that of another optimiser, or of other settings.</exception>
    public static void Restore(Optimiser optimiser, OptimiserKind kind, SafetensorsFile states, long steps, string run)
    {
        var wanted = optimiser.State().ToDictionary(static s => s.Key, static s => s.Value.Shape, StringComparer.Ordinal);
        var names = states.Names.ToHashSet(StringComparer.Ordinal);
        if (!names.SetEquals(wanted.Keys) || wanted.Any(s => !states.ShapeOf(s.Key).SequenceEqual(s.Value)))
            throw new InputException(
                $"The state in '{states.FilePath}' is not that of {OptimiserOptions.NameOf(kind)} with these settings. Resume with the "
                    + $"run's own optimiser.kind and settings, or start a new run with the model of this one (--model {run})."
            );
        optimiser.LoadState(states, steps);
    }
}
