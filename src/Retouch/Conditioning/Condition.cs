using Retouch.Torch;

namespace Retouch.Conditioning;

/// <summary>What a denoiser is told besides the noisy latent and the time.</summary>
/// <param name="ClassLabels">int64 [batch]; the number of classes stands for "no class" (classifier-free guidance).</param>
public sealed record Condition(Tensor? ClassLabels)
{
    /// <summary>Samples, or null where the condition says nothing about any.</summary>
    public int? Batch => ClassLabels is null ? null : checked((int)ClassLabels.Shape[0]);

    /// <summary>Some samples of the batch, in memory that is shared.</summary>
    /// <param name="start">The first.</param>
    /// <param name="count">How many.</param>
    public Condition Narrow(int start, int count) => new(ClassLabels?.Narrow(0, start, count));

    /// <summary>Two batches as one: classifier-free guidance runs both in one pass.</summary>
    /// <exception cref="ArgumentException">One has a member that the other lacks.</exception>
    public Condition Concat(Condition other)
    {
        ArgumentNullException.ThrowIfNull(other);
        if (ClassLabels is null != other.ClassLabels is null)
            throw new ArgumentException("Both conditions need class labels, or neither.", nameof(other));
        return new(ClassLabels is null ? null : Ops.Cat([ClassLabels, other.ClassLabels!]));
    }

    /// <summary>The same on another device.</summary>
    public Condition To(Device device) => new(ClassLabels?.To(device));
}
