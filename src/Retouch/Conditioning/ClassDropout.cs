using Retouch.Torch;

namespace Retouch.Conditioning;

/// <summary>
/// Drops class labels in training, so that one network learns the conditional and the unconditional score (Ho and Salimans 2022, algorithm
/// 1).
/// </summary>
public static class ClassDropout
{
    /// <summary>
    /// Replaces each label by <paramref name="nullLabel"/> with <paramref name="probability"/>, independently. One uniform number a label
    /// is drawn, whatever the probability.
    /// </summary>
    /// <param name="labels">int64 [batch], on any device.</param>
    /// <param name="probability">In [0, 1]; 0.1 is usual.</param>
    /// <param name="nullLabel">The label that stands for "no class".</param>
    /// <param name="generator">On the CPU, so that the choice does not depend on the device.</param>
    /// <returns>int64 [batch], on the labels' device.</returns>
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
