namespace Retouch.Arena.Study;

/// <summary>Validation of rater names.</summary>
internal static class RaterName
{
    public const int Longest = 60;

    /// <summary>
    /// The name with single spaces; null if it is empty, too long, or contains non-printable characters.
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
