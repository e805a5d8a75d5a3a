using Retouch.Core.Errors;
using Retouch.Data;
using Retouch.Torch;

namespace Retouch.Evaluation.Features;

/// <summary>Options of kernel distances.</summary>
public sealed record KernelDistanceOptions
{
    /// <summary>Number of subsets, 1 to 10,000.</summary>
    [Bounds(AtLeast = 1, AtMost = 10_000)]
    public int Subsets { get; init; } = 100;

    /// <summary>Pictures of each set per subset, at least 2; bounded by the size of the smaller set.</summary>
    [Bounds(AtLeast = 2)]
    public int SubsetSize { get; init; } = 1000;

    /// <summary>Seed of the subsets.</summary>
    public ulong Seed { get; init; }

    /// <summary>Kernel of features x and y of width d.</summary>
    public string Kernel { get; } = "(x·y/d + 1)^3";

    /// <summary>Checks the options.</summary>
    /// <param name="check">Receives the problems.</param>
    public void Validate(Requirements check)
    {
        ArgumentNullException.ThrowIfNull(check);
        check.Members(this);
    }
}

/// <summary>
/// Unbiased squared maximum mean discrepancy with a polynomial kernel (Bińkowski et al., "Demystifying MMD GANs", 2018, section 4 and eq.
/// 4), averaged over subsets; on Inception features, the kernel Inception distance. The estimate may be negative.
/// </summary>
public static class KernelDistance
{
    /// <summary>Mean over the subsets.</summary>
    /// <remarks>Pictures are drawn from the sorted table: the result does not depend on their order.</remarks>
    public static double Between(
        FeatureRows images,
        FeatureRows reference,
        KernelDistanceOptions options,
        Device device,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(images);
        ArgumentNullException.ThrowIfNull(reference);
        ArgumentNullException.ThrowIfNull(options);
        var size = SubsetSize(images, reference, options);
        var (imageOrder, referenceOrder) = (Sorted(images), Sorted(reference));
        var sum = 0.0;
        for (var s = 0; s < options.Subsets; s++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = TensorScope.Enter();
            using var quiet = Autograd.NoGrad();
            var random = new SplitMix64(SplitMix64.Derive(options.Seed, 0x6B6964, (ulong)s));
            var x = Drawn(images, imageOrder, size, ref random).To(device);
            var y = Drawn(reference, referenceOrder, size, ref random).To(device);
            sum += Unbiased(x, y);
        }

        return sum / options.Subsets;
    }

    /// <summary>Pictures of each set per subset: the option, or all pictures of the smaller set.</summary>
    public static int SubsetSize(FeatureRows images, FeatureRows reference, KernelDistanceOptions options)
    {
        ArgumentNullException.ThrowIfNull(images);
        ArgumentNullException.ThrowIfNull(reference);
        ArgumentNullException.ThrowIfNull(options);
        return Math.Min(options.SubsetSize, Math.Min(images.Count, reference.Count));
    }

    /// <summary>Unbiased MMD² of rows x [m, d] and y [n, d], float64, without the diagonal terms.</summary>
    internal static double Unbiased(Tensor x, Tensor y)
    {
        using var scope = TensorScope.Enter();
        double m = x.Shape[0],
            n = y.Shape[0];
        double Within(Tensor rows)
        {
            var kernel = Kernel(rows, rows);
            return kernel.Sum().Item() - kernel.Diagonal(0, 0, 1).Sum().Item();
        }

        return (Within(x) / (m * (m - 1))) + (Within(y) / (n * (n - 1))) - (2 * Kernel(x, y).Sum().Item() / (m * n));
    }

    /// <summary>
    /// First-order contribution of each picture to the distance: twice its mean kernel with the rest of the set less twice that with
    /// the reference (the projection of the U-statistic, Hoeffding 1948).
    /// </summary>
    /// <returns>[pictures], uncentred.</returns>
    internal static double[] Influence(FeatureRows images, FeatureRows reference, Device device, CancellationToken cancellation)
    {
        var within = new double[images.Count];
        var across = new double[images.Count];
        const int Block = 1024;
        images.ForEachBlock(
            (start, left) =>
            {
                var x = left.To(device);
                void Add(FeatureRows others, double[] sums) =>
                    others.ForEachBlock(
                        (_, right) =>
                        {
                            cancellation.ThrowIfCancellationRequested();
                            var part = Kernel(x, right.To(device)).Sum([1L], dtype: DType.Float64).ToArray<double>();
                            for (var i = 0; i < part.Length; i++)
                                sums[start + i] += part[i];
                        },
                        Block
                    );
                Add(images, within);
                Add(reference, across);
                var itself = ((x.Square().Sum([1L]) / images.Width) + 1).Pow(3).ToArray<double>();
                for (var i = 0; i < itself.Length; i++)
                    within[start + i] -= itself[i];
            },
            Block
        );
        return [.. within.Zip(across, (w, a) => 2 * ((w / (images.Count - 1)) - (a / reference.Count)))];
    }

    private static Tensor Kernel(Tensor x, Tensor y) => ((x.Matmul(y.T()) / x.Shape[1]) + 1).Pow(3);

    private static int[] Sorted(FeatureRows rows)
    {
        int[] order = [.. Enumerable.Range(0, rows.Count)];
        Array.Sort(order, (i, j) => rows[i].SequenceCompareTo(rows[j]));
        return order;
    }

    /// <summary>Rows drawn without replacement, [size, width], float64.</summary>
    private static Tensor Drawn(FeatureRows rows, int[] order, int size, ref SplitMix64 random)
    {
        using var scope = TensorScope.Enter();
        var places = (int[])order.Clone();
        var chosen = new long[size];
        for (var i = 0; i < size; i++)
        {
            var j = i + random.NextInt(places.Length - i);
            (places[i], places[j]) = (places[j], places[i]);
            chosen[i] = places[i];
        }

        return scope.Keep(rows.Block(0, rows.Count).IndexSelect(0, Tensor.From(chosen)).To(DType.Float64));
    }
}
