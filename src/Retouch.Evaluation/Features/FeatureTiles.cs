using System.Numerics;
using Retouch.Torch;

namespace Retouch.Evaluation.Features;

/// <summary>
/// All squared distances between two tables, a tile at a time, without the matrix of them all. A tile's products come from a float32 matrix
/// product of rows less a common mean; each distance then is known to within <see cref="Slack"/> · (|a|² + |b|²), and who needs more
/// computes it by <see cref="Exact(int, int)"/>. So comparisons come out as in float64 at the speed of float32, and do not depend on the
/// tiles.
/// </summary>
internal sealed class FeatureTiles : IDisposable
{
    /// <summary>Rows and columns of a tile.</summary>
    public const int DefaultSide = 2048;

    private readonly FeatureRows _a;
    private readonly FeatureRows _b;
    private readonly Tensor _mean;
    private readonly Device _device;
    private readonly int _side;

    public FeatureTiles(FeatureRows a, FeatureRows b, Device device, int side = DefaultSide)
    {
        if (a.Width != b.Width)
            throw new ArgumentException($"Tables of {a.Width} and {b.Width} features cannot be compared.", nameof(b));
        _a = a;
        _b = b;
        _device = device;
        _side = side;
        using var scope = TensorScope.Enter();
        _mean = a.Mean().Escape();
        SquaresA = Squares(a);
        SquaresB = ReferenceEquals(a, b) ? SquaresA : Squares(b);
        // Rounding of a sum of n products (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1) and of what stands
        // around it.
        Slack = (a.Width + 16) * MathF.ScaleB(1, -24);
    }

    /// <summary>|a|² of every row less the mean.</summary>
    public float[] SquaresA { get; }

    /// <summary>|b|² of every row less the mean.</summary>
    public float[] SquaresB { get; }

    /// <summary>A distance's error is at most this times (|a|² + |b|²).</summary>
    public float Slack { get; }

    /// <summary>Looks at every tile.</summary>
    /// <param name="upper">Leaves out the tiles below the diagonal; for a table with itself.</param>
    /// <param name="look">First row, rows, first column, columns, and the products [rows, columns].</param>
    /// <param name="cancellation">Ends it after a tile.</param>
    public void ForEach(bool upper, Action<int, int, int, int, Tensor> look, CancellationToken cancellation)
    {
        for (var row = 0; row < _a.Count; row += _side)
        {
            using var scope = TensorScope.Enter();
            using var quiet = Autograd.NoGrad();
            var rows = Math.Min(_side, _a.Count - row);
            var left = (_a.Block(row, rows) - _mean).To(_device);
            for (var column = upper ? row : 0; column < _b.Count; column += _side)
            {
                cancellation.ThrowIfCancellationRequested();
                using var inner = TensorScope.Enter();
                var columns = Math.Min(_side, _b.Count - column);
                var right = (_b.Block(column, columns) - _mean).To(_device);
                look(row, rows, column, columns, left.Matmul(right.T()).To(Device.Cpu));
            }
        }
    }

    /// <summary>The squared distance in float64 of the rows as they are; the same whichever comes first.</summary>
    public double Exact(int rowOfA, int rowOfB) => Exact(_a[rowOfA], _b[rowOfB]);

    public void Dispose() => _mean.Dispose();

    private static double Exact(ReadOnlySpan<float> x, ReadOnlySpan<float> y)
    {
        var (low, high) = (Vector<double>.Zero, Vector<double>.Zero);
        var k = 0;
        for (; k <= x.Length - Vector<float>.Count; k += Vector<float>.Count)
        {
            Vector.Widen(new Vector<float>(x[k..]), out var xLow, out var xHigh);
            Vector.Widen(new Vector<float>(y[k..]), out var yLow, out var yHigh);
            low += (xLow - yLow) * (xLow - yLow);
            high += (xHigh - yHigh) * (xHigh - yHigh);
        }

        var sum = Vector.Sum(low + high);
        for (; k < x.Length; k++)
            sum += ((double)x[k] - y[k]) * ((double)x[k] - y[k]);
        return sum;
    }

    private float[] Squares(FeatureRows rows)
    {
        var squares = new float[rows.Count];
        rows.ForEachBlock(
            (start, block) => (block - _mean).To(DType.Float64).Square().Sum([1L]).To(DType.Float32).ToArray<float>().CopyTo(squares, start)
        );
        return squares;
    }
}
