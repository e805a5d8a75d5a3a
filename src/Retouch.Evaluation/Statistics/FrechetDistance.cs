using Retouch.Torch;

namespace Retouch.Evaluation.Statistics;

/// <summary>
/// Squared Fréchet distance of normal distributions (Dowson and Landau 1982; Heusel et al. 2017, eq. 6):
/// d² = |μ₁ − μ₂|² + tr Σ₁ + tr Σ₂ − 2 tr (Σ₁^½ Σ₂ Σ₁^½)^½. The square roots come from symmetric eigenproblems in float64: no complex
/// values, and no regularisation of singular covariances (fewer samples than features).
/// </summary>
public static class FrechetDistance
{
    // Eigenvalues below this share of the largest are rounding errors of zero.
    private const double RankTolerance = 1e-10;

    /// <summary>Squared distances of a batch.</summary>
    /// <param name="mean1">[batch, features], float64.</param>
    /// <param name="covariance1">[batch, features, features], float64, symmetric.</param>
    /// <param name="mean2">As <paramref name="mean1"/>.</param>
    /// <param name="covariance2">As <paramref name="covariance1"/>.</param>
    /// <returns>[batch], non-negative.</returns>
    public static Tensor Squared(Tensor mean1, Tensor covariance1, Tensor mean2, Tensor covariance2)
    {
        ArgumentNullException.ThrowIfNull(mean1);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var (values, vectors) = covariance1.LinalgEigh();
        var root = Compose(vectors, values.ClampMin(0).Sqrt());
        var inner = root.Matmul(covariance2).Matmul(root).LinalgEigvalsh();
        return scope.Keep(Combine(mean1, covariance1, mean2, covariance2, inner));
    }

    /// <summary>
    /// Squared distances with their derivative with respect to the first covariance, I − T, where T = Σ₁^−½ (Σ₁^½ Σ₂ Σ₁^½)^½ Σ₁^−½ is the
    /// optimal transport map (pseudo-inverse for singular Σ₁). The derivative with respect to the first mean is 2(μ₁ − μ₂).
    /// </summary>
    /// <inheritdoc cref="Squared"/>
    /// <returns>Distances [batch] and derivatives [batch, features, features].</returns>
    public static (Tensor Distance, Tensor ByCovariance) SquaredWithDerivative(
        Tensor mean1,
        Tensor covariance1,
        Tensor mean2,
        Tensor covariance2
    )
    {
        ArgumentNullException.ThrowIfNull(mean1);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var (values, vectors) = covariance1.LinalgEigh();
        var positive = values.ClampMin(0);
        var root = Compose(vectors, positive.Sqrt());
        var largest = positive.Amax([-1L], keepdim: true);
        var inverse = Compose(vectors, positive.Rsqrt().MaskedFill(positive.Le(largest * RankTolerance), 0));
        var (innerValues, innerVectors) = root.Matmul(covariance2).Matmul(root).LinalgEigh();
        var innerRoot = Compose(innerVectors, innerValues.ClampMin(0).Sqrt());
        var identity = Ops.Eye(covariance1.Shape[^1], dtype: DType.Float64, device: covariance1.Device);
        var derivative = identity - inverse.Matmul(innerRoot).Matmul(inverse);
        return (scope.Keep(Combine(mean1, covariance1, mean2, covariance2, innerValues)), scope.Keep(derivative));
    }

    private static Tensor Compose(Tensor vectors, Tensor values) => (vectors * values.Unsqueeze(-2)).Matmul(vectors.Transpose(-2, -1));

    private static Tensor Combine(Tensor mean1, Tensor covariance1, Tensor mean2, Tensor covariance2, Tensor innerValues)
    {
        var means = (mean1 - mean2).Square().Sum([-1L]);
        var traces = (covariance1 + covariance2).Diagonal(0, -2, -1).Sum([-1L]);
        return (means + traces - (2 * innerValues.ClampMin(0).Sqrt().Sum([-1L]))).ClampMin(0);
    }
}
