namespace Retouch.Core.Formatting;

/// <summary>
/// Natural sort order: runs of digits are compared by value, so that <c>9</c> precedes <c>10</c>; other characters ordinally.
/// </summary>
public sealed class NaturalOrder : IComparer<string>
{
    private NaturalOrder() { }

    /// <summary>Singleton instance.</summary>
    public static NaturalOrder Comparer { get; } = new();

    /// <inheritdoc/>
    public int Compare(string? x, string? y)
    {
        if (x is null || y is null)
            return StringComparer.Ordinal.Compare(x, y);
        var (i, j) = (0, 0);
        while (i < x.Length && j < y.Length)
        {
            var a = Digits(x, i);
            var b = Digits(y, j);
            var bothCount = a.Length > 0 && b.Length > 0;
            var order = bothCount ? ByValue(a, b) : x[i].CompareTo(y[j]);
            if (order != 0)
                return order;
            i += bothCount ? a.Length : 1;
            j += bothCount ? b.Length : 1;
        }

        var rest = (x.Length - i).CompareTo(y.Length - j);
        // 01 and 1 have equal values but are different names.
        return rest != 0 ? rest : string.CompareOrdinal(x, y);
    }

    private static ReadOnlySpan<char> Digits(string text, int from)
    {
        var end = from;
        while (end < text.Length && char.IsAsciiDigit(text[end]))
            end++;
        return text.AsSpan(from, end - from);
    }

    private static int ByValue(ReadOnlySpan<char> a, ReadOnlySpan<char> b)
    {
        var x = a.TrimStart('0');
        var y = b.TrimStart('0');
        return x.Length != y.Length ? x.Length.CompareTo(y.Length) : x.SequenceCompareTo(y);
    }
}
