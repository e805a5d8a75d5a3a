using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>Exchange of low spatial frequencies between latents, by projection onto the lowest basis functions of the DCT-II.</summary>
internal static class LowFrequencies
{
    /// <summary>
    /// The estimate with the target's low frequencies: ẑ + P(z − ẑ), where P projects each channel onto the products of the lowest
    /// <paramref name="count"/> cosines of both sides. In the graph of the estimate; its gradient has no low frequencies.
    /// </summary>
    /// <param name="estimate">Latents [batch, channels, height, width].</param>
    /// <param name="target">Latents of the same shape.</param>
    /// <param name="count">Frequencies per side, from 0: 1 is the mean only; a side's length and above are all of that side.</param>
    /// <param name="mask">With 1 frequency: weights of the pixels in the mean; null if all are 1.</param>
    public static Tensor Replace(Tensor estimate, Tensor target, int count, LossMask? mask = null)
    {
        using var scope = TensorScope.Enter();
        // Low precision in the products would blur the border between both bands.
        using var precise = Autocast.Suspend();
        var difference = target - estimate;
        var low =
            count == 1
                ? Mean(difference, mask)
                : Projection(difference, difference.Shape[2], count)
                    .Matmul(difference)
                    .Matmul(Projection(difference, difference.Shape[3], count));
        return scope.Keep(estimate + low);
    }

    private static Tensor Mean(Tensor x, LossMask? mask)
    {
        if (mask is null)
            return x.Mean([2L, 3], keepdim: true);
        var weights = mask.At(x.Shape[2], x.Shape[3], x.DType);
        return (x * weights).Sum([2L, 3], keepdim: true) / LossMask.Positive(weights.Sum([2L, 3], keepdim: true));
    }

    /// <summary>Symmetric projection [side, side] onto the lowest cosines cos(π(n + ½)k/side).</summary>
    private static Tensor Projection(Tensor like, long side, int count)
    {
        var frequencies = Math.Min(count, side);
        var positions = Ops.Arange(side, dtype: like.DType, device: like.Device) + 0.5;
        var orders = Ops.Arange(frequencies, dtype: like.DType, device: like.Device);
        var basis = (orders.Unsqueeze(1) * positions.Unsqueeze(0) * (Math.PI / side)).Cos();
        basis /= basis.Square().Sum([1L], keepdim: true).Sqrt();
        return basis.Transpose(0, 1).Matmul(basis);
    }
}
