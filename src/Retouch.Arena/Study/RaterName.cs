namespace Retouch.Arena.Study;

/// <summary>What may be a rater's name.</summary>
internal static class RaterName
{
    public const int Longest = 60;

    /// <summary>
    /// The name with single blanks; null when nothing is left, it is too long, or it has characters that cannot be printed.
    /// </summary>
    public static string? Tidy(string? name)
    {
        var tidy = string.Join(' ', (name ?? "").Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        return
            tidy.Length is 0 or > Longest
            || tidy.Any(static c => char.IsControl(c) || char.GetUnicodeCategory(c) == System.Globalization.UnicodeCategory.Format)
            ? null
            : tidy;
    }
}
