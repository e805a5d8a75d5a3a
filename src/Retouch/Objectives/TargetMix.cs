using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>
/// What an estimate takes from its target before both are decoded. Decoders are not linear, so that the loss of a whole estimate, blurred
/// by the mean over what the noise hides, is not smallest at that mean.
/// </summary>
/// <param name="Frequencies">Low spatial frequencies per side, from 0 (none); 1 is the mean of each channel only.</param>
/// <param name="ErrorScale">Scale s of the remaining error, in (0, 1]: the decoded latents are z0 + s·(ẑ0 − z0).</param>
public readonly record struct TargetMix(int Frequencies, double ErrorScale)
{
    /// <summary>The estimate as it is.</summary>
    public static TargetMix None { get; } = new(0, 1);

    /// <summary>The latents to decode, in the graph of the estimate.</summary>
    /// <param name="estimate">Latents [batch, channels, height, width].</param>
    /// <param name="target">Latents of the same shape, without gradient.</param>
    /// <param name="mask">With 1 frequency: weights of the pixels in the mean; null if all are 1.</param>
    internal Tensor Apply(Tensor estimate, Tensor target, LossMask? mask = null)
    {
        if (Frequencies > 0)
            estimate = LowFrequencies.Replace(estimate, target, Frequencies, mask);
        return ErrorScale == 1 ? estimate : target + ((estimate - target) * ErrorScale);
    }
}
