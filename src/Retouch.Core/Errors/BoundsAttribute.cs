using System.Globalization;

namespace Retouch.Core.Errors;

/// <summary>
/// Bounds of an option: of a number, or of every number in a list. Values are finite unless <see cref="Infinite"/>; null is always
/// allowed. <see cref="Requirements.Members"/> checks them, and messages about wrong JSON values state them.
/// </summary>
[AttributeUsage(AttributeTargets.Property)]
public sealed class BoundsAttribute : Attribute
{
    /// <summary>Smallest value.</summary>
    public double AtLeast { get; init; } = double.NegativeInfinity;

    /// <summary>Open lower end.</summary>
    public double Above { get; init; } = double.NegativeInfinity;

    /// <summary>Largest value.</summary>
    public double AtMost { get; init; } = double.PositiveInfinity;

    /// <summary>Open upper end.</summary>
    public double Below { get; init; } = double.PositiveInfinity;

    /// <summary>Whether infinity is allowed.</summary>
    public bool Infinite { get; init; }

    private bool HasLow => !double.IsInfinity(AtLeast) || !double.IsInfinity(Above);

    private bool HasHigh => !double.IsInfinity(AtMost) || !double.IsInfinity(Below);

    /// <summary>Whether a value lies within the bounds.</summary>
    public bool Contains(double value) =>
        value >= AtLeast
        && value <= AtMost
        && (value > Above || double.IsInfinity(Above))
        && (value < Below || double.IsInfinity(Below))
        && (Infinite || double.IsFinite(value));

    /// <summary>The bounds after "must": <c>be at least 1</c>, <c>be above 0</c>, <c>lie in [0, 1)</c>.</summary>
    public override string ToString() =>
        (HasLow, HasHigh) switch
        {
            (true, true) => "lie " + Interval,
            (false, false) => "be a number",
            _ => "be " + OneSided,
        };

    /// <summary>The bounds after "a number": <c>of at least 1</c>, <c>above 0</c>, <c>in [0, 1)</c>.</summary>
    internal string AfterNoun =>
        (HasLow, HasHigh) switch
        {
            (true, true) => " " + Interval,
            (false, false) => "",
            _ => OneSided.StartsWith("at", StringComparison.Ordinal) ? " of " + OneSided : " " + OneSided,
        };

    private string Interval =>
        $"in {(double.IsInfinity(Above) ? "[" + Text(AtLeast) : "(" + Text(Above))}, "
        + $"{(double.IsInfinity(Below) ? Text(AtMost) + "]" : Text(Below) + ")")}";

    private string OneSided =>
        !double.IsInfinity(AtLeast) ? "at least " + Text(AtLeast)
        : !double.IsInfinity(Above) ? "above " + Text(Above)
        : !double.IsInfinity(AtMost) ? "at most " + Text(AtMost)
        : "below " + Text(Below);

    private static string Text(double value) => value.ToString("0.############", CultureInfo.InvariantCulture);
}
