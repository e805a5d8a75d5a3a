using System.Numerics;
using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Evaluation.Features;

/// <summary>Membership of a ball's boundary.</summary>
public enum BallRule
{
    /// <summary>Excluded: distance &lt; radius, as in the prdc package of Naeem et al.</summary>
    Open,

    /// <summary>Included: distance ≤ radius, as in Kynkäänniemi et al. and torch-fidelity.</summary>
    Closed,
}

/// <summary>Options of precision, recall, density and coverage.</summary>
public sealed record PrecisionRecallOptions
{
    /// <summary>Neighbour k whose distance is a ball's radius, at least 1; the picture itself does not count.</summary>
    [Bounds(AtLeast = 1)]
    public int Neighbours { get; init; } = 5;

    /// <summary>Whether a ball contains its boundary.</summary>
    public BallRule Rule { get; init; } = BallRule.Open;

    /// <summary>Checks the options.</summary>
    /// <param name="check">Receives the problems.</param>
    public void Validate(Requirements check)
    {
        ArgumentNullException.ThrowIfNull(check);
        check.Members(this);
    }
}

/// <summary>
/// Precision and recall (Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models", 2019, eq. 1 and 2),
/// density and coverage (Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", 2020, eq. 4 and 5), per picture.
/// The ball of a picture has the distance to its k-th nearest neighbour in the same set as radius.
/// </summary>
public sealed class PrecisionRecall
{
    private readonly int _neighbours;

    private PrecisionRecall(int neighbours, int[] balls, byte[] recalled, byte[] covered) =>
        (_neighbours, Balls, Recalled, Covered) = (neighbours, balls, recalled, covered);

    /// <summary>Number of reference balls that contain each picture of the set.</summary>
    public IReadOnlyList<int> Balls { get; }

    /// <summary>1 for each reference picture inside a ball of the set, else 0.</summary>
    public IReadOnlyList<byte> Recalled { get; }

    /// <summary>1 for each reference picture whose ball contains a picture of the set, else 0.</summary>
    public IReadOnlyList<byte> Covered { get; }

    /// <summary>Number of pictures of the set whose ball has radius 0, because of at least k exact copies.</summary>
    public int CollapsedImages { get; private init; }

    /// <summary>As <see cref="CollapsedImages"/>, for the reference.</summary>
    public int CollapsedReference { get; private init; }

    /// <summary>Whether a ball contains its boundary.</summary>
    public bool HoldsBorder { get; private init; }

    /// <summary>Share of the set inside a ball of the reference.</summary>
    public double Precision => Balls.Average(static n => n > 0 ? 1.0 : 0);

    /// <summary>Share of the reference inside a ball of the set.</summary>
    public double Recall => Recalled.Average(static n => (double)n);

    /// <summary>Mean number of reference balls that contain a picture of the set, divided by k; may exceed 1.</summary>
    public double Density => Balls.Average() / _neighbours;

    /// <summary>Share of the reference whose ball contains a picture of the set.</summary>
    public double Coverage => Covered.Average(static n => (double)n);

    /// <summary>
    /// Compares two sets. Memory besides the tables: three tiles (48 MiB at 2048 features) and a few hundred bytes per picture. Comparisons
    /// are decided in float64.
    /// </summary>
    /// <param name="images">Features of the set.</param>
    /// <param name="reference">Features of the reference.</param>
    /// <param name="options">k and the ball rule.</param>
    /// <param name="device">Device of the matrix products.</param>
    /// <param name="cancellation">Cancels between tiles.</param>
    /// <exception cref="UsageException">A set has fewer than k + 1 pictures.</exception>
    public static PrecisionRecall Between(
        FeatureRows images,
        FeatureRows reference,
        PrecisionRecallOptions options,
        Device device,
        CancellationToken cancellation = default
    ) => Between(images, reference, options, device, FeatureTiles.DefaultSide, cancellation);

    internal static PrecisionRecall Between(
        FeatureRows images,
        FeatureRows reference,
        PrecisionRecallOptions options,
        Device device,
        int side,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(images);
        ArgumentNullException.ThrowIfNull(reference);
        ArgumentNullException.ThrowIfNull(options);
        var k = options.Neighbours;
        var own = NeighbourRadii.Of(images, k, device, side, cancellation);
        var real = NeighbourRadii.Of(reference, k, device, side, cancellation);
        var closed = options.Rule == BallRule.Closed;
        // Rounded up, so that a vectorised test can reject pairs outside both balls.
        float[] realUp = [.. real.Select(Up)],
            ownUp = [.. own.Select(Up)];
        var result = new PrecisionRecall(k, new int[images.Count], new byte[reference.Count], new byte[reference.Count])
        {
            CollapsedImages = own.Count(static r => r == 0),
            CollapsedReference = real.Count(static r => r == 0),
            HoldsBorder = closed,
        };
        var (balls, recalled, covered) = ((int[])result.Balls, (byte[])result.Recalled, (byte[])result.Covered);

        using var tiles = new FeatureTiles(images, reference, device, side);
        tiles.ForEach(
            upper: false,
            (row, rows, column, columns, products) =>
                Parallel.For(
                    0,
                    rows,
                    r =>
                    {
                        var i = row + r;
                        var line = products.Span<float>().Slice(r * columns, columns);
                        var (square, slack, ball) = (tiles.SquaresA[i], tiles.Slack, new Vector<float>(ownUp[i]));
                        for (var c = 0; c < columns; )
                        {
                            var j = column + c;
                            if (c <= columns - Vector<float>.Count)
                            {
                                var sums = new Vector<float>(square) + new Vector<float>(tiles.SquaresB, j);
                                var least = (sums * (1 - slack)) - (2 * new Vector<float>(line[c..]));
                                if (Vector.GreaterThanAll(least, Vector.Max(ball, new Vector<float>(realUp, j))))
                                {
                                    c += Vector<float>.Count;
                                    continue;
                                }
                            }

                            for (var end = Math.Min(c + Vector<float>.Count, columns); c < end; c++)
                                Compare(i, column + c, square + tiles.SquaresB[column + c], line[c]);
                        }
                    }
                ),
            cancellation
        );
        return result;

        void Compare(int i, int j, float sum, float product)
        {
            var (middle, error) = (sum - (2 * product), tiles.Slack * sum);
            double least = middle - error,
                most = middle + error;
            var exact = double.NaN;
            if (Holds(real[j]))
            {
                // Concurrent writes of the same value.
                covered[j] = 1;
                balls[i]++;
            }

            if (recalled[j] == 0 && Holds(own[i]))
                recalled[j] = 1;

            bool Holds(double radius)
            {
                if (most < radius)
                    return true;
                if (least > radius)
                    return false;
                if (double.IsNaN(exact))
                    exact = tiles.Exact(i, j);
                return closed ? exact <= radius : exact < radius;
            }
        }
    }

    private static float Up(double value) => MathF.BitIncrement((float)value);
}
