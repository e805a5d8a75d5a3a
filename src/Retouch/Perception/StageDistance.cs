using Retouch.Torch;

namespace Retouch.Perception;

/// <summary>
/// Distance of the features of two pictures (Zhang et al. 2018, eq. 1): squared differences of channel-normalised features, weighted by
/// channel, averaged over positions and summed over stages.
/// </summary>
internal static class StageDistance
{
    private const double Tiny = 1e-10;

    /// <summary>Distance of each pair.</summary>
    /// <param name="images">Features of each stage, [batch, channels, height, width].</param>
    /// <param name="reference">The same shapes.</param>
    /// <param name="weights">Weights by stage, [1, channels, 1, 1]; null for 1.</param>
    /// <returns>[batch].</returns>
    public static Tensor Of(Tensor[] images, Tensor[] reference, Tensor[]? weights)
    {
        using var scope = TensorScope.Enter();
        var stages = images.Select(
            (x, k) =>
            {
                var square = (Unit(x) - Unit(reference[k])).Square();
                return (weights is null ? square : square * weights[k]).Sum([1L]).Mean([1L, 2]);
            }
        );
        return scope.Keep(stages.Aggregate(static (a, b) => a + b));
    }

    // The square of the bound inside the root keeps the gradient finite where all channels are 0.
    private static Tensor Unit(Tensor x) => x / ((x.Square().Sum([1L], keepdim: true) + (Tiny * Tiny)).Sqrt() + Tiny);
}
