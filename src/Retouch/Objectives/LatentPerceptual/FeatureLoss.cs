using Retouch.Torch;

namespace Retouch.Objectives.LatentPerceptual;

/// <summary>Result of comparing two feature maps. All tensors are [batch, channels].</summary>
/// <param name="Loss">Mean over pixels of the squared or absolute, masked, normalised difference; differentiable with respect to the
/// estimate.</param>
/// <param name="Kept">Number of unmasked pixels.</param>
/// <param name="SquaredError">Sum of squared differences over unmasked pixels, not normalised.</param>
/// <param name="TargetVariance">Variance of the target over unmasked pixels.</param>
/// <param name="EstimateVariance">Variance of the estimate over unmasked pixels.</param>
internal sealed record FeatureTerms(Tensor Loss, Tensor Kept, Tensor SquaredError, Tensor TargetVariance, Tensor EstimateVariance);

/// <summary>
/// Feature comparison with libtorch operators: the reference implementation of the fused kernels, and the implementation where there is
/// none. [LPL] eq. 2 for one layer, before the layer weight and the mean over channels.
/// </summary>
internal static class FeatureLoss
{
    /// <summary>Added to a variance under the square root.</summary>
    public const double VarianceFloor = 1e-6;

    /// <summary>Lower bound of a channel vector's norm.</summary>
    private const double NormFloor = 1e-6;

    /// <param name="target">Target features φ [batch, channels, height, width], without gradient.</param>
    /// <param name="estimate">Estimated features φ̂, of the same shape and type (float32 or float64).</param>
    /// <param name="settings">Comparison settings.</param>
    /// <param name="weights">Weights of the pixels in the loss, with which statistics are not computed; null if all are 1.</param>
    public static FeatureTerms Compare(Tensor target, Tensor estimate, FeatureSettings settings, LossMask? weights = null)
    {
        using var scope = TensorScope.Enter();
        var mask = settings.Mask is { } m ? OutlierMask.Compute(m.Source == MaskSource.Target ? target : estimate.Detach(), m) : null;
        var pixels = target.Shape[2] * target.Shape[3];
        var kept = mask is null
            ? Ops.Full([target.Shape[0], target.Shape[1]], pixels, dtype: target.DType, device: target.Device)
            : mask.Sum([2L, 3]);
        var count = kept.ClampMin(1).Reshape([target.Shape[0], target.Shape[1], 1, 1]);
        var (a, b) = Normalise(target, estimate, mask, count, settings);
        var difference = settings.Difference == FeatureDifference.Absolute ? (a - b).Abs() : (a - b).Square();
        difference = Masked(difference, mask);
        var weighted = weights?.At(target.Shape[2], target.Shape[3], target.DType);
        var sum = (weighted is null ? difference : difference * weighted).Sum([2L, 3]);
        Tensor loss;
        if (weights is { Normalise: true })
            loss = sum / LossMask.Positive((settings.Kept && mask is not null ? mask * weighted! : weighted!).Sum([2L, 3]));
        else
            loss = settings.Kept ? sum / kept.ClampMin(1) : sum / pixels;
        Tensor error,
            targetVariance,
            estimateVariance;
        using (Autograd.NoGrad())
        {
            error = Masked((target - estimate).Square(), mask).Sum([2L, 3]);
            targetVariance = Moments(target, mask, count).Variance.Reshape(kept.Shape);
            estimateVariance = Moments(estimate, mask, count).Variance.Reshape(kept.Shape);
        }

        return new FeatureTerms(
            scope.Keep(loss),
            scope.Keep(kept),
            scope.Keep(error),
            scope.Keep(targetVariance),
            scope.Keep(estimateVariance)
        );
    }

    private static (Tensor Target, Tensor Estimate) Normalise(
        Tensor target,
        Tensor estimate,
        Tensor? mask,
        Tensor count,
        FeatureSettings settings
    )
    {
        if (settings.Normalisation == Normalisation.None)
            return (target, estimate);
        var (ofTarget, ofEstimate) = (target, Leaking(estimate, settings.Through));
        if (settings.Normalisation == Normalisation.ChannelNorm)
        {
            return settings.Statistics switch
            {
                StatisticsSource.Estimate => Both(ChannelNorm(ofEstimate, mask)),
                StatisticsSource.Target => Both(ChannelNorm(ofTarget, mask)),
                _ => (target / ChannelNorm(ofTarget, mask), estimate / ChannelNorm(ofEstimate, mask)),
            };
        }

        var least = (settings.Floor * Moments(target, mask, count).Variance) + VarianceFloor;
        (Tensor Mean, Tensor Deviation) Statistics(Tensor x)
        {
            var (mean, variance) = Moments(x, mask, count);
            return (mean, (variance + least).Sqrt());
        }

        if (settings.Statistics == StatisticsSource.Own)
            return (Whiten(target, Statistics(ofTarget)), Whiten(estimate, Statistics(ofEstimate)));
        var shared = Statistics(settings.Statistics == StatisticsSource.Estimate ? ofEstimate : ofTarget);
        return (Whiten(target, shared), Whiten(estimate, shared));

        (Tensor Target, Tensor Estimate) Both(Tensor norm) => (target / norm, estimate / norm);
    }

    /// <summary>Same values; the gradient is scaled by <paramref name="part"/>.</summary>
    private static Tensor Leaking(Tensor x, double part) =>
        part switch
        {
            1 => x,
            0 => x.Detach(),
            _ => x.Detach() + (part * (x - x.Detach())),
        };

    /// <summary>Mean and biased variance over unmasked pixels: [batch, channels, 1, 1]; 0 if all pixels are masked.</summary>
    private static (Tensor Mean, Tensor Variance) Moments(Tensor x, Tensor? mask, Tensor count)
    {
        var mean = Masked(x, mask).Sum([2L, 3], keepdim: true) / count;
        return (mean, Masked((x - mean).Square(), mask).Sum([2L, 3], keepdim: true) / count);
    }

    private static Tensor Whiten(Tensor x, (Tensor Mean, Tensor Deviation) statistics) => (x - statistics.Mean) / statistics.Deviation;

    // Outliers do not enter the norm, as in the reference implementation. The floor is under the root because √0 has no gradient.
    private static Tensor ChannelNorm(Tensor x, Tensor? mask) =>
        (Masked(x.Square(), mask).Sum([1L], keepdim: true) + (NormFloor * NormFloor)).Sqrt() + NormFloor;

    // Multiplication, not selection: a non-finite feature must make the loss non-finite, not be masked as an outlier.
    private static Tensor Masked(Tensor x, Tensor? mask) => mask is null ? x : x * mask;
}
