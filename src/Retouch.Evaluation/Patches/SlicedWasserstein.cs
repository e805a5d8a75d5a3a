using Retouch.Evaluation.Statistics;
using Retouch.Torch;

namespace Retouch.Evaluation.Patches;

/// <summary>
/// Sliced Wasserstein distance of patches (Rabin et al. 2011; Karras, Aila, Laine and Lehtinen, "Progressive Growing of GANs", 2018,
/// section 5): on each level of a Laplacian pyramid, the mean over random directions of the 1-Wasserstein distance of the projected 7 x 7
/// patches. Not multiplied by 1000, unlike the tables of Karras et al.
/// </summary>
internal static class SlicedWasserstein
{
    // Directions per matrix product: bounds memory.
    private const int AtATime = 16;

    /// <summary>Scores of a set: the mean over levels, and each level, named by its shorter side.</summary>
    public static ImageScores Scores(
        PatchDescriptors images,
        PatchDescriptors reference,
        SlicedWassersteinOptions options,
        Device device,
        CancellationToken cancellation
    )
    {
        var levels = images.Levels.Count;
        var count = images.Levels[0].Count / images.PatchesPerPicture;
        var columns = levels + 1;
        var (values, rows) = (new double[columns], new double[count * columns]);
        for (var k = 0; k < levels; k++)
        {
            var (value, influence) = Level(images, reference, k, options, device, cancellation);
            values[k + 1] = value;
            values[0] += value / levels;
            var mean = influence.Average();
            for (var i = 0; i < count; i++)
            {
                rows[(i * columns) + k + 1] = influence[i] - mean;
                rows[i * columns] += (influence[i] - mean) / levels;
            }
        }

        FigureName[] names =
        [
            new("swd", Preference.Lower),
            .. Enumerable.Range(0, levels).Select(k => new FigureName($"swd.{images.Side(k)}", Preference.Lower)),
        ];
        return new ImageScores(names, rows, columns, shift => [.. values.Zip(shift, static (v, s) => v + s)]);
    }

    /// <summary>
    /// 1-Wasserstein distance of two samples, ∫|F − G|, and the first-order contribution of each value of the first sample: minus the
    /// integral of sign(F − G) up to the value, the dual potential (Santambrogio, "Optimal Transport for Applied Mathematicians", 2015,
    /// proposition 2.17).
    /// </summary>
    /// <param name="a">Sorted sample.</param>
    /// <param name="b">Sorted sample.</param>
    /// <param name="influence">Output in the order of <paramref name="a"/>, uncentred.</param>
    internal static double Distance(ReadOnlySpan<float> a, ReadOnlySpan<float> b, Span<double> influence)
    {
        double distance = 0,
            potential = 0;
        int i = 0,
            j = 0;
        double last = Math.Min(a[0], b[0]);
        while (i < a.Length || j < b.Length)
        {
            var isFirst = j == b.Length || (i < a.Length && a[i] <= b[j]);
            double next = isFirst ? a[i] : b[j];
            var gap = ((double)i / a.Length) - ((double)j / b.Length);
            distance += Math.Abs(gap) * (next - last);
            potential += Math.Sign(gap) * (next - last);
            last = next;
            if (isFirst)
                influence[i++] = -potential;
            else
                j++;
        }

        return distance;
    }

    private static (double Value, double[] Influence) Level(
        PatchDescriptors images,
        PatchDescriptors reference,
        int level,
        SlicedWassersteinOptions options,
        Device device,
        CancellationToken cancellation
    )
    {
        var (a, b) = (images.Levels[level], reference.Levels[level]);
        var influence = new double[a.Count / images.PatchesPerPicture];
        var sum = 0.0;
        var (moments, momentsB) = (images.Moments(level), reference.Moments(level));
        using var generator = Generator.Create(Device.Cpu, Data.SplitMix64.Derive(options.Seed, 0x646972, (ulong)level));
        for (var first = 0; first < options.Directions; first += AtATime)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = TensorScope.Enter();
            using var quiet = Autograd.NoGrad();
            var count = Math.Min(AtATime, options.Directions - first);
            var directions = Ops.Randn([a.Width, count], generator);
            directions = directions / directions.Square().Sum([0L], keepdim: true).Sqrt();
            var (sorted, order) = Projected(a, moments, directions, device).Sort(-1, descending: false);
            var (sortedB, _) = Projected(b, momentsB, directions, device).Sort(-1, descending: false);
            (sorted, order, sortedB) = (
                sorted.To(Device.Cpu).Contiguous(),
                order.To(Device.Cpu).Contiguous(),
                sortedB.To(Device.Cpu).Contiguous()
            );
            var distances = new double[count];
            var shares = new double[count][];
            Parallel.For(
                0,
                count,
                d =>
                {
                    var parts = new double[a.Count];
                    distances[d] = Distance(
                        sorted.Span<float>().Slice(d * a.Count, a.Count),
                        sortedB.Span<float>().Slice(d * b.Count, b.Count),
                        parts
                    );
                    var places = order.Span<long>().Slice(d * a.Count, a.Count);
                    var share = new double[influence.Length];
                    for (var i = 0; i < parts.Length; i++)
                        share[places[i] / images.PatchesPerPicture] += parts[i];
                    shares[d] = share;
                }
            );
            sum += distances.Sum();
            foreach (var share in shares)
            {
                for (var i = 0; i < influence.Length; i++)
                    influence[i] += share[i] / ((double)images.PatchesPerPicture * options.Directions);
            }
        }

        return (sum / options.Directions, influence);
    }

    /// <summary>Projections of the normalised descriptors, [directions, patches], float32.</summary>
    private static Tensor Projected(
        Features.FeatureRows table,
        (double[] Mean, double[] Deviation) moments,
        Tensor directions,
        Device device
    )
    {
        using var scope = TensorScope.Enter();
        var (mean, deviation) = moments;
        var perChannel = table.Width / mean.Length;
        Tensor Spread(IEnumerable<double> values) =>
            Tensor.From([.. values], mean.Length, 1).Repeat([1, perChannel]).Flatten().Unsqueeze(1).To(DType.Float32);
        // The directions absorb the normalisation: (x - m)/s . u = x . (u/s) - m . (u/s). A level without contrast is not scaled.
        var scaled = directions / Spread(deviation.Select(static s => s > 0 ? s : 1));
        var shift = (Spread(mean) * scaled).Sum([0L], keepdim: true).T().To(device);
        return scope.Keep(scaled.T().To(device).Matmul(table.Block(0, table.Count).To(device).T()) - shift);
    }
}
