namespace Retouch.Core.Formatting;

/// <summary>Table of plain text: columns of fixed widths, written line by line, without trailing blanks.</summary>
public sealed class ColumnTable
{
    private readonly TextWriter _writer;
    private readonly int[] _widths;

    /// <summary>Writes the headings.</summary>
    /// <param name="writer">Where lines go.</param>
    /// <param name="columns">Heading and width of each column, in characters; a negative width aligns to the left, as in composite
    /// formatting. Longer cells move what follows.</param>
    public ColumnTable(TextWriter writer, params ReadOnlySpan<(string Heading, int Width)> columns)
    {
        ArgumentNullException.ThrowIfNull(writer);
        _writer = writer;
        _widths = new int[columns.Length];
        var headings = new string[columns.Length];
        for (var k = 0; k < columns.Length; k++)
            (headings[k], _widths[k]) = columns[k];
        Row(headings);
    }

    /// <summary>Writes a row.</summary>
    /// <param name="cells">A cell for each column.</param>
    /// <exception cref="ArgumentException">Their number is not that of the columns.</exception>
    public void Row(params ReadOnlySpan<string> cells)
    {
        if (cells.Length != _widths.Length)
            throw new ArgumentException($"{cells.Length} cells for {_widths.Length} columns.", nameof(cells));
        var line = "";
        for (var k = 0; k < cells.Length; k++)
            line += _widths[k] < 0 ? cells[k].PadRight(-_widths[k]) : cells[k].PadLeft(_widths[k]);
        _writer.WriteLine(line.TrimEnd());
    }
}
