using Retouch.Evaluation.Statistics;

namespace Retouch.Evaluation.Frequency;

/// <summary>
/// Error of the mean radial power spectrum as log₁₀ of its ratio to the reference: the root mean square over all rings and over the low,
/// middle and high third of the frequencies, and the means (negative: too little energy, as in blurred pictures).
/// </summary>
public static class SpectrumError
{
    /// <summary>
    /// Power of rounding to 8 bits, 1 / (12·255²), the lower bound of a ring's power. Bounds the logarithm of an empty ring.
    /// </summary>
    public const double Floor = 1 / (12.0 * 255 * 255);

    private static readonly FigureName[] Figures =
    [
        new("spectrum", Preference.Lower),
        new("spectrum.low", Preference.Lower),
        new("spectrum.mid", Preference.Lower),
        new("spectrum.high", Preference.Lower),
        new("spectrum.bias", Preference.None),
        new("spectrum.bias.low", Preference.None),
        new("spectrum.bias.mid", Preference.None),
        new("spectrum.bias.high", Preference.None),
    ];

    /// <summary>Band of a ring, by thirds of the frequencies: 0 low, 1 middle, 2 high.</summary>
    /// <param name="ring">Index, 1 to <paramref name="rings"/>.</param>
    /// <param name="rings">Number of rings.</param>
    public static int Band(int ring, int rings) => Math.Min(2, 3 * (ring - 1) / rings);

    /// <summary>log₁₀(profile / reference) of each ring.</summary>
    public static double[] LogRatio(IReadOnlyList<double> profile, IReadOnlyList<double> reference)
    {
        ArgumentNullException.ThrowIfNull(profile);
        ArgumentNullException.ThrowIfNull(reference);
        if (profile.Count != reference.Count)
            throw new ArgumentException(
                $"The profiles have different lengths: {profile.Count} and {reference.Count} rings.",
                nameof(reference)
            );
        return [.. profile.Zip(reference, static (p, r) => Math.Log10(Math.Max(p, Floor) / Math.Max(r, Floor)))];
    }

    /// <summary>Scores of a set against a reference.</summary>
    /// <param name="images">Spectra of the set.</param>
    /// <param name="reference">Mean radial profile of the reference.</param>
    /// <param name="spectra">Mean spectra to attach to the scores, or null.</param>
    public static ImageScores Scores(SpectrumStatistics images, IReadOnlyList<double> reference, MeanSpectra? spectra = null)
    {
        ArgumentNullException.ThrowIfNull(images);
        return new ImageScores(Figures, images.Profiles, images.Bins, profile => Summarise(LogRatio(profile, reference)))
        {
            Spectra = spectra,
        };
    }

    /// <summary>Figures in the order of their names: root mean squares of all, low, middle, high, then the means.</summary>
    internal static double[] Summarise(double[] ratio)
    {
        var squares = new double[4];
        var sums = new double[4];
        var counts = new int[4];
        for (var k = 0; k < ratio.Length; k++)
        {
            foreach (var slot in (ReadOnlySpan<int>)[0, 1 + Band(k + 1, ratio.Length)])
            {
                squares[slot] += ratio[k] * ratio[k];
                sums[slot] += ratio[k];
                counts[slot]++;
            }
        }

        return [.. squares.Zip(counts, static (s, n) => Math.Sqrt(s / n)), .. sums.Zip(counts, static (s, n) => s / n)];
    }
}
