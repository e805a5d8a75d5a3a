using Retouch.Torch;

namespace Retouch.Conditioning;

/// <summary>
/// Class label dropout in training, so that one network learns the conditional and the unconditional score (Ho and Salimans 2022,
/// algorithm 1).
/// </summary>
public static class ClassDropout
{
    /// <summary>
    /// Replaces each label independently by <paramref name="nullLabel"/> with <paramref name="probability"/>. One uniform number per
    /// label is drawn, whatever the probability.
    /// </summary>
    /// <param name="labels">int64 [batch], on any device.</param>
    /// <param name="probability">Dropout probability in [0, 1]; 0.1 is usual.</param>
    /// <param name="nullLabel">Label of "no class".</param>
    /// <param name="generator">CPU generator, so that the choice does not depend on the device.</param>
    /// <returns>int64 [batch], on the device of <paramref name="labels"/>.</returns>
    public static Tensor Apply(Tensor labels, double probability, long nullLabel, Generator generator)
    {
        ArgumentNullException.ThrowIfNull(labels);
        ArgumentOutOfRangeException.ThrowIfNegative(probability);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(probability, 1);
        using var scope = TensorScope.Enter();
        var dropped = Ops.Rand(labels.Shape, generator).Lt(probability).To(labels.Device);
        return scope.Keep(labels.MaskedFill(dropped, nullLabel));
    }
}
