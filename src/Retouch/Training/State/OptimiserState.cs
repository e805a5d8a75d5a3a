using Retouch.Core.Errors;
using Retouch.Torch.Nn;
using Retouch.Torch.Optim;
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
    public static void Restore(Optimiser optimiser, OptimiserKind kind, ITensorFile states, long steps, string run)
    {
        var wanted = optimiser.State().ToDictionary(static s => s.Key, static s => s.Value.Shape, StringComparer.Ordinal);
        // Others restore the states of their parameters; a key without a parameter's name is a number that all have.
        var others = (optimiser.Share?.All.Except(optimiser.Share.Own) ?? []).Select(static p => p.Name).ToHashSet(StringComparer.Ordinal);
        var names = states.Names.Where(n => !others.Contains(n[(n.IndexOf('.') + 1)..])).ToHashSet(StringComparer.Ordinal);
        if (!names.SetEquals(wanted.Keys) || wanted.Any(s => !states.ShapeOf(s.Key).SequenceEqual(s.Value)))
            throw new InputException(
                $"The state in '{states.FilePath}' is not that of {OptimiserOptions.NameOf(kind)} with these settings. Resume with the "
                    + $"run's own optimiser.kind and settings, or start a new run with the model of this one (--model {run})."
            );
        optimiser.LoadState(states, steps);
    }
}
