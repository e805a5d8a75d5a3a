using System.Numerics;
using Retouch.Core.Errors;
using Retouch.Torch;

namespace Retouch.Evaluation.Features;

/// <summary>Squared distance of each row of a table to its k-th nearest neighbour, itself excluded.</summary>
internal static class NeighbourRadii
{
    /// <summary>Squared radii in float64.</summary>
    /// <exception cref="UsageException">Fewer than k + 1 rows.</exception>
    public static double[] Of(FeatureRows rows, int k, Device device, int side, CancellationToken cancellation)
    {
        if (k < 1 || k >= rows.Count)
            throw new UsageException(
                $"{k} neighbours of {rows.Count} pictures: use 1 to {rows.Count - 1} neighbours " + $"(--neighbours) or more pictures."
            );
        using var tiles = new FeatureTiles(rows, rows, device, side);
        var candidates = new Candidates[rows.Count];
        // Upper bounds of the k-th distances in one array, for vectorised comparison.
        var limits = new float[rows.Count];
        Array.Fill(limits, float.PositiveInfinity);
        for (var i = 0; i < candidates.Length; i++)
            candidates[i] = new Candidates(k);
        tiles.ForEach(
            upper: true,
            (row, count, column, columns, products) =>
            {
                Parallel.For(0, count, r => Rows(tiles, candidates, limits, row + r, column, Row(products, r, columns)));
                if (row == column)
                    return;
                // The transposed tile, one strip of columns per thread, so that each row's candidates belong to one thread.
                const int Strip = 128;
                Parallel.For(
                    0,
                    (columns + Strip - 1) / Strip,
                    s =>
                    {
                        var (from, to) = (s * Strip, Math.Min(columns, (s + 1) * Strip));
                        for (var r = 0; r < count; r++)
                            Columns(tiles, candidates, limits, row + r, column + from, Row(products, r, columns)[from..to]);
                    }
                );
            },
            cancellation
        );
        var radii = new double[rows.Count];
        Parallel.For(0, radii.Length, i => radii[i] = candidates[i].Exact(tiles, i));
        return radii;
    }

    private static ReadOnlySpan<float> Row(Tensor products, int row, int columns) => products.Span<float>().Slice(row * columns, columns);

    private static void Rows(FeatureTiles tiles, Candidates[] candidates, float[] limits, int i, int column, ReadOnlySpan<float> products)
    {
        var squares = tiles.SquaresA.AsSpan(column, products.Length);
        var (own, slack) = (tiles.SquaresA[i], tiles.Slack);
        for (var c = 0; c < products.Length; )
        {
            if (c <= products.Length - Vector<float>.Count)
            {
                var sums = new Vector<float>(own) + new Vector<float>(squares[c..]);
                var least = (sums * (1 - slack)) - (2 * new Vector<float>(products[c..]));
                if (Vector.GreaterThanAll(least, new Vector<float>(limits[i])))
                {
                    c += Vector<float>.Count;
                    continue;
                }
            }

            for (var end = Math.Min(c + Vector<float>.Count, products.Length); c < end; c++)
                Offer(candidates, limits, i, column + c, own + squares[c], products[c], slack);
        }
    }

    private static void Columns(
        FeatureTiles tiles,
        Candidates[] candidates,
        float[] limits,
        int other,
        int column,
        ReadOnlySpan<float> products
    )
    {
        var squares = tiles.SquaresA.AsSpan(column, products.Length);
        var (own, slack) = (tiles.SquaresA[other], tiles.Slack);
        for (var c = 0; c < products.Length; )
        {
            if (c <= products.Length - Vector<float>.Count)
            {
                var sums = new Vector<float>(own) + new Vector<float>(squares[c..]);
                var least = (sums * (1 - slack)) - (2 * new Vector<float>(products[c..]));
                if (Vector.GreaterThanAll(least, new Vector<float>(limits, column + c)))
                {
                    c += Vector<float>.Count;
                    continue;
                }
            }

            for (var end = Math.Min(c + Vector<float>.Count, products.Length); c < end; c++)
                Offer(candidates, limits, column + c, other, own + squares[c], products[c], slack);
        }
    }

    private static void Offer(Candidates[] candidates, float[] limits, int row, int other, float sum, float product, float slack)
    {
        var middle = sum - (2 * product);
        if (row == other || middle - (slack * sum) > limits[row])
            return;
        limits[row] = candidates[row].Add(other, middle - (slack * sum), middle + (slack * sum));
    }

    /// <summary>Candidates for the k nearest neighbours of a row, each with bounds of its distance.</summary>
    private sealed class Candidates(int k)
    {
        private readonly List<(int Row, float Least, float Most)> _list = new(4 * k);
        private float _limit = float.PositiveInfinity;
        private int _full = 4 * k;

        /// <summary>Adds a candidate; returns the upper bound of the k-th distance.</summary>
        public float Add(int row, float least, float most)
        {
            _list.Add((row, least, most));
            if (_list.Count == k || _list.Count >= _full)
                Tighten();
            return _limit;
        }

        public double Exact(FeatureTiles tiles, int row)
        {
            Tighten();
            var distances = new double[_list.Count];
            for (var c = 0; c < distances.Length; c++)
                distances[c] = tiles.Exact(row, _list[c].Row);
            Array.Sort(distances);
            return distances[k - 1];
        }

        private void Tighten()
        {
            var most = new float[_list.Count];
            for (var c = 0; c < most.Length; c++)
                most[c] = _list[c].Most;
            Array.Sort(most);
            _limit = most[k - 1];
            _list.RemoveAll(candidate => candidate.Least > _limit);
            _full = Math.Max(4 * k, 2 * _list.Count);
        }
    }
}
