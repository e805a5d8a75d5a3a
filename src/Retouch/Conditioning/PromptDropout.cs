using Retouch.Torch;

namespace Retouch.Conditioning;

/// <summary>Drops prompts in training, so that one network learns the conditional and the unconditional score (Ho and Salimans 2022, algorithm 1).</summary>
public static class PromptDropout
{
    /// <summary>
    /// Gives each sample the empty prompt's text, mask and pooled state with <paramref name="probability"/>, independently. Labels and time ids stay: they are not
    /// the prompt's. One uniform number a sample is drawn, whatever the probability.
    /// </summary>
    /// <param name="condition">Of a batch, with text.</param>
    /// <param name="empty">Of the empty prompt, encoded as the others were; one sample.</param>
    /// <param name="probability">In [0, 1]; 0.1 is usual.</param>
    /// <param name="generator">On the CPU, so that the choice does not depend on the device.</param>
    /// <exception cref="ArgumentException">The conditions' members do not fit each other, or there is no text.</exception>
    public static Condition Apply(Condition condition, Condition empty, double probability, Generator generator)
    {
        ArgumentNullException.ThrowIfNull(condition);
        ArgumentNullException.ThrowIfNull(empty);
        ArgumentOutOfRangeException.ThrowIfNegative(probability);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(probability, 1);
        var text = condition.Text ?? throw new ArgumentException("There is no text to drop.", nameof(condition));
        using var scope = TensorScope.Enter();
        var dropped = Ops.Rand([text.Shape[0]], generator).Lt(probability).To(text.Device);
        return condition with
        {
            Text = Choose(text, empty.Text),
            TextMask = Choose(condition.TextMask, empty.TextMask),
            Pooled = Choose(condition.Pooled, empty.Pooled),
        };

        Tensor? Choose(Tensor? own, Tensor? other)
        {
            if (own is null && other is null)
                return null;
            if (own is null || other is null || other.Shape[0] != 1 || own.DType != other.DType || !own.Shape.AsSpan(1).SequenceEqual(other.Shape.AsSpan(1)))
                throw new ArgumentException("The empty prompt's condition must have the members of the batch's, of the same shapes but for a single sample.", nameof(empty));
            long[] sizes = [-1, .. Enumerable.Repeat(1L, own.Dim - 1)];
            return scope.Keep(Ops.Where(dropped.View(sizes), other, own));
        }
    }
}
