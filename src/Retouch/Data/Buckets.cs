using Retouch.Core.Errors;

namespace Retouch.Data;

/// <summary>A size that batches come in.</summary>
/// <param name="Width">Pixels in a row.</param>
/// <param name="Height">Rows.</param>
public readonly record struct BucketSize(int Width, int Height);

/// <summary>
/// Sizes of about one area for pictures of different shapes: a picture goes to the size whose aspect ratio is nearest to its own, so that
/// little is cut off, and each batch is of one size (as NovelAI's bucketing, which Stable Diffusion's trainers took over).
/// </summary>
public static class Buckets
{
    /// <summary>
    /// All sizes whose sides are multiples of a step, between two sides, and whose area is at most that of the square: for each width the
    /// greatest height.
    /// </summary>
    /// <param name="side">Of the square.</param>
    /// <param name="step">Sides are multiples of it.</param>
    /// <param name="least">The shortest side.</param>
    /// <param name="most">The longest side.</param>
    /// <exception cref="UsageException">No size fits.</exception>
    public static IReadOnlyList<BucketSize> Sizes(int side, int step, int least, int most)
    {
        if (step < 1 || least < 1 || most < least || side < least || side > most)
            throw new UsageException(
                $"Buckets of about {side} x {side} with sides from {least} to {most} in steps of {step}: the sides must enclose "
                    + $"the square's."
            );
        SortedSet<(int Width, int Height)> sizes = [];
        for (var width = (least + step - 1) / step * step; width <= most; width += step)
        {
            var height = (int)Math.Min((long)side * side / width, most) / step * step;
            if (height >= least)
                sizes.UnionWith([(width, height), (height, width)]);
        }

        return sizes.Count > 0
            ? [.. sizes.Select(static s => new BucketSize(s.Width, s.Height))]
            : throw new UsageException(
                $"No size with sides from {least} to {most} in steps of {step} has at most the area of {side} x {side}."
            );
    }

    /// <summary>
    /// The bucket of each picture: the nearest aspect ratio among the sizes that it covers; all sizes where enlarging is allowed, or where
    /// it covers none (it is then refused when it is read). A bucket with less than a batch is emptied into the nearest one that is not
    /// empty.
    /// </summary>
    /// <param name="pictures">Width and height of each.</param>
    /// <param name="sizes">The buckets.</param>
    /// <param name="enlarging">Whether pictures may be enlarged.</param>
    /// <param name="batch">Pictures of one batch over all ranks.</param>
    /// <returns>Indices into <paramref name="sizes"/>.</returns>
    public static int[] Assign(IReadOnlyList<(int Width, int Height)> pictures, IReadOnlyList<BucketSize> sizes, bool enlarging, int batch)
    {
        ArgumentNullException.ThrowIfNull(pictures);
        ArgumentNullException.ThrowIfNull(sizes);
        var all = Enumerable.Range(0, sizes.Count).ToArray();
        var chosen = new int[pictures.Count];
        for (var k = 0; k < chosen.Length; k++)
        {
            var (width, height) = pictures[k];
            int[] covered = enlarging ? all : [.. all.Where(s => sizes[s].Width <= width && sizes[s].Height <= height)];
            var aspect = Math.Log((double)Math.Max(width, 1) / Math.Max(height, 1));
            // Of two as near, as of two of one shape, the larger.
            chosen[k] = (covered.Length == 0 ? all : covered)
                .OrderBy(s => Math.Abs(Aspect(sizes[s]) - aspect))
                .ThenByDescending(s => (long)sizes[s].Width * sizes[s].Height)
                .ThenBy(static s => s)
                .First();
        }

        while (true)
        {
            var counts = chosen.GroupBy(static s => s).ToDictionary(static g => g.Key, static g => g.Count());
            var small = counts
                .Where(c => c.Value < batch)
                .OrderBy(static c => c.Value)
                .ThenBy(static c => c.Key)
                .Select(static c => c.Key)
                .ToArray();
            if (small.Length == 0 || counts.Count == 1)
                return chosen;
            var into = counts
                .Keys.Where(s => s != small[0])
                .OrderBy(s => Math.Abs(Aspect(sizes[s]) - Aspect(sizes[small[0]])))
                .ThenBy(static s => s)
                .First();
            chosen = Array.ConvertAll(chosen, s => s == small[0] ? into : s);
        }
    }

    private static double Aspect(BucketSize size) => Math.Log((double)size.Width / size.Height);
}
