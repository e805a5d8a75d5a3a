using Retouch.Torch;

namespace Retouch.Objectives.LatentPerceptual;

/// <summary>Outlier mask of feature maps ([LPL], appendix on outliers, with guards that its pseudo-code lacks).</summary>
internal static class OutlierMask
{
    /// <summary>1 for kept pixels, 0 for outliers, in the features' type; without gradient.</summary>
    /// <param name="features">[batch, channels, height, width], float32 or float64.</param>
    /// <param name="settings">Mask settings.</param>
    public static Tensor Compute(Tensor features, MaskSettings settings)
    {
        using var quiet = Autograd.NoGrad();
        using var scope = TensorScope.Enter();
        var (low, high) = Thresholds(features, settings);
        var raw = features.Gt(low).LogicalAnd(features.Lt(high)).To(features.DType);
        return scope.Keep(Morphology(raw, settings));
    }

    /// <summary>q1 − m and q2 + m of each map: two tensors [batch, channels, 1, 1].</summary>
    public static (Tensor Low, Tensor High) Thresholds(Tensor features, MaskSettings settings)
    {
        using var quiet = Autograd.NoGrad();
        using var scope = TensorScope.Enter();
        var shape = features.Shape;
        var n = shape[2] * shape[3];
        var flat = features.Reshape([shape[0], shape[1], n]);
        var (low, high) = Ranks(n, settings.Quantile);
        // A single-pixel map has no unbiased deviation and equals its quantiles, so that no value lies strictly between them.
        var margin = n > 1 ? settings.Margin * flat.Std([2L], correction: 1, keepdim: true) : Ops.ZerosLike(flat);
        var q1 = flat.Kthvalue(low, 2, keepdim: true).Item1 - margin;
        var q2 = flat.Kthvalue(high, 2, keepdim: true).Item1 + margin;
        return (scope.Keep(q1.Unsqueeze(3)), scope.Keep(q2.Unsqueeze(3)));
    }

    /// <summary>
    /// Ranks of both quantiles among <paramref name="n"/> values, from 1; the guard covers small maps, where int(n·quantile) is 0.
    /// </summary>
    public static (long Low, long High) Ranks(long n, double quantile) =>
        (Math.Max(1, (long)(n * quantile)), Math.Max(1, (long)(n * (1 - quantile))));

    /// <summary>Closes small holes of the mask (max-pool), then erodes it (min-pool); the border has no effect on either.</summary>
    private static Tensor Morphology(Tensor mask, MaskSettings settings)
    {
        if (settings.Closing > 1)
            mask = MaxPool(mask, settings.Closing);
        return settings.Opening > 1 ? -MaxPool(-mask, settings.Opening) : mask;
    }

    private static Tensor MaxPool(Tensor x, int side) => x.MaxPool2d([side, side], [1, 1], [(side - 1) / 2, (side - 1) / 2]);
}
