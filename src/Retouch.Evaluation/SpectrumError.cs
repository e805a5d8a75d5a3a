namespace Retouch.Evaluation;

/// <summary>
/// How far the spectrum of a set is from that of real pictures: log₁₀ of the ratio of the mean radial profiles, as root mean square over
/// the rings of the low, middle and high third of the frequencies and over all of them, and as plain mean (below 0: too little energy, as
/// in blurred pictures).
/// </summary>
public static class SpectrumError
{
    /// <summary>
    /// The power of rounding to 8 bits, 1 / (12·255²): less is not in a picture, so less is taken for this much. It keeps an empty ring
    /// from an infinite logarithm.
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

    /// <summary>The third of the frequencies that a ring belongs to: 0 low, 1 middle, 2 high.</summary>
    /// <param name="ring">1 to <paramref name="rings"/>.</param>
    /// <param name="rings">Number of rings.</param>
    public static int Band(int ring, int rings) => Math.Min(2, 3 * (ring - 1) / rings);

    /// <summary>log₁₀(profile / reference), ring by ring.</summary>
    public static double[] LogRatio(IReadOnlyList<double> profile, IReadOnlyList<double> reference)
    {
        ArgumentNullException.ThrowIfNull(profile);
        ArgumentNullException.ThrowIfNull(reference);
        if (profile.Count != reference.Count)
            throw new ArgumentException($"Profiles of {profile.Count} and {reference.Count} rings cannot be compared.", nameof(reference));
        return [.. profile.Zip(reference, static (p, r) => Math.Log10(Math.Max(p, Floor) / Math.Max(r, Floor)))];
    }

    /// <summary>The scores of a set against the mean profile of real pictures.</summary>
    public static ImageScores Scores(SpectrumStatistics images, IReadOnlyList<double> reference)
    {
        ArgumentNullException.ThrowIfNull(images);
        return new ImageScores(Figures, images.Profiles, images.Bins, profile => Summarise(LogRatio(profile, reference)));
    }

    /// <summary>The figures, in the order of the names: root mean squares of all, low, middle, high, then the means.</summary>
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
