using Retouch.Objectives.LatentPerceptual;

namespace Retouch.Tests.Objectives;

/// <summary>Independent implementation of [LPL] eq. 2 for one map, as loops over doubles.</summary>
internal static class FeatureReference
{
    /// <summary>Unmasked pixels; null for all.</summary>
    public static bool[] Mask(double[] f, int height, int width, MaskSettings? s)
    {
        if (s is null)
            return Enumerable.Repeat(true, f.Length).ToArray();
        var n = f.Length;
        var sorted = f.Order().ToArray();
        var mean = f.Average();
        var margin = n > 1 ? s.Margin * Math.Sqrt(f.Sum(v => (v - mean) * (v - mean)) / (n - 1)) : 0;
        var low = sorted[Math.Max(1, (int)(n * s.Quantile)) - 1] - margin;
        var high = sorted[Math.Max(1, (int)(n * (1 - s.Quantile))) - 1] + margin;
        var kept = f.Select(v => v > low && v < high).ToArray();
        return Pool(Pool(kept, height, width, s.Closing, any: true), height, width, s.Opening, any: false);
    }

    /// <summary>Loss of one map, with the statistics of a <c>frozen</c> estimate, or of the estimate itself.</summary>
    public static double Loss(double[] target, double[] estimate, bool[] mask, FeatureSettings s, double[]? frozen = null)
    {
        var floor = 1e-6 + (s.Floor * Moments(target, mask).Variance);
        (double Mean, double Deviation) Statistics(double[] f)
        {
            var (m, variance) = Moments(f, mask);
            return (m, Math.Sqrt(variance + floor));
        }

        var (mean, deviation) = Statistics(s.Statistics == StatisticsSource.Target ? target : frozen ?? estimate);
        var (targetMean, targetDeviation) = s.Statistics == StatisticsSource.Own ? Statistics(target) : (mean, deviation);
        if (s.Normalisation == Normalisation.None)
            (mean, deviation, targetMean, targetDeviation) = (0, 1, 0, 1);
        double sum = 0;
        for (var k = 0; k < target.Length; k++)
        {
            var d = ((target[k] - targetMean) / targetDeviation) - ((estimate[k] - mean) / deviation);
            sum +=
                !mask[k] ? 0
                : s.Difference == FeatureDifference.Absolute ? Math.Abs(d)
                : d * d;
        }

        return sum / (s.Kept ? Math.Max(mask.Count(static m => m), 1) : target.Length);
    }

    private static (double Mean, double Variance) Moments(double[] f, bool[] mask)
    {
        var kept = f.Where((_, k) => mask[k]).ToArray();
        if (kept.Length == 0)
            return (0, 0);
        var mean = kept.Average();
        return (mean, kept.Average(v => (v - mean) * (v - mean)));
    }

    private static bool[] Pool(bool[] mask, int height, int width, int side, bool any)
    {
        var r = (side - 1) / 2;
        var result = new bool[mask.Length];
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
            {
                var window =
                    from j in Enumerable.Range(y - r, side)
                    from i in Enumerable.Range(x - r, side)
                    where j >= 0 && j < height && i >= 0 && i < width
                    select mask[(j * width) + i];
                result[(y * width) + x] = any ? window.Any(static m => m) : window.All(static m => m);
            }
        }

        return result;
    }
}
