using System.Globalization;

namespace Retouch.Core.Formatting;

/// <summary>Human-readable numbers: durations, memory, counts, fractions. Always in the invariant culture.</summary>
public static class Figures
{
    private static readonly string[] ByteUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

    /// <summary>
    /// A duration in its two largest units: <c>340 ms</c>, <c>4.2 s</c>, <c>3 min 20 s</c>, <c>2 h 05 min</c>, <c>3 d 4 h</c>.
    /// </summary>
    public static string Duration(TimeSpan duration)
    {
        if (duration < TimeSpan.Zero)
            return "-" + Duration(duration.Negate());
        // Each bound is where rounding carries into the next unit, so that "60.0 s" and "60 min" never occur.
        if (duration.TotalMilliseconds < 999.5)
            return Invariant($"{duration.TotalMilliseconds:0} ms");
        if (duration.TotalSeconds < 59.95)
            return Invariant($"{duration.TotalSeconds:0.0} s");
        var seconds = (long)Math.Round(duration.TotalSeconds);
        if (seconds < 3600)
            return Invariant($"{seconds / 60} min {seconds % 60:00} s");
        var minutes = (long)Math.Round(duration.TotalMinutes);
        if (minutes < 24 * 60)
            return Invariant($"{minutes / 60} h {minutes % 60:00} min");
        var hours = (long)Math.Round(duration.TotalHours);
        return Invariant($"{hours / 24} d {hours % 24} h");
    }

    /// <summary>A number of bytes in binary units: <c>512 B</c>, <c>2.1 GiB</c>.</summary>
    public static string Bytes(long bytes)
    {
        double value = Math.Abs((double)bytes);
        var unit = 0;
        // 1023.95 would round to "1024.0" of the smaller unit.
        while (value >= 1023.95 && unit < ByteUnits.Length - 1)
        {
            value /= 1024;
            unit++;
        }

        var sign = bytes < 0 ? "-" : "";
        return sign + value.ToString(unit == 0 ? "0" : "0.0", CultureInfo.InvariantCulture) + " " + ByteUnits[unit];
    }

    /// <summary>A whole number with thousands separators: <c>12,500</c>.</summary>
    public static string Count(long count) => count.ToString("#,0", CultureInfo.InvariantCulture);

    /// <summary>A number of things: <c>1 picture</c>, <c>12,500 pictures</c>.</summary>
    /// <param name="count">Number.</param>
    /// <param name="noun">Singular.</param>
    /// <param name="plural">Plural; null for the singular with an s.</param>
    public static string Count(long count, string noun, string? plural = null) =>
        $"{Count(count)} {(count == 1 ? noun : plural ?? noun + "s")}";

    /// <summary>A fraction as a percentage: 0.1234 gives <c>12 %</c>; below 9.95 % one decimal, <c>1.2 %</c>.</summary>
    public static string Percent(double fraction)
    {
        if (!double.IsFinite(fraction))
            return Significant(fraction, 2) + " %";
        var percent = fraction * 100;
        return percent.ToString(Math.Abs(percent) >= 9.95 || percent == 0 ? "0" : "0.0", CultureInfo.InvariantCulture) + " %";
    }

    /// <summary>
    /// A number rounded to significant digits, with trailing zeros kept to show the precision. Fixed-point between 1e-4 and 1e7, else
    /// scientific (<c>1.50e-5</c>).
    /// </summary>
    /// <param name="value">Any number, including <c>NaN</c> and infinities.</param>
    /// <param name="digits">Significant digits, 1 to 17.</param>
    public static string Significant(double value, int digits = 4)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(digits, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(digits, 17);
        if (double.IsNaN(value))
            return "NaN";
        if (double.IsInfinity(value))
            return value > 0 ? "∞" : "-∞";
        if (value == 0)
            return "0";
        var scientific = value.ToString("e" + (digits - 1), CultureInfo.InvariantCulture);
        var mark = scientific.IndexOf('e', StringComparison.Ordinal);
        // The exponent is taken from the rounded number: 9.9996 to four digits is 10.00.
        var exponent = int.Parse(scientific.AsSpan(mark + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        return exponent is < -4 or >= 7
            ? string.Create(CultureInfo.InvariantCulture, $"{scientific[..mark]}e{exponent}")
            : value.ToString("F" + Math.Max(0, digits - 1 - exponent), CultureInfo.InvariantCulture);
    }

    /// <summary><see cref="Significant"/> with the minus sign of reports, U+2212.</summary>
    public static string Typeset(double value, int digits = 4) => Significant(value, digits).Replace('-', '−');

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
