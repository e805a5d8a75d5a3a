namespace Retouch.Core.Formatting;

/// <summary>Truncates texts and lists for messages: an untrusted caption can have megabytes.</summary>
public static class Excerpt
{
    /// <summary>Default length in UTF-16 units.</summary>
    public const int DefaultLength = 80;

    /// <summary>A text on one line, truncated with an ellipsis.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="most">Maximum length in UTF-16 units, at least 1.</param>
    public static string Of(string text, int most = DefaultLength)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentOutOfRangeException.ThrowIfLessThan(most, 1);
        if (text.Length <= most && !text.Any(char.IsControl))
            return text;
        // Surrogate pairs are not split.
        var end =
            text.Length <= most ? text.Length
            : char.IsHighSurrogate(text[most - 1]) ? most - 1
            : most;
        var line = string.Concat(text.AsSpan(0, end).ToString().Select(static c => char.IsControl(c) ? ' ' : c));
        return end < text.Length ? line + "…" : line;
    }

    /// <summary>The first items of a list and, as the last, the number of others.</summary>
    /// <param name="items">Any items.</param>
    /// <param name="shown">Number of items shown, at least 1.</param>
    public static IEnumerable<string> First(IReadOnlyCollection<string> items, int shown = 20)
    {
        ArgumentNullException.ThrowIfNull(items);
        return items.Count <= shown ? items : items.Take(shown).Append($"… and {items.Count - shown} more");
    }
}
