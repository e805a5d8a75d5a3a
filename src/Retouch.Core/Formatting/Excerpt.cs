namespace Retouch.Core.Formatting;

/// <summary>Texts of others in messages: a caption may have megabytes.</summary>
public static class Excerpt
{
    /// <summary>The default length, in UTF-16 units.</summary>
    public const int DefaultLength = 80;

    /// <summary>A text on one line, and its beginning only where it is long.</summary>
    /// <param name="text">Any text.</param>
    /// <param name="most">Units kept.</param>
    public static string Of(string text, int most = DefaultLength)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentOutOfRangeException.ThrowIfLessThan(most, 1);
        if (text.Length <= most && !text.Any(char.IsControl))
            return text;
        // Not between the halves of a character.
        var end =
            text.Length <= most ? text.Length
            : char.IsHighSurrogate(text[most - 1]) ? most - 1
            : most;
        var line = string.Concat(text.AsSpan(0, end).ToString().Select(static c => char.IsControl(c) ? ' ' : c));
        return end < text.Length ? line + "…" : line;
    }
}
