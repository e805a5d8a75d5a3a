namespace Retouch.Evaluation.Reports;

/// <summary>Processing of a series before drawing.</summary>
internal static class ChartCurves
{
    /// <summary>Maximum number of points per series in a page, about the resolution of a screen.</summary>
    public const int MostPoints = 2400;

    /// <summary>
    /// Bias-corrected exponential average: s_i = Σ w^(i−j) y_j / Σ w^(i−j). Non-finite values are unchanged and excluded from the average.
    /// </summary>
    public static double[] Smooth(IReadOnlyList<double> values, double weight)
    {
        var smoothed = new double[values.Count];
        double sum = 0,
            norm = 0;
        for (var i = 0; i < smoothed.Length; i++)
        {
            if (!double.IsFinite(values[i]))
            {
                smoothed[i] = values[i];
                continue;
            }

            sum = (sum * weight) + values[i];
            norm = (norm * weight) + 1;
            smoothed[i] = sum / norm;
        }

        return smoothed;
    }

    /// <summary>
    /// Indices of the points to draw: all, or the first, lowest and highest point of equal runs and the first of every gap, so that spikes
    /// remain visible. First and last point are always included.
    /// </summary>
    public static int[] Thin(IReadOnlyList<double> values, int most = MostPoints)
    {
        var count = values.Count;
        if (count <= most)
            return [.. Enumerable.Range(0, count)];
        var buckets = Math.Max(1, most / 4);
        SortedSet<int> kept = [0, count - 1];
        for (var bucket = 0; bucket < buckets; bucket++)
        {
            var start = (int)((long)bucket * count / buckets);
            var end = (int)((long)(bucket + 1) * count / buckets);
            kept.Add(start);
            int lowest = -1,
                highest = -1,
                gap = -1;
            for (var i = start; i < end; i++)
            {
                if (!double.IsFinite(values[i]))
                {
                    gap = gap < 0 ? i : gap;
                    continue;
                }

                lowest = lowest < 0 || values[i] < values[lowest] ? i : lowest;
                highest = highest < 0 || values[i] > values[highest] ? i : highest;
            }

            foreach (var index in (ReadOnlySpan<int>)[lowest, highest, gap])
            {
                if (index >= 0)
                    kept.Add(index);
            }
        }

        return [.. kept];
    }

    /// <summary>Number of points that a logarithmic axis cannot show.</summary>
    public static int Undrawable(LineChart chart) =>
        chart.Series.Sum(series =>
            Enumerable.Range(0, series.X.Count).Count(i => (chart.X.Log && series.X[i] <= 0) || (chart.Y.Log && series.Y[i] <= 0))
        );

    /// <summary>Cumulative sums of the series, bottom first, for a stacked chart.</summary>
    public static IReadOnlyList<double[]> Stack(IReadOnlyList<ChartSeries> series)
    {
        var sum = new double[series[0].Y.Count];
        List<double[]> tops = [];
        foreach (var layer in series)
        {
            for (var i = 0; i < sum.Length; i++)
                sum[i] += layer.Y[i];
            tops.Add([.. sum]);
        }

        return tops;
    }
}
