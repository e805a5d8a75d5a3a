using Retouch.Torch;

namespace Retouch.Evaluation.Frequency;

/// <summary>
/// Influence function of the Fréchet wavelet distance: the first-order contribution of each picture (Hampel 1974; infinitesimal jackknife,
/// Efron 1982). For a picture with coefficients x in a packet: 2(μ − μ_ref)·(x − μ) + (x − μ)ᵀ(I − T)(x − μ),
/// less its mean over the set. Resampling these values instead of pictures gives intervals of the distance without further eigenproblems,
/// and without the upward bias that repeated pictures cause in a covariance. The reference is treated as fixed.
/// </summary>
public sealed class WaveletInfluence : IDisposable
{
    private readonly WaveletPlan _plan;
    private readonly Tensor _mean;
    private readonly Tensor _byMean;
    private readonly Tensor _byCovariance;
    private readonly Tensor _bands;

    internal WaveletInfluence(WaveletStatistics images)
    {
        _plan = images.Plan;
        _mean = images.Gaussian.Mean(0, _plan.Packets).Clone().Escape();
        _byMean = Ops.ZerosLike(_mean).Escape();
        _byCovariance = Ops.Zeros([_plan.Packets, _plan.Features, _plan.Features], dtype: DType.Float64, device: _mean.Device).Escape();
        _bands = Averages(_plan).To(_mean.Device).Escape();
    }

    /// <summary>Values per picture: the influence on the whole distance and on each of the three bands.</summary>
    public static int Columns => 1 + WaveletDistance.BandNames.Count;

    /// <summary>Influence of pictures of the set.</summary>
    /// <param name="images">[batch, 3, height, width] in [0, 1].</param>
    /// <returns>[batch, <see cref="Columns"/>], uncentred; 0 in the column of a band without packets.</returns>
    public double[] Of(Tensor images)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        var x = WaveletStatistics.Samples(images, _plan) - _mean.Unsqueeze(1);
        var linear = x.Matmul(_byMean.Unsqueeze(-1)).Squeeze(-1);
        var quadratic = (x.Bmm(_byCovariance) * x).Sum([-1L]);
        return (linear + quadratic).Transpose(0, 1).Matmul(_bands).ToArray<double>();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _mean.Dispose();
        _byMean.Dispose();
        _byCovariance.Dispose();
        _bands.Dispose();
    }

    internal void Set(int first, Tensor meanDerivative, Tensor covarianceDerivative)
    {
        _byMean.Narrow(0, first, meanDerivative.Shape[0]).CopyInPlace(meanDerivative);
        _byCovariance.Narrow(0, first, covarianceDerivative.Shape[0]).CopyInPlace(covarianceDerivative);
    }

    /// <summary>[packets, columns]: averages over all packets and over those of each band, as a matrix.</summary>
    private static Tensor Averages(WaveletPlan plan)
    {
        var counts = new double[Columns];
        for (var p = 0; p < plan.Packets; p++)
            counts[1 + plan.Band(p)]++;
        var weights = new double[plan.Packets * Columns];
        for (var p = 0; p < plan.Packets; p++)
        {
            weights[p * Columns] = 1.0 / plan.Packets;
            weights[(p * Columns) + 1 + plan.Band(p)] = 1.0 / counts[1 + plan.Band(p)];
        }

        return Tensor.From(weights, plan.Packets, Columns);
    }
}
