namespace Retouch.Arena.Statistics;

/// <summary>Agreement between raters beyond chance (Krippendorff, "Computing Krippendorff's alpha-reliability", 2011).</summary>
public static class KrippendorffAlpha
{
    /// <summary>
    /// Alpha for nominal categories: 1 − observed / expected disagreement, from the coincidence matrix. 1 is full agreement, 0 chance
    /// level, negative values are systematic disagreement. Missing ratings are allowed.
    /// </summary>
    /// <param name="units">Categories of the ratings of each unit. Units with fewer than two ratings are ignored.</param>
    /// <returns>Null if undefined: no unit with two ratings, or a single category overall.</returns>
    public static double? Nominal(IEnumerable<IReadOnlyList<int>> units)
    {
        ArgumentNullException.ThrowIfNull(units);
        var totals = new Dictionary<int, double>();
        double pairable = 0,
            disagreement = 0;
        foreach (var unit in units.Where(static u => u.Count >= 2))
        {
            pairable += unit.Count;
            foreach (var (category, count) in unit.CountBy(static c => c))
            {
                totals[category] = totals.GetValueOrDefault(category) + count;
                disagreement += (double)count * (unit.Count - count) / (unit.Count - 1);
            }
        }

        var chance = totals.Values.Sum(n => n * (pairable - n));
        return chance > 0 ? 1 - (pairable - 1) * disagreement / chance : null;
    }
}
