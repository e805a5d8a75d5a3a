namespace Retouch.Evaluation.Reports;

/// <summary>Direction of a column.</summary>
public enum Better
{
    /// <summary>No direction.</summary>
    Neither,

    /// <summary>Lower is better: errors, distances, seconds.</summary>
    Lower,

    /// <summary>Higher is better: scores.</summary>
    Higher,
}

/// <summary>Column of numbers.</summary>
/// <param name="Header">Header.</param>
/// <param name="Better">Direction; determines which value is marked as best.</param>
public sealed record TableColumn(string Header, Better Better = Better.Neither)
{
    /// <summary>Second line of the header.</summary>
    public string? Unit { get; init; }

    /// <summary>Decimal places; null derives them from the intervals, or uses four significant digits.</summary>
    public int? Decimals { get; init; }
}

/// <summary>Cell: a number with or without an interval, a text, or empty.</summary>
public readonly record struct TableCell
{
    /// <summary>Number, if any.</summary>
    public double? Value { get; private init; }

    /// <summary>Half-width of the number's confidence interval.</summary>
    public double? HalfWidth { get; private init; }

    /// <summary>Text, if any.</summary>
    public string? Text { get; private init; }

    /// <summary>Not measured, shown as a dash.</summary>
    public static TableCell Missing => default;

    /// <summary>Number, ± <paramref name="halfWidth"/> if given.</summary>
    public static TableCell Of(double value, double? halfWidth = null) => new() { Value = value, HalfWidth = halfWidth };

    /// <summary>Text.</summary>
    public static TableCell Of(string text) => new() { Text = text };

    /// <summary>Number without an interval.</summary>
    public static implicit operator TableCell(double value) => Of(value);

    /// <summary>Text.</summary>
    public static implicit operator TableCell(string text) => Of(text);
}

/// <summary>Row of a table.</summary>
/// <param name="Name">Row header; an arm's name selects the arm's colour.</param>
/// <param name="Cells">One cell per column.</param>
public sealed record TableRow(string Name, params IReadOnlyList<TableCell> Cells)
{
    /// <summary>Whether the row is a reference (real pictures, the initial model): shown apart and never marked as best.</summary>
    public bool IsReference { get; init; }
}

/// <summary>Table of numbers, one item per row.</summary>
/// <param name="Title">Caption.</param>
/// <param name="RowHeader">Header of the first column.</param>
/// <param name="Columns">At least one.</param>
/// <param name="Rows">Rows with one cell per column.</param>
public sealed record ReportTable(string Title, string RowHeader, IReadOnlyList<TableColumn> Columns, IReadOnlyList<TableRow> Rows)
    : ReportBlock
{
    /// <summary>Definition of ±: confidence level, resampled units, number of resamples.</summary>
    public string? IntervalNote { get; init; }

    /// <summary>Further notes.</summary>
    public string? Note { get; init; }
}

/// <summary>Comparison of a value with the others of its column.</summary>
internal enum CellMark
{
    None,

    /// <summary>Best: no other row's interval overlaps.</summary>
    Best,

    /// <summary>Best, or not distinguishable from the best: the intervals overlap.</summary>
    AmongBest,
}

/// <summary>Marks and decimal places of a column.</summary>
internal static class TableMarks
{
    /// <summary>
    /// Mark of every row. Reference rows, texts and non-finite numbers are excluded; with fewer than two others there are no marks.
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
        // No marks if all values are equal.
        if (near.Length == contestants.Length)
            return marks;
        foreach (var row in near)
            marks[row] = near.Length == 1 ? CellMark.Best : CellMark.AmongBest;
        return marks;

        double Value(int row) => table.Rows[row].Cells[column].Value!.Value;
        double Half(int row) => table.Rows[row].Cells[column].HalfWidth is { } half and >= 0 ? half : 0;
    }

    /// <summary>
    /// Decimal places of a column: two significant digits of the smallest interval, or four of the largest value. Null if only
    /// scientific notation is suitable.
    /// </summary>
    public static int? Decimals(ReportTable table, int column)
    {
        if (table.Columns[column].Decimals is { } wanted)
            return wanted;
        // A narrow interval of a reference must not add digits to the other rows.
        var rows = table.Rows.Any(row => !row.IsReference) ? table.Rows.Where(row => !row.IsReference) : table.Rows;
        TableCell[] cells = [.. rows.Select(row => row.Cells[column]).Where(cell => cell.Value is not null)];
        return Decimals([.. cells.Select(cell => (cell.Value!.Value, cell.HalfWidth))]);
    }

    /// <summary>Decimal places of numbers outside a table, by the same rule; non-finite numbers are ignored.</summary>
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
