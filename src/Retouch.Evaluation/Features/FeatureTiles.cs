using System.Numerics;
using Retouch.Torch;

namespace Retouch.Evaluation.Features;

/// <summary>
/// All squared distances between two tables, one tile at a time, without storing the distance matrix. The products of a tile are a
/// float32 matrix product of centred rows, so that each distance is known to within <see cref="Slack"/> · (|a|² + |b|²). Comparisons
/// within this error bound use <see cref="Exact(int, int)"/>. The result therefore equals that of float64, at the speed of float32, and
/// does not depend on the tile size.
/// </summary>
internal sealed class FeatureTiles : IDisposable
{
    /// <summary>Rows and columns per tile.</summary>
    public const int DefaultSide = 2048;

    private readonly FeatureRows _a;
    private readonly FeatureRows _b;
    private readonly Tensor _mean;
    private readonly Device _device;
    private readonly int _side;

    public FeatureTiles(FeatureRows a, FeatureRows b, Device device, int side = DefaultSide)
    {
        if (a.Width != b.Width)
            throw new ArgumentException($"The tables have different widths: {a.Width} and {b.Width} features.", nameof(b));
        _a = a;
        _b = b;
        _device = device;
        _side = side;
        using var scope = TensorScope.Enter();
        _mean = a.Mean().Escape();
        SquaresA = Squares(a);
        SquaresB = ReferenceEquals(a, b) ? SquaresA : Squares(b);
        // Rounding error of a sum of n products (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1), and of the
        // terms around it.
        Slack = (a.Width + 16) * MathF.ScaleB(1, -24);
    }

    /// <summary>|a|² of each centred row.</summary>
    public float[] SquaresA { get; }

    /// <summary>|b|² of each centred row.</summary>
    public float[] SquaresB { get; }

    /// <summary>Relative error bound: the error of a distance is at most this value times (|a|² + |b|²).</summary>
    public float Slack { get; }

    /// <summary>Calls an action with each tile.</summary>
    /// <param name="upper">Skips the tiles below the diagonal, for a table compared with itself.</param>
    /// <param name="look">Called with first row, rows, first column, columns, and the products [rows, columns].</param>
    /// <param name="cancellation">Cancels between tiles.</param>
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

    /// <summary>Squared distance of two rows in float64; symmetric.</summary>
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
