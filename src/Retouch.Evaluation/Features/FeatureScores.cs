using Retouch.Evaluation.Statistics;
using Retouch.Torch;

namespace Retouch.Evaluation.Features;

/// <summary>Feature metrics as scores of single pictures, for the bootstrap.</summary>
public static class FeatureScores
{
    /// <summary>
    /// Squared Fréchet distance of features, with the influence of each picture on it (the influence function of
    /// <see cref="Frequency.WaveletInfluence"/> for a single packet).
    /// </summary>
    /// <param name="name">Name of the figure.</param>
    /// <param name="images">Features of the set.</param>
    /// <param name="mean">Mean of the reference's features [1, width], float64.</param>
    /// <param name="covariance">Their covariance [1, width, width], float64.</param>
    /// <param name="device">Device of the computation.</param>
    public static ImageScores Frechet(string name, FeatureRows images, Tensor mean, Tensor covariance, Device device)
    {
        ArgumentNullException.ThrowIfNull(images);
        ArgumentNullException.ThrowIfNull(mean);
        ArgumentNullException.ThrowIfNull(covariance);
        using var scope = TensorScope.Enter();
        using var quiet = Autograd.NoGrad();
        using var statistics = images.Statistics(device);
        var own = statistics.Mean(0, 1);
        var (distance, derivative) = FrechetDistance.SquaredWithDerivative(
            own,
            statistics.Covariance(0, 1),
            mean.To(device),
            covariance.To(device)
        );
        var byMean = (2 * (own - mean.To(device))).Transpose(0, 1);
        var byCovariance = derivative.Squeeze(0);
        var rows = new double[images.Count];
        images.ForEachBlock(
            (start, block) =>
            {
                var x = block.To(device).To(DType.Float64) - own;
                (x.Matmul(byMean).Squeeze(1) + (x.Matmul(byCovariance) * x).Sum([1L])).ToArray<double>().CopyTo(rows, start);
            }
        );
        return Influenced(name, distance.Item(), rows);
    }

    /// <summary>Kernel distance.</summary>
    /// <param name="name">Name of the figure.</param>
    /// <param name="images">Features of the set.</param>
    /// <param name="reference">Features of the reference.</param>
    /// <param name="options">Subsets and seed.</param>
    /// <param name="device">Device of the computation.</param>
    /// <param name="cancellation">Cancels between subsets.</param>
    public static ImageScores Kernel(
        string name,
        FeatureRows images,
        FeatureRows reference,
        KernelDistanceOptions options,
        Device device,
        CancellationToken cancellation
    ) =>
        Influenced(
            name,
            KernelDistance.Between(images, reference, options, device, cancellation),
            KernelDistance.Influence(images, reference, device, cancellation)
        );

    /// <summary>Precision and density, averaged over the set; recall and coverage, averaged over the reference.</summary>
    /// <param name="suffix">Suffix of the figures' names.</param>
    /// <param name="compared">Result of the comparison.</param>
    /// <param name="neighbours">k, the neighbour that defines the radius.</param>
    public static (ImageScores OfImages, ImageScores OfReference) PrecisionRecall(string suffix, PrecisionRecall compared, int neighbours)
    {
        ArgumentNullException.ThrowIfNull(compared);
        FigureName Name(string name) => new(name + suffix, Preference.Higher);
        double[] images = [.. compared.Balls.SelectMany(n => (IEnumerable<double>)[n > 0 ? 1 : 0, (double)n / neighbours])];
        double[] reference =
        [
            .. compared.Recalled.Zip(compared.Covered).SelectMany(static both => (IEnumerable<double>)[both.First, both.Second]),
        ];
        List<string> notes = [];
        void Collapsed(int balls, string whose)
        {
            if (balls > 0)
            {
                notes.Add(
                    $"{balls} pictures {whose} have at least {neighbours} exact copies in their set, and so balls of radius 0"
                        + (compared.HoldsBorder ? "" : " that contain no picture, not even an equal one")
                        + $"; precision, recall, density and coverage{suffix} are unreliable"
                );
            }
        }

        Collapsed(compared.CollapsedImages, "of the set");
        Collapsed(compared.CollapsedReference, "of the reference");
        return (
            new ImageScores([Name("precision"), Name("density")], images, 2, static mean => mean) { Notes = notes },
            new ImageScores([Name("recall"), Name("coverage")], reference, 2, static mean => mean) { OfReference = true }
        );
    }

    /// <summary>A figure with the influence of each picture on it, not necessarily centred.</summary>
    internal static ImageScores Influenced(string name, double value, double[] influences)
    {
        var mean = influences.Average();
        return new ImageScores(
            [new FigureName(name, Preference.Lower)],
            [.. influences.Select(x => x - mean)],
            1,
            shift => [value + shift[0]]
        );
    }
}
