using Retouch.Torch;

namespace Retouch.Objectives.LatentPerceptual;

/// <summary>
/// Finds the pixels of feature maps that are no outliers ([LPL], appendix on outliers, with the guards that its pseudo-code lacks).
/// </summary>
internal static class OutlierMask
{
    /// <summary>1 where a pixel is kept, 0 where it is an outlier, in the features' type; a constant for differentiation.</summary>
    /// <param name="features">[batch, channels, height, width], float32 or float64.</param>
    /// <param name="settings">How outliers are found.</param>
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
        // A map of one pixel has no unbiased deviation; it is its own quantiles, and nothing lies strictly between them.
        var margin = n > 1 ? settings.Margin * flat.Std([2L], correction: 1, keepdim: true) : Ops.ZerosLike(flat);
        var q1 = flat.Kthvalue(low, 2, keepdim: true).Item1 - margin;
        var q2 = flat.Kthvalue(high, 2, keepdim: true).Item1 + margin;
        return (scope.Keep(q1.Unsqueeze(3)), scope.Keep(q2.Unsqueeze(3)));
    }

    /// <summary>
    /// The ranks of both quantiles among <paramref name="n"/> values, from 1; int(n·quantile) is 0 for small maps, hence the guard.
    /// </summary>
    public static (long Low, long High) Ranks(long n, double quantile) =>
        (Math.Max(1, (long)(n * quantile)), Math.Max(1, (long)(n * (1 - quantile))));

    /// <summary>Fills small holes of what is kept (max-pool), then shrinks it (min-pool); the border counts as neither.</summary>
    private static Tensor Morphology(Tensor mask, MaskSettings settings)
    {
        if (settings.Closing > 1)
            mask = MaxPool(mask, settings.Closing);
        return settings.Opening > 1 ? -MaxPool(-mask, settings.Opening) : mask;
    }

    private static Tensor MaxPool(Tensor x, int side) => x.MaxPool2d([side, side], [1, 1], [(side - 1) / 2, (side - 1) / 2]);
}
