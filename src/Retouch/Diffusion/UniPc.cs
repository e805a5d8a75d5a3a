using MathNet.Numerics.LinearAlgebra;
using Retouch.Torch;

namespace Retouch.Diffusion;

/// <summary>
/// B(h) of UniPC (Zhao et al. 2023, section 3.1): any function of order h gives the order of accuracy; these two are published.
/// </summary>
public enum UniPcVariant
{
    /// <summary>B(h) = e^h − 1, better with many steps or guidance (the default of diffusers).</summary>
    Bh2,

    /// <summary>B(h) = h.</summary>
    Bh1,
}

/// <summary>ẑ0 of a level that the sampler went through.</summary>
/// <param name="At">The level.</param>
/// <param name="Z0">ẑ0 there.</param>
public readonly record struct PastEstimate(NoisePoint At, Tensor Z0);

/// <summary>
/// One step of UniPC in its data prediction (Zhao et al., "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion
/// Models", 2023, algorithms 1 and 2, appendix on data prediction), in λ = ln(a/b): z_t = (b_t/b_s)·z_s − a_t·(e^−h − 1)·m_s − a_t·B(−h)·Σ
/// ρ_k·D_k, where D_k = (m_k − m_s)/r_k, r_k = (λ_k − λ_s)/h, and ρ solves Σ_k ρ_k·r_k^(i−1) = i!·φ_{i+1}(−h)·(−h)/B(−h) for every i.
/// </summary>
public static class UniPc
{
    /// <summary>The predictor UniP: from the newest level of the past to a smaller one.</summary>
    /// <param name="to">Where it goes.</param>
    /// <param name="noisy">z_s at the newest level.</param>
    /// <param name="past">Newest first; as many as the order are looked at.</param>
    /// <param name="order">From 1; the order of accuracy.</param>
    /// <param name="variant">B(h).</param>
    public static Tensor Predict(NoisePoint to, Tensor noisy, IReadOnlyList<PastEstimate> past, int order, UniPcVariant variant)
    {
        var ratios = Ratios(to, past, order);
        var h = Growth(to, past);
        // At order 2 the published predictor takes ½, which is the solution to within O(h).
        var weights = order == 2 ? [0.5] : Weights(ratios, h, variant);
        return Update(to, noisy, past, ratios, weights, null, variant);
    }

    /// <summary>
    /// The corrector UniC: the same step again, now that ẑ0 is known where it leads. Raises the order by one, without another call of the
    /// network.
    /// </summary>
    /// <param name="to">Where it goes.</param>
    /// <param name="arrived">ẑ0 there, at the predicted latent.</param>
    /// <param name="noisy">z_s at the newest level of the past.</param>
    /// <param name="past">Newest first; as many as the order are looked at.</param>
    /// <param name="order">Of the predictor that went there.</param>
    /// <param name="variant">B(h).</param>
    public static Tensor Correct(
        NoisePoint to,
        Tensor arrived,
        Tensor noisy,
        IReadOnlyList<PastEstimate> past,
        int order,
        UniPcVariant variant
    )
    {
        double[] ratios = [.. Ratios(to, past, order), 1];
        var weights = order == 1 ? [0.5] : Weights(ratios, Growth(to, past), variant);
        return Update(to, noisy, past, ratios, weights, arrived, variant);
    }

    private static double Growth(NoisePoint to, IReadOnlyList<PastEstimate> past) => to.Lambda - past[0].At.Lambda;

    private static double[] Ratios(NoisePoint to, IReadOnlyList<PastEstimate> past, int order)
    {
        var h = Growth(to, past);
        return [.. Enumerable.Range(1, order - 1).Select(k => (past[k].At.Lambda - past[0].At.Lambda) / h)];
    }

    /// <summary>ρ, one a ratio.</summary>
    private static double[] Weights(double[] ratios, double h, UniPcVariant variant)
    {
        if (ratios.Length == 0)
            return [];
        var right = new double[ratios.Length];
        // x·φ_1(x) = e^x − 1 and φ_{k+1}(x) = (φ_k(x) − 1/k!)/x; x is −h where data is predicted.
        var (phi, factorial) = (Expm1(-h) / -h, 1.0);
        for (var k = 0; k < right.Length; k++)
        {
            factorial *= k + 1;
            phi = (phi - (1 / factorial)) / -h;
            right[k] = factorial * phi * -h / B(h, variant);
        }

        var matrix = Matrix<double>.Build.Dense(ratios.Length, ratios.Length, (i, k) => Math.Pow(ratios[k], i));
        return matrix.Solve(Vector<double>.Build.Dense(right)).ToArray();
    }

    private static Tensor Update(
        NoisePoint to,
        Tensor noisy,
        IReadOnlyList<PastEstimate> past,
        double[] ratios,
        double[] weights,
        Tensor? arrived,
        UniPcVariant variant
    )
    {
        var (from, newest) = (past[0].At, past[0].Z0);
        using var scope = TensorScope.Enter();
        // e^−h − 1 without the difference of infinities where no noise is left.
        var decay = (to.B * from.A / (from.B * to.A)) - 1;
        var result = (noisy * (to.B / from.B)) - (newest * (to.A * decay));
        for (var k = 0; k < weights.Length; k++)
        {
            var other = arrived is not null && k == weights.Length - 1 ? arrived : past[k + 1].Z0;
            result -= (other - newest) * (to.A * B(Growth(to, past), variant) * weights[k] / ratios[k]);
        }

        return scope.Keep(result);
    }

    private static double B(double h, UniPcVariant variant) => variant == UniPcVariant.Bh1 ? -h : Expm1(-h);

    /// <summary>e^x − 1 without loss near 0.</summary>
    private static double Expm1(double x) => Math.Abs(x) > 0.5 ? Math.Exp(x) - 1 : 2 * Math.Exp(x / 2) * Math.Sinh(x / 2);
}
