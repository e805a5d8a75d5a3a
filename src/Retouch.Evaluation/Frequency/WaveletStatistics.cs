using Retouch.Evaluation.Statistics;
using Retouch.Torch;

namespace Retouch.Evaluation.Frequency;

/// <summary>Mean and covariance of each wavelet packet over a set, accumulated by batch.</summary>
public sealed class WaveletStatistics : IDisposable
{
    private const double LogarithmFloor = 1e-6;

    /// <param name="plan">Plan for the size of the pictures.</param>
    /// <param name="device">Device of the computation.</param>
    public WaveletStatistics(WaveletPlan plan, Device device)
    {
        ArgumentNullException.ThrowIfNull(plan);
        Plan = plan;
        Gaussian = new GaussianStatistics(plan.Packets, plan.Features, device);
    }

    /// <summary>Level and packets.</summary>
    public WaveletPlan Plan { get; }

    /// <summary>Statistics, one group per packet.</summary>
    public GaussianStatistics Gaussian { get; }

    /// <summary>Adds pictures.</summary>
    /// <param name="images">[batch, 3, height, width] in [0, 1].</param>
    public void Add(Tensor images)
    {
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        Gaussian.Add(Samples(images, Plan));
    }

    /// <inheritdoc/>
    public void Dispose() => Gaussian.Dispose();

    /// <summary>[batch, 3, height, width] to [packets, batch, features], float64.</summary>
    internal static Tensor Samples(Tensor images, WaveletPlan plan)
    {
        using var scope = TensorScope.Enter();
        var packets = WaveletPackets.Haar(images.To(DType.Float64), plan.Level);
        if (plan.Logarithm)
            packets = (packets.Abs() + LogarithmFloor).Log();
        return scope.Keep(packets.Flatten(2).Transpose(0, 1).Contiguous());
    }
}
