namespace Retouch.Evaluation.Reports;

/// <summary>Which values of a column are good.</summary>
public enum Better
{
    /// <summary>The column is not a contest.</summary>
    Neither,

    /// <summary>Errors, distances, seconds.</summary>
    Lower,

    /// <summary>Scores.</summary>
    Higher,
}

/// <summary>A column of numbers.</summary>
/// <param name="Header">The name.</param>
/// <param name="Better">Whether the best value is marked, and which it is.</param>
public sealed record TableColumn(string Header, Better Better = Better.Neither)
{
    /// <summary>Shown under the header.</summary>
    public string? Unit { get; init; }

    /// <summary>Digits after the point; by default what the intervals, or else four significant digits, call for.</summary>
    public int? Decimals { get; init; }
}

/// <summary>A cell: a number with or without an interval, a text, or nothing.</summary>
public readonly record struct TableCell
{
    /// <summary>The number, where the cell is one.</summary>
    public double? Value { get; private init; }

    /// <summary>Half the width of the number's confidence interval.</summary>
    public double? HalfWidth { get; private init; }

    /// <summary>The text, where the cell is one.</summary>
    public string? Text { get; private init; }

    /// <summary>Not measured; shown as a dash.</summary>
    public static TableCell Missing => default;

    /// <summary>A number, ± <paramref name="halfWidth"/> where it is known.</summary>
    public static TableCell Of(double value, double? halfWidth = null) => new() { Value = value, HalfWidth = halfWidth };

    /// <summary>A text.</summary>
    public static TableCell Of(string text) => new() { Text = text };

    /// <summary>A number without an interval.</summary>
    public static implicit operator TableCell(double value) => Of(value);

    /// <summary>A text.</summary>
    public static implicit operator TableCell(string text) => Of(text);
}

/// <summary>A row.</summary>
/// <param name="Name">Its header; an arm's name brings the arm's colour.</param>
/// <param name="Cells">One per column.</param>
public sealed record TableRow(string Name, params IReadOnlyList<TableCell> Cells)
{
    /// <summary>A yardstick (real pictures, the untouched model): shown apart, never marked as best.</summary>
    public bool IsReference { get; init; }
}

/// <summary>A table of numbers, one thing measured a row.</summary>
/// <param name="Title">The caption.</param>
/// <param name="RowHeader">What the rows are.</param>
/// <param name="Columns">At least one.</param>
/// <param name="Rows">Each with one cell per column.</param>
public sealed record ReportTable(string Title, string RowHeader, IReadOnlyList<TableColumn> Columns, IReadOnlyList<TableRow> Rows)
    : ReportBlock
{
    /// <summary>What ± means here: the level, what was resampled, how many.</summary>
    public string? IntervalNote { get; init; }

    /// <summary>Anything else a reader must know.</summary>
    public string? Note { get; init; }
}

/// <summary>What may honestly be said of a value against the others of its column.</summary>
internal enum CellMark
{
    None,

    /// <summary>The best; no other row's interval reaches it.</summary>
    Best,

    /// <summary>The best or not separable from it: the intervals overlap.</summary>
    AmongBest,
}

/// <summary>Decides marks and digits of a column.</summary>
internal static class TableMarks
{
    /// <summary>
    /// The mark of every row. Reference rows, texts and non-finite numbers do not take part; where fewer than two do, nobody wins.
    /// A value without an interval counts as exact, so that equal values share the mark.
    /// </summary>
    public static CellMark[] Of(ReportTable table, int column)
    {
        var marks = new CellMark[table.Rows.Count];
        var better = table.Columns[column].Better;
        int[] contestants =
        [
            .. Enumerable
                .Range(0, marks.Length)
                .Where(row => !table.Rows[row].IsReference && table.Rows[row].Cells[column].Value is { } value && double.IsFinite(value)),
        ];
        if (better == Better.Neither || contestants.Length < 2)
            return marks;
        var sign = better == Better.Lower ? 1 : -1;
        var best = contestants.MinBy(row => sign * Value(row));
        int[] near = [.. contestants.Where(row => sign * (Value(row) - Value(best)) <= Half(row) + Half(best))];
        // Where all are alike there is nothing to mark.
        if (near.Length == contestants.Length)
            return marks;
        foreach (var row in near)
            marks[row] = near.Length == 1 ? CellMark.Best : CellMark.AmongBest;
        return marks;

        double Value(int row) => table.Rows[row].Cells[column].Value!.Value;
        double Half(int row) => table.Rows[row].Cells[column].HalfWidth is { } half and >= 0 ? half : 0;
    }

    /// <summary>
    /// Digits after the point for a column, so that the points stand below each other: two significant digits of the smallest interval,
    /// else four of the largest value. Null where only scientific notation shows anything.
    /// </summary>
    public static int? Decimals(ReportTable table, int column)
    {
        if (table.Columns[column].Decimals is { } wanted)
            return wanted;
        // A reference's tiny interval must not load the others with digits that mean nothing.
        var rows = table.Rows.Any(row => !row.IsReference) ? table.Rows.Where(row => !row.IsReference) : table.Rows;
        TableCell[] cells = [.. rows.Select(row => row.Cells[column]).Where(cell => cell.Value is not null)];
        return Decimals([.. cells.Select(cell => (cell.Value!.Value, cell.HalfWidth))]);
    }

    /// <summary>The same rule for numbers outside a table; those that are not finite do not count.</summary>
    public static int? Decimals(IReadOnlyList<(double Value, double? HalfWidth)> numbers)
    {
        (double Value, double? HalfWidth)[] finite = [.. numbers.Where(number => double.IsFinite(number.Value))];
        var largest = finite.Select(number => Math.Abs(number.Value)).DefaultIfEmpty(0).Max();
        if (largest == 0)
            return 0;
        if (largest is < 1e-4 or >= 1e9)
            return null;
        if (finite.All(number => number.HalfWidth is null && Math.Abs(number.Value) < 1e6 && double.IsInteger(number.Value)))
            return 0;
        double[] halves = [.. finite.Select(number => number.HalfWidth ?? 0).Where(half => half > 0 && double.IsFinite(half))];
        var decimals = halves.Length > 0 ? 1 - Exponent(halves.Min()) : 3 - Exponent(largest);
        return Math.Clamp(decimals, 0, 8);
    }

    private static int Exponent(double value) => (int)Math.Floor(Math.Log10(value));
}
