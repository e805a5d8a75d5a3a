namespace Retouch.Images;

/// <summary>Layout of a <see cref="PictureGrid"/>.</summary>
public sealed record PictureGridLayout
{
    /// <summary>Number of columns, at least 1; 0 (the default) for a grid as square as possible.</summary>
    public int Columns { get; init; }

    /// <summary>Pixels between pictures.</summary>
    public int Gap { get; init; } = 4;

    /// <summary>Pixels around the grid.</summary>
    public int Margin { get; init; } = 4;

    /// <summary>Background colour.</summary>
    public Rgb Background { get; init; } = Rgb.White;
}

/// <summary>Combines pictures into a grid.</summary>
public static class PictureGrid
{
    /// <summary>
    /// Composes a grid, row by row. Cells have the size of the largest picture; smaller ones are centred.
    /// </summary>
    /// <exception cref="ArgumentException">There are no pictures, or the layout is out of range.</exception>
    public static Picture Compose(IReadOnlyList<Picture> pictures, PictureGridLayout? layout = null)
    {
        ArgumentNullException.ThrowIfNull(pictures);
        layout ??= new PictureGridLayout();
        if (pictures.Count == 0)
            throw new ArgumentException("A grid needs at least one picture.", nameof(pictures));
        if (layout.Columns < 0 || layout.Gap < 0 || layout.Margin < 0)
            throw new ArgumentException("Columns, gap and margin of a grid must not be negative.", nameof(layout));

        var columns = layout.Columns > 0 ? Math.Min(layout.Columns, pictures.Count) : SquareColumns(pictures.Count);
        var rows = (pictures.Count + columns - 1) / columns;
        var cellWidth = pictures.Max(p => p.Width);
        var cellHeight = pictures.Max(p => p.Height);
        var grid = Picture.Filled(
            2 * layout.Margin + columns * cellWidth + (columns - 1) * layout.Gap,
            2 * layout.Margin + rows * cellHeight + (rows - 1) * layout.Gap,
            layout.Background
        );
        for (var i = 0; i < pictures.Count; i++)
        {
            var picture = pictures[i];
            var left = layout.Margin + i % columns * (cellWidth + layout.Gap) + (cellWidth - picture.Width) / 2;
            var top = layout.Margin + i / columns * (cellHeight + layout.Gap) + (cellHeight - picture.Height) / 2;
            for (var y = 0; y < picture.Height; y++)
                picture.Row(y).CopyTo(grid.Row(top + y)[(left * Picture.Channels)..]);
        }

        return grid;
    }

    private static int SquareColumns(int count)
    {
        var columns = 1;
        while (columns * columns < count)
            columns++;
        return columns;
    }
}
