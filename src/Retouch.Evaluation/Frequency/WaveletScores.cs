using Retouch.Evaluation.Statistics;

namespace Retouch.Evaluation.Frequency;

/// <summary>
/// The Fréchet wavelet distance as scores of single pictures: distance plus mean influence of a resample.
/// </summary>
public static class WaveletScores
{
    /// <summary>Scores from a distance and its influences.</summary>
    /// <param name="distance">The distance.</param>
    /// <param name="influences">[pictures, <see cref="WaveletInfluence.Columns"/>], from <see cref="WaveletInfluence.Of"/>.</param>
    public static ImageScores Of(WaveletDistance distance, double[] influences)
    {
        ArgumentNullException.ThrowIfNull(distance);
        ArgumentNullException.ThrowIfNull(influences);
        Center(influences, WaveletInfluence.Columns);
        double[] values = [distance.Value, .. distance.Bands];
        // Level 1 has no high band: omitted, not NaN.
        int[] present = [.. Enumerable.Range(0, values.Length).Where(k => !double.IsNaN(values[k]))];
        FigureName[] names =
        [
            .. present.Select(k => new FigureName(k == 0 ? "fwd" : $"fwd.{WaveletDistance.BandNames[k - 1]}", Preference.Lower)),
        ];
        return new ImageScores(names, influences, WaveletInfluence.Columns, mean => [.. present.Select(k => values[k] + mean[k])]);
    }

    private static void Center(double[] rows, int columns)
    {
        var means = new double[columns];
        for (var i = 0; i < rows.Length; i++)
            means[i % columns] += rows[i];
        for (var i = 0; i < rows.Length; i++)
            rows[i] -= means[i % columns] * columns / rows.Length;
    }
}
