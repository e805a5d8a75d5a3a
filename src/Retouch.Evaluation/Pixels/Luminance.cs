using Retouch.Torch;

namespace Retouch.Evaluation.Pixels;

/// <summary>Luma of gamma-encoded values with the weights of ITU-R BT.601.</summary>
internal static class Luminance
{
    private static readonly double[] Weights = [0.299, 0.587, 0.114];

    /// <summary>[batch, 3, height, width] to [batch, height, width], in the same range.</summary>
    public static Tensor Of(Tensor images)
    {
        using var scope = TensorScope.Enter();
        var weights = Tensor.From(Weights, 1, 3, 1, 1).To(images.DType).To(images.Device);
        return scope.Keep((images * weights).Sum([1L]));
    }
}
