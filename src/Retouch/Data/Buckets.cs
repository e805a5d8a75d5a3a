using Retouch.Core.Errors;

namespace Retouch.Data;

/// <summary>Picture size of a bucket.</summary>
/// <param name="Width">Width in pixels.</param>
/// <param name="Height">Height in pixels.</param>
public readonly record struct BucketSize(int Width, int Height);

/// <summary>
/// Aspect-ratio bucketing: sizes of about equal area. A picture is assigned to the size of nearest aspect ratio, which minimises
/// cropping, and each batch has one size (as in NovelAI's bucketing, adopted by Stable Diffusion trainers).
/// </summary>
public static class Buckets
{
    /// <summary>
    /// All sizes with sides between two limits, multiples of a step, and an area of at most a square's: for each width the largest
    /// height, and the transposed sizes.
    /// </summary>
    /// <param name="side">Side of the square in pixels.</param>
    /// <param name="step">Divisor of all sides.</param>
    /// <param name="least">Minimum side.</param>
    /// <param name="most">Maximum side.</param>
    /// <exception cref="UsageException">The limits do not include the square, or no size fits.</exception>
    public static IReadOnlyList<BucketSize> Sizes(int side, int step, int least, int most)
    {
        if (step < 1 || least < 1 || most < least || side < least || side > most)
            throw new UsageException(
                $"Buckets of about {side} x {side} with sides from {least} to {most} in steps of {step}: the range must include the "
                    + $"square's side."
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
    /// Assigns each picture to the bucket of nearest aspect ratio among the sizes it covers; among all sizes if enlarging is allowed,
    /// or if it covers none (reading then refuses it). A bucket with less than a batch is merged into the nearest non-empty one.
    /// </summary>
    /// <param name="pictures">Width and height of each picture.</param>
    /// <param name="sizes">Bucket sizes.</param>
    /// <param name="enlarging">Whether pictures can be enlarged.</param>
    /// <param name="batch">Pictures per batch over all ranks.</param>
    /// <returns>Indices into <paramref name="sizes"/>, one per picture.</returns>
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
            // Ties are resolved in favour of the larger size.
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
