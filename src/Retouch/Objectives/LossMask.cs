using Retouch.Torch;

namespace Retouch.Objectives;

/// <summary>
/// Weights of a batch's pixels in the loss. On the grid of a latent or a feature map the weight of a cell is the mean over its pixels.
/// </summary>
/// <param name="Weights">[batch, 1, height, width] in pixels, 0 or more, float32, without gradient.</param>
/// <param name="Normalise">Whether a sample's loss is the weighted mean of its squared errors: it does not depend on the size of the
/// masked part. Otherwise it is their weighted sum over the number of pixels.</param>
public sealed record LossMask(Tensor Weights, bool Normalise)
{
    // Of a sample without any weight the loss is 0.
    private const double LeastWeight = 1e-12;

    /// <summary>Weights on a grid, [batch, 1, height, width] in the requested type, in the current scope.</summary>
    public Tensor At(long height, long width, DType type)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var same = Weights.Shape[2] == height && Weights.Shape[3] == width;
        return scope.Keep((same ? Weights.To(type) : Weights.To(type).AdaptiveAvgPool2d([height, width])).Share());
    }

    /// <summary>Loss of each sample: the weighted mean of values [batch, channels, height, width] on any grid, [batch].</summary>
    public Tensor MeanOf(Tensor values)
    {
        ArgumentNullException.ThrowIfNull(values);
        using var scope = TensorScope.Enter();
        var weights = At(values.Shape[2], values.Shape[3], values.DType);
        var means = (values * weights).Mean([1L, 2, 3]);
        return scope.Keep(Normalise ? means / Positive(weights.Mean([1L, 2, 3])) : means);
    }

    /// <summary>The mask of some samples, in the current scope.</summary>
    /// <param name="index">Indices in the batch, [samples].</param>
    public LossMask Of(Tensor index) => this with { Weights = Weights.IndexSelect(0, index) };

    /// <summary>
    /// The mask in windows of these samples, in the current scope. It is not normalised again, but by its mean over the whole picture: the
    /// loss of a window without masked pixels is 0, and the mean over windows that of the picture.
    /// </summary>
    /// <param name="windows">One window per sample.</param>
    public LossMask In(DecodeWindows windows)
    {
        ArgumentNullException.ThrowIfNull(windows);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var weights = windows.Pixels(Weights);
        if (Normalise)
            weights = weights / Positive(Weights.Mean([1L, 2, 3], keepdim: true));
        return new LossMask(scope.Keep(weights.Share()), Normalise: false);
    }

    /// <summary>A divisor for sums of weights: at least a tiny positive number.</summary>
    internal static Tensor Positive(Tensor sum) => sum.ClampMin(LeastWeight);
}
