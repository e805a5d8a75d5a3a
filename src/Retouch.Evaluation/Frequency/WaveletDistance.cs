using Retouch.Evaluation.Statistics;
using Retouch.Torch;

namespace Retouch.Evaluation.Frequency;

/// <summary>
/// The Fréchet wavelet distance (Veeramacheneni, Wolter, Kuehne and Gall, "Fréchet Wavelet Distance: A Domain-Agnostic Metric for Image
/// Generation", ICLR 2025): squared Fréchet distance of the coefficients of each wavelet packet, averaged over packets and by frequency
/// band. Requires no network.
/// </summary>
public sealed class WaveletDistance
{
    /// <summary>Names of the frequency bands.</summary>
    public static IReadOnlyList<string> BandNames { get; } = ["low", "mid", "high"];

    private WaveletDistance(WaveletPlan plan, double[] packets)
    {
        Plan = plan;
        Packets = packets;
        Value = packets.Average();
        Bands = BandMeans(plan, packets);
    }

    /// <summary>Level and packets.</summary>
    public WaveletPlan Plan { get; }

    /// <summary>Distance: the mean of <see cref="Packets"/>.</summary>
    public double Value { get; }

    /// <summary>Squared Fréchet distance of each packet, in the order of <see cref="WaveletPackets.Haar"/>.</summary>
    public IReadOnlyList<double> Packets { get; }

    /// <summary>
    /// Means over the packets of each band, see <see cref="WaveletPlan.Band"/>; NaN for a band without packets (level 1 has no high band).
    /// </summary>
    public IReadOnlyList<double> Bands { get; }

    /// <summary>Distance between two sets.</summary>
    /// <exception cref="ArgumentException">Their plans differ.</exception>
    public static WaveletDistance Between(WaveletStatistics images, WaveletStatistics reference)
    {
        ArgumentNullException.ThrowIfNull(images);
        ArgumentNullException.ThrowIfNull(reference);
        if (images.Plan != reference.Plan)
            throw new ArgumentException("The statistics of the two sets have different wavelet plans.", nameof(reference));
        var packets = new double[images.Plan.Packets];
        ForEachChunk(
            images.Plan,
            (first, count) =>
            {
                var (a, b) = (images.Gaussian, reference.Gaussian);
                FrechetDistance
                    .Squared(a.Mean(first, count), a.Covariance(first, count), b.Mean(first, count), b.Covariance(first, count))
                    .ToArray<double>()
                    .CopyTo(packets, first);
            }
        );
        return new WaveletDistance(images.Plan, packets);
    }

    /// <summary>Distance and the influence of each picture on it.</summary>
    /// <inheritdoc cref="Between"/>
    public static (WaveletDistance Distance, WaveletInfluence Influence) WithInfluence(
        WaveletStatistics images,
        WaveletStatistics reference
    )
    {
        ArgumentNullException.ThrowIfNull(images);
        ArgumentNullException.ThrowIfNull(reference);
        if (images.Plan != reference.Plan)
            throw new ArgumentException("The statistics of the two sets have different wavelet plans.", nameof(reference));
        var packets = new double[images.Plan.Packets];
        var influence = new WaveletInfluence(images);
        ForEachChunk(
            images.Plan,
            (first, count) =>
            {
                var (a, b) = (images.Gaussian, reference.Gaussian);
                var (meanA, meanB) = (a.Mean(first, count), b.Mean(first, count));
                var (distance, derivative) = FrechetDistance.SquaredWithDerivative(
                    meanA,
                    a.Covariance(first, count),
                    meanB,
                    b.Covariance(first, count)
                );
                distance.ToArray<double>().CopyTo(packets, first);
                influence.Set(first, 2 * (meanA - meanB), derivative);
            }
        );
        return (new WaveletDistance(images.Plan, packets), influence);
    }

    internal static double[] BandMeans(WaveletPlan plan, IReadOnlyList<double> packets)
    {
        var sums = new double[BandNames.Count];
        var counts = new int[BandNames.Count];
        for (var p = 0; p < packets.Count; p++)
        {
            sums[plan.Band(p)] += packets[p];
            counts[plan.Band(p)]++;
        }

        return [.. sums.Zip(counts, static (sum, count) => sum / count)];
    }

    // Eigenproblems need several copies of a covariance, hence a few packets at a time.
    private static void ForEachChunk(WaveletPlan plan, Action<int, int> action)
    {
        const long Bytes = 64L << 20;
        var chunk = (int)Math.Clamp(Bytes / Math.Max(1, plan.Bytes / plan.Packets), 1, plan.Packets);
        for (var first = 0; first < plan.Packets; first += chunk)
        {
            using var scope = TensorScope.Enter();
            using var quiet = Autograd.NoGrad();
            action(first, Math.Min(chunk, plan.Packets - first));
        }
    }
}
